"""What a person does with several pictures at once, and how what was taken out comes back."""

from __future__ import annotations

from collections.abc import Callable, Collection

import gradio as gr

from multimodal.retrieval.export import export
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture
from multimodal.ui.deeds import Deeds, skip
from multimodal.ui.fetched import fetched_file
from multimodal.ui.picture_details import PictureDetails
from multimodal.ui.results import Results
from multimodal.ui.rights import Rights
from multimodal.ui.shown import Shown, look_up
from multimodal.ui.undo_bar import Removal, UndoBar


class SelectionDeeds(Deeds):
    """`outputs` are those of what takes pictures out."""

    def __init__(self, library: Library, rights: Rights, results: Results, details: PictureDetails, undo_bar: UndoBar):
        super().__init__(library, rights)
        self.results, self.details, self.undo_bar = results, details, undo_bar

    def outputs(self) -> list:
        """The components that change where pictures go, in order."""
        return [*self.results.outputs(), *self.details.outputs(), *self.undo_bar.outputs()]

    def pick(self, event: gr.EventData, shown: Shown, language: str) -> list:
        """These are marked now; the page shows it already."""
        sent = event._data.get("ids") if isinstance(event._data, dict) else None
        picked = tuple(id for id in sent if type(id) is int) if isinstance(sent, list) else ()
        return self._mark(shown, picked, language, drawn=True)

    def pick_all(self, shown: Shown, language: str) -> list:
        """All that are shown are marked."""
        return self._mark(shown, shown.ids, language)

    def pick_none(self, shown: Shown, language: str) -> list:
        """None is marked."""
        return self._mark(shown, (), language)

    def _mark(self, shown: Shown, picked: tuple[int, ...], language: str, drawn: bool = False) -> list:
        return self.attempt(lambda: self.results.mark(shown, picked, language, drawn), language, lambda _: skip(self.results.marked()))

    def exporter(self, form: str) -> Callable[..., list]:
        """The handler that writes what is marked, or else all that is shown: the file as 'csv', 'json' or 'zip', and what is said."""

        def write(shown: Shown, picked: tuple[int, ...], language: str) -> list:
            def act() -> list:
                with fetched_file(f"pictures.{form}") as path:
                    export(self.library, picked or shown.ids, form, path, self._where)
                return [str(path), ""]

            return self.attempt(act, language, lambda said: [None, said])

        return write

    def _where(self, picture: Picture) -> dict[str, object]:
        return {"paths": [place.path for place in picture.places]} if self.rights.own else {}

    def remove_picked(self, shown: Shown, picked: tuple[int, ...], opened: int | None, language: str) -> list:
        """Take what is marked out of the library."""
        return self._remove(shown, picked, set(picked), opened, language)

    def remove_opened(self, shown: Shown, picked: tuple[int, ...], opened: int | None, language: str) -> list:
        """Take the picture that is seen closely out of the library."""
        return self._remove(shown, picked, {opened} - {None}, opened, language)

    def _remove(self, shown: Shown, picked: tuple[int, ...], ids: Collection[int], opened: int | None, language: str) -> list:
        def act() -> list:
            details = self.details.hide() if opened in ids else skip(self.details.outputs())
            bar = self.undo_bar.show(self.undo_bar.take_out(ids), language)
            return [*self.results.show(shown.without(ids), picked, language), *details, *bar]

        rest = skip([*self.details.outputs(), *self.undo_bar.outputs()])
        if not ids:  # a second click
            return [*skip(self.results.outputs()), *rest]
        return self.attempt(act, language, lambda said: [*self.results.refuse(said), *rest])

    def undo(self, removal: Removal | None, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """Bring back what was taken out."""

        def act() -> list:
            bar = self.undo_bar.take_back(removal, language)
            return [*self.results.show(look_up(self.library, shown.wanted), picked, language), *skip(self.details.outputs()), *bar]

        rest = skip([*self.details.outputs(), *self.undo_bar.outputs()])
        return self.attempt(act, language, lambda said: [*self.results.refuse(said), *rest])

    def hide_undo(self, language: str) -> list:
        """Let the offer go."""
        return self.attempt(lambda: self.undo_bar.show(None, language), language, lambda _: skip(self.undo_bar.outputs()))
