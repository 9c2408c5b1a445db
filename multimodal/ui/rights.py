"""What those who see the screen may do with the picture library."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from multimodal.errors import UserError
from multimodal.settings import Settings
from multimodal.ui.phrases import phrase


@dataclass(frozen=True)
class Rights:
    """By the settings alone: the screen cannot tell its people apart. Handlers ask it, for one can be called without its button."""

    settings: Settings

    @property
    def look(self) -> bool:
        """Whether the library is there: to look at, to search and to change."""
        return self.settings.share_library or not self.settings.shared

    @property
    def own(self) -> bool:
        """Whether this computer's folders and encoders are there to be chosen, and whether one is told where files are."""
        return not self.settings.shared

    def check_look(self, language: str) -> None:
        """Raises gr.Error, which the page shows as it is."""
        if not self.look:
            raise gr.Error(UserError("library_not_shared").say(language), print_exception=False)

    def check_own(self, language: str) -> None:
        """Raises gr.Error, which the page shows as it is."""
        self.check_look(language)
        if not self.own:
            raise gr.Error(phrase("library_owners_only", language), print_exception=False)
