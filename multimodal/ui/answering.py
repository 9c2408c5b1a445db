"""The way of a question on the screen: one answer a session at a time, shown as it comes, kept where it is refused."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import soundfile

from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice, Text
from multimodal.chat.options import Options
from multimodal.data_dir import UPLOADS
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import Medium, Stopped, take
from multimodal.ui.phrases import phrase
from multimodal.ui.transcript import show

log = logging.getLogger(__name__)

# Events that are told while nothing of the answer has come.
HINTS = ("waiting", "loading", "speaking")


class Choices(NamedTuple):
    """What the settings under the box say."""

    system_prompt: str
    max_new_tokens: float
    temperature: float
    video: str
    aloud: bool
    voice: str | None
    detail: str

    def options(self, voices: tuple[str, ...]) -> Options:
        """For a model that has `voices`."""
        voice = self.voice if self.aloud and self.voice in voices else None
        return Options(int(self.max_new_tokens), float(self.temperature), voice, self.detail)


@dataclass(eq=False)
class UnderWay:
    """One answer: how to stop it, and the conversation to leave on the screen where it was dropped."""

    stop: threading.Event = field(default_factory=threading.Event)
    left: Conversation | None = None


class Answering:
    """Answers for the screen's sessions. What it yields are new values of the conversation on the screen, its state, and the box."""

    def __init__(self, desk: Desk):
        self.desk = desk
        self._under_way: dict[str, UnderWay] = {}  # the answer of each session that is being answered

    def stop(self, session: str) -> None:
        """End the session's answer."""
        if (mine := self._under_way.get(session)) is not None:
            mine.stop.set()

    def drop(self, session: str, left: Conversation) -> None:
        """End the session's answer, and show no more of it: `left` is what remains on the screen."""
        if (mine := self._under_way.pop(session, None)) is not None:
            mine.left = left
            mine.stop.set()

    def answer(
        self,
        session: str,
        kept: Conversation,
        before: Conversation,
        turn: Turn,
        language: str,
        choices: Choices,
        from_box: bool = False,
    ) -> Iterator[tuple]:
        """Show the answer to `turn` after `before` as it comes. Where it is refused, `kept` stays, and the question stands under it.

        A question that is sent off during an answer stays in the box.
        """
        mine = UnderWay()
        if self._under_way.setdefault(session, mine) is not mine:
            yield unchanged()
            return
        asked, refusal = Conversation(before.turns, choices.system_prompt).asked(turn), None
        try:
            waiting = phrase("reading" if turn.files and not turn.media else "thinking", language)
            yield show(asked, language, waiting), kept, box(ready=False, turn=Turn("") if from_box else None)
            try:
                progress = self._progress(asked, language, choices, mine.stop)
                for asked, hint in progress:
                    if mine.left is not None:
                        break
                    yield show(asked, language, hint), asked, gr.skip()
            except UserError as error:
                refusal = error
            except Exception as error:  # a fault of ours: the person gets a sentence, the log the rest, and the conversation goes on
                log.exception("An answer failed")
                refusal = UserError("answer_failed", reason=type(error).__name__)
            if mine.left is not None:
                # a step that was on its way to the page when the answer was dropped may have come after what replaced it
                yield (show(mine.left, language), mine.left, box(ready=True)) if session not in self._under_way else unchanged()
                return
            if refusal is not None:
                asked = kept.asked(replace(asked.turns[-1], refusal=refusal))
            back = turn if from_box and refusal is not None and not asked.turns[-1].media else None
            yield show(asked, language), asked, box(ready=True, turn=back)
        finally:
            mine.stop.set()
            if self._under_way.get(session) is mine:
                del self._under_way[session]

    def _progress(self, asked: Conversation, language: str, choices: Choices, stop: threading.Event) -> Iterator[tuple[Conversation, str]]:
        """(the conversation so far, what is being done). Raises UserError."""
        turn = asked.turns[-1]
        if turn.files and not turn.media:
            media = self._read(turn.files, choices.video, stop)
            if stop.is_set():
                yield asked.answered(notes=(("stopped", {}),)), ""
                return
            asked = asked.answered(media=media)
            yield asked, phrase("thinking", language)
        options = choices.options(self.desk.voices)
        answer, notes, hint = "", [], phrase("thinking", language)
        for event in self.desk.answer(asked, options, stop):
            if isinstance(event, Text):
                answer, hint = answer + event.piece, ""
            elif isinstance(event, Speech):
                asked = asked.answered(spoken=self._write(event))
            elif isinstance(event, Notice) and event.code in HINTS:
                hint = phrase(event.code, language)
            elif isinstance(event, Notice):
                notes.append((event.code, dict(event.facts)))
            elif isinstance(event, Done) and event.stopped:
                notes.append(("stopped", {}))
            asked = asked.answered(answer=answer, notes=tuple(notes))
            yield asked, "" if isinstance(event, Done) else hint

    def _read(self, files: tuple[tuple[str, str], ...], video: str, stop: threading.Event) -> tuple[Medium, ...]:
        """The files as media; those after Stop was pressed are not read. Raises UserError."""
        limits = self.desk.limits
        if len(files) > limits.files:
            raise UserError("too_many_files", count=len(files), limit=limits.files)
        media: list[Medium] = []
        with suppress(Stopped):  # who calls looks at `stop`
            for path, name in files:
                if not stop.is_set():
                    media += take(Path(path), name, limits, video, stop=stop)
        return tuple(media)

    def _write(self, speech: Speech) -> str:
        """A spoken answer as a file that the page can play; it goes with the uploads."""
        with tempfile.NamedTemporaryFile(dir=self.desk.settings.data_dir / UPLOADS, prefix="answer-", suffix=".wav", delete=False) as file:
            soundfile.write(file, speech.samples, speech.rate, format="WAV", subtype="PCM_16")
        return file.name


def unchanged() -> tuple:
    """Conversation, state and box as they are."""
    return gr.skip(), gr.skip(), gr.skip()


def box(ready: bool, turn: Turn | None = None) -> dict:
    """The box's buttons; with `turn`, its question in the box."""
    value = {"value": {"text": turn.text, "files": [path for path, _ in turn.files if Path(path).exists()]}} if turn else {}
    return gr.update(submit_btn=ready, stop_btn=not ready, **value)
