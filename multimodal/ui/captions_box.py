"""Captions written by the chat model for pictures that have none: how far it has come, and the way to stop it."""

from __future__ import annotations

import gradio as gr

from multimodal.captioner import Captioner
from multimodal.desk import Desk
from multimodal.errors import UserError, length_text
from multimodal.ui.bars import note, work
from multimodal.ui.deeds import Deeds, sentence
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.translated import Translated


class CaptionsBox(Deeds):
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, rights: Rights, texts: Translated):
        super().__init__(desk.library, rights)
        self.captioner = Captioner(desk)
        with texts.make(gr.Accordion, {"label": "write_captions"}, open=False, elem_id="write-captions"):
            texts.make(gr.Markdown, {"value": "write_captions_info"})
            with gr.Row():
                self.start = texts.button("write_captions_start", "start-captions", variant="primary")
                self.stop = texts.button("write_captions_stop", "stop-captions", visible=False)
            self.said = gr.HTML(elem_id="captions-said", elem_classes="said")

    @property
    def busy(self) -> bool:
        """Whether captions are being written."""
        return self.captioner.progress.state == "running"

    def refreshed(self) -> list:
        """The components that `refresh` gives values for, in its order."""
        return [self.said, self.start, self.stop]

    def refresh(self, language: str) -> list:
        """How far it has come."""
        return [self._html(language), gr.update(visible=not self.busy), gr.update(visible=self.busy)]

    def begin(self, language: str) -> list:
        """Write captions in the language of the screen."""

        def act() -> list:
            self.captioner.start(language)
            return [*self.refresh(language), gr.update(active=True)]

        return self.attempt(act, language, lambda said: [said, gr.skip(), gr.skip(), gr.skip()])

    def end(self, language: str) -> list:
        """Stop it; what was written is kept."""
        self.rights.check_look(language)
        self.captioner.cancel()
        return [*self.refresh(language), gr.update(active=True)]

    def _html(self, language: str) -> str:
        now = self.captioner.progress
        if now.state == "idle":
            return self._left(language)
        if isinstance(now.error, UserError):
            return sentence(now.error, language)
        if now.state == "running":
            text = phrase("captions_progress", language, done=now.done, total=now.total)
            if now.seconds_left is not None:
                text += phrase("time_left", language, time=length_text(now.seconds_left))
            return work(phrase("write_captions", language), text, now.done, now.total)
        said = note(phrase(f"captions_{now.state}", language, count=now.done - now.passed_over))
        return said + (note(phrase("captions_passed_over", language, count=now.passed_over)) if now.passed_over else "")

    def _left(self, language: str) -> str:
        try:
            count = self.library.store.count_without_caption()
        except UserError:  # the head says it
            return ""
        return note(phrase("captions_left", language, count=f"{count:,}"))
