"""What all handlers of the library tab have in common: who may not is refused, and what fails is told in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import gradio as gr

from multimodal.errors import UserError
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture
from multimodal.ui.bars import note
from multimodal.ui.rights import Rights

Values = TypeVar("Values")


class Deeds:
    """Handlers of events. Each takes the language last."""

    def __init__(self, library: Library, rights: Rights):
        self.library, self.rights = library, rights

    def attempt(self, act: Callable[[], Values], language: str, refused: Callable[[str], Values]) -> Values:
        """What `act` gives; where it raises UserError, what `refused` makes of its sentence, in HTML. Raises gr.Error for a visitor."""
        self.rights.check_look(language)
        try:
            return act()
        except UserError as error:
            return refused(sentence(error if self.rights.own else error.unlocated(), language))

    def sent(self, event: gr.EventData) -> Picture:
        """The picture whose id the page sent with an event. Raises UserError."""
        return self.known(event._data.get("id") if isinstance(event._data, dict) else None)

    def known(self, id: object) -> Picture:
        """The library's picture of that id. Raises UserError where there is none."""
        if type(id) is not int:
            raise UserError("picture_gone", id="…")
        return self.library.picture(id)


def sentence(error: UserError, language: str) -> str:
    """What is wrong, in HTML."""
    return note(f"⚠️ {error.say(language)}")


def skip(components: Sequence[object]) -> list:
    """As they are."""
    return [gr.skip()] * len(components)
