"""What a person does with one picture."""

from __future__ import annotations

import gradio as gr

from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.ui.deeds import Deeds
from multimodal.ui.picture_details import PictureDetails
from multimodal.ui.rights import Rights
from multimodal.ui.served import Served
from multimodal.ui.shown import Shown


class PictureDeeds(Deeds):
    """They show it in the details."""

    def __init__(self, desk: Desk, rights: Rights, details: PictureDetails, served: Served):
        super().__init__(desk.library, rights)
        self.limit, self.details, self.served = desk.limits.files, details, served

    def open(self, event: gr.EventData, shown: Shown, language: str) -> list:
        """See one of the gallery's pictures closely."""

        def act() -> list:
            picture = self.sent(event)
            return self.details.show(picture, shown.score(picture.id), language)

        return self.attempt(act, language, self.details.refuse)

    def close(self, language: str) -> list:
        """Back to the gallery."""
        return self.attempt(self.details.hide, language, self.details.refuse)

    def fetch(self, opened: int | None, language: str) -> list:
        """The picture's file as it is, and what is to be said."""
        return self.attempt(lambda: [self.served.original(self.known(opened)), ""], language, lambda said: [None, said])

    def save_captions(self, opened: int | None, text: str, language: str) -> list:
        """Other captions for the picture."""
        return self.attempt(
            lambda: self.details.save_captions(self.known(opened), text, language), language, lambda said: [said, gr.skip()]
        )

    def ask_about(self, opened: int | None, question: dict | None, language: str) -> list:
        """Put the picture into the chat's box, beside what is in it, and go there: the tabs, the box, and what is to be said."""

        def act() -> list:
            asked = question or {}
            files = [*(asked.get("files") or []), self.served.original(self.known(opened))]
            if len(files) > self.limit:
                raise UserError("too_many_files", count=len(files), limit=self.limit)
            return [gr.update(selected="chat"), {"text": asked.get("text") or "", "files": files}, ""]

        return self.attempt(act, language, lambda said: [gr.skip(), gr.skip(), said])
