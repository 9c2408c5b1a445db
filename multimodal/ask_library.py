"""A question answered from the library: its best pictures are asked one by one, so that every statement has the picture it comes from."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.events import Done, Event, Notice, Text
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.retrieval.query import Query, read_terms
from multimodal.retrieval.records import Filter
from multimodal.retrieval.search import Hit
from multimodal.retrieval.words import CHARACTER

MOST_PICTURES = 20
SUMMARY = {
    "en": "Notes from pictures:\n{notes}\n\nQuestion: {question}\nAnswer from these notes alone."
    " After every statement write the number of its picture in brackets, such as [1].",
    "zh": "来自图片的笔记：\n{notes}\n\n问题：{question}\n只根据这些笔记回答。每句话后面用方括号写出所依据图片的编号，例如 [1]。",
}


@dataclass(frozen=True)
class Source:
    """The pictures that will be asked, best first; they are numbered from 1."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Statement:
    """What has been said so far of picture `number`, or with 0 of all of them together; `refusal` says why there is nothing."""

    number: int
    text: str
    complete: bool = False
    refusal: UserError | None = None


def ask_library(
    desk: Desk, question: str, count: int, options: Options, stop: threading.Event, wanted: Filter | None = None
) -> Iterator[Source | Statement | Notice]:
    """Ask the `count` pictures that are nearest to `question`, of those that `wanted` describes; then, of a real model, the sum of it.

    One picture at a time needs no more memory than any question, and cannot mix them up. A picture that cannot be read is passed over with
    its reason. Raises UserError.
    """
    if not 1 <= count <= MOST_PICTURES:
        raise UserError("search_count", count=count, limit=MOST_PICTURES)
    terms = read_terms(question)
    if not terms:
        raise UserError("search_empty")
    hits = desk.library.find(Query(terms, wanted or Filter(), count=count, at_least=-1)).hits
    yield Source(hits)
    said: list[tuple[int, str]] = []
    for number, hit in enumerate(hits, 1):
        if stop.is_set():
            return
        try:
            media = take(desk.library.original(hit.picture), hit.picture.name, desk.limits, only="picture", stop=stop)
        except UserError as error:
            yield Statement(number, "", True, error)
            continue
        answer = ""
        for answer in _answer(desk, Turn(question, tuple(media)), options, stop):
            yield answer if isinstance(answer, Notice) else replace(answer, number=number)
        if isinstance(answer, Statement) and answer.complete:
            said.append((number, answer.text))
    if len(said) > 1 and not desk.demo and not stop.is_set():
        language = "zh" if re.search(CHARACTER, question) else "en"
        notes = "\n".join(f"[{number}] {text}" for number, text in said)
        yield from _answer(desk, Turn(SUMMARY[language].format(notes=notes, question=question)), options, stop)


def _answer(desk: Desk, turn: Turn, options: Options, stop: threading.Event) -> Iterator[Statement | Notice]:
    text = ""
    event: Event
    for event in desk.answer(Conversation((turn,), desk.settings.system_prompt), options, stop):
        if isinstance(event, Text):
            text += event.piece
            yield Statement(0, text)
        elif isinstance(event, Notice):
            yield event
        elif isinstance(event, Done):
            yield Statement(0, event.text, not event.stopped)
