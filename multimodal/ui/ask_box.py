"""Ask my library: a question, and what the best pictures say to it, each beside its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

import gradio as gr

from multimodal.ask_library import Source, Statement, ask_library
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.retrieval.search import Hit
from multimodal.ui.bars import note
from multimodal.ui.deeds import Deeds, sentence
from multimodal.ui.gallery import thumbnail_html
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.served import Served
from multimodal.ui.shown import Shown
from multimodal.ui.translated import Translated

log = logging.getLogger(__name__)

USUAL, MOST = 4, 12


@dataclass(frozen=True)
class Asked:
    """What has come so far: the pictures, and by their numbers what was said of them (0: of all together)."""

    hits: tuple[Hit, ...] = ()
    said: dict[int, Statement] = field(default_factory=dict)


class AskBox(Deeds):
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, rights: Rights, texts: Translated, served: Served):
        super().__init__(desk.library, rights)
        self.desk, self.served = desk, served
        self._stops: dict[str, threading.Event] = {}  # of each session that is asking
        self.asked = gr.State(None)
        with texts.make(gr.Accordion, {"label": "ask_library"}, open=False, elem_id="ask-library"):
            self.question = texts.make(
                gr.Textbox,
                {"label": "ask_question", "info": "ask_info", "placeholder": "ask_example"},
                lines=1,
                max_lines=4,
                elem_id="library-question",
            )
            self.count = texts.make(
                gr.Slider, {"label": "ask_count"}, minimum=1, maximum=MOST, step=1, value=USUAL, elem_id="library-question-count"
            )
            with gr.Row():
                self.start = texts.button("ask", "ask-pictures", variant="primary")
                self.stop = texts.button("ask_stop", "stop-asking", visible=False)
            self.said = gr.HTML(elem_id="ask-said", elem_classes="said")

    def outputs(self) -> list:
        """The components that `ask` gives values for, in its order."""
        return [self.asked, self.said, self.start, self.stop]

    def show(self, asked: Asked | None, language: str) -> list:
        """What came of the last question."""
        return [asked, self._html(asked, language) if asked else "", gr.update(visible=True), gr.update(visible=False)]

    def ask(self, question: str, count: float, shown: Shown, language: str, request: gr.Request) -> Iterator[list]:
        """Ask the best pictures one by one, of those that the filters above describe."""
        self.rights.check_look(language)
        stop = threading.Event()
        if self._stops.setdefault(request.session_hash, stop) is not stop:
            yield [gr.skip()] * 4
            return
        asked = Asked()
        busy = [gr.update(visible=False), gr.update(visible=True)]
        try:
            yield [asked, note(phrase("asking", language)), *busy]
            for event in ask_library(
                self.desk, question, int(count), Options(self.desk.settings.max_new_tokens), stop, shown.wanted.filter
            ):
                if isinstance(event, Source):
                    asked = Asked(event.hits)
                elif isinstance(event, Statement):
                    asked = Asked(asked.hits, {**asked.said, event.number: event})
                yield [asked, self._html(asked, language), *busy]
            yield self.show(asked, language)
        except UserError as error:
            yield self._refuse(asked, error, language)
        except Exception as error:  # a fault of ours: what has been said stays, and the next question can be asked
            log.exception("Asking the library failed")
            yield self._refuse(asked, UserError("answer_failed", reason=type(error).__name__), language)
        finally:
            stop.set()
            self._stops.pop(request.session_hash, None)

    def end(self, language: str, request: gr.Request) -> None:
        """End the session's asking; what has been said stays."""
        if (stop := self._stops.get(request.session_hash)) is not None:
            stop.set()

    def _refuse(self, asked: Asked, error: UserError, language: str) -> list:
        return [asked, self._html(asked, language) + sentence(error, language), gr.update(visible=True), gr.update(visible=False)]

    def _html(self, asked: Asked, language: str) -> str:
        if not asked.hits:
            return note(phrase("ask_nobody", language))
        items = []
        for number, hit in enumerate(asked.hits, 1):
            statement = asked.said.get(number)
            text = "…" if statement is None else statement.refusal.say(language) if statement.refusal else statement.text
            items.append(
                f"<li>{thumbnail_html(hit.picture, self.served, language, hit.picture.name)}"
                f"<div><b>[{number}] {escape(hit.picture.name)}</b><small>{hit.score:.2f}</small><p>{escape(text)}</p></div></li>"
            )
        summary = asked.said.get(0)
        together = f"<p class='together'>{escape(summary.text)}</p>" if summary else ""
        return f"{together}<ol class='statements'>{''.join(items)}</ol>"
