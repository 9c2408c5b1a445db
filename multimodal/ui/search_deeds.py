"""What a person does to find pictures."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from multimodal.retrieval.library import Library
from multimodal.retrieval.query import Term
from multimodal.retrieval.records import Picture
from multimodal.ui.deeds import Deeds, skip
from multimodal.ui.picture_details import PictureDetails
from multimodal.ui.results import Results
from multimodal.ui.rights import Rights
from multimodal.ui.search_box import SearchBox
from multimodal.ui.shown import Shown, Wanted, look_up


class SearchDeeds(Deeds):
    """They give values for `outputs`; those that begin anew also for what the search box clears."""

    def __init__(self, library: Library, rights: Rights, box: SearchBox, results: Results, details: PictureDetails):
        super().__init__(library, rights)
        self.box, self.results, self.details = box, results, details

    def outputs(self) -> list:
        """The components that change, in order."""
        return [*self.results.outputs(), *self.details.outputs()]

    def search(self, *values: object) -> list:
        """What the search box and its filters say."""
        *asked, language = values
        return self._find(lambda: self.box.wanted(*asked), language)

    def show_all(self, language: str) -> list:
        """Every picture, newest first."""
        return [*self._find(Wanted, language), *self.box.clear()]

    def show_more(self, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """A page more of the same."""
        return self._find(shown.more, language, picked)

    def show_nearest(self, shown: Shown, language: str) -> list:
        """What comes nearest, where nothing matches."""
        return self._find(shown.anyway, language)

    def like(self, event: gr.EventData, language: str) -> list:
        """Pictures like one of the gallery's."""
        return self._like(lambda: self.sent(event), language)

    def like_opened(self, opened: int | None, language: str) -> list:
        """Pictures like the one that is seen closely."""
        return self._like(lambda: self.known(opened), language)

    def _like(self, picture: Callable[[], Picture], language: str) -> list:
        def find() -> Shown:
            shown = look_up(self.library, Wanted((Term(picture().id),), sort="likeness"))
            # who asks for more of this wants to see something: how unlike it is, the scores say
            return shown if shown.hits else look_up(self.library, shown.anyway())

        return [*self._show(find, language), *self.box.clear()]

    def _find(self, wanted: Callable[[], Wanted], language: str, picked: tuple[int, ...] = ()) -> list:
        return self._show(lambda: look_up(self.library, wanted()), language, picked)

    def _show(self, find: Callable[[], Shown], language: str, picked: tuple[int, ...] = ()) -> list:
        def act() -> list:
            return [*self.results.show(find(), picked, language), *self.details.hide()]

        return self.attempt(act, language, lambda said: [*self.results.refuse(said), *skip(self.details.outputs())])
