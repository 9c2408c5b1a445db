"""What a person does to bring pictures into the library, and to take folders out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from multimodal.errors import UserError
from multimodal.retrieval.library import Library
from multimodal.ui.adding_box import AddingBox, folder_path
from multimodal.ui.deeds import Deeds, sentence, skip
from multimodal.ui.results import Results
from multimodal.ui.rights import Rights
from multimodal.ui.shown import Shown, look_up
from multimodal.ui.undo_bar import Removal, UndoBar


class AddingDeeds(Deeds):
    """Most give values for what the box says and for `watch`, the timer of what is under way; `outputs` are those of what takes out."""

    def __init__(self, library: Library, rights: Rights, box: AddingBox, results: Results, undo_bar: UndoBar):
        super().__init__(library, rights)
        self.box, self.results, self.undo_bar = box, results, undo_bar

    def outputs(self) -> list:
        """The components that change where pictures go, in order."""
        return [self.box.said, *self.undo_bar.outputs(), *self.results.outputs()]

    def take(self, files: list[str] | None, language: str) -> Iterator[list]:
        """Files were dropped: the place for them, what is said, and the timer."""
        self.rights.check_look(language)
        try:
            for said in self.box.take(files or [], language):
                yield [gr.skip(), said, gr.update(active=True)]
            yield [None, gr.skip(), gr.update(active=True)]
        except UserError as error:
            yield [None, sentence(error, language), gr.update(active=True)]

    def add_folder(self, text: str, watched: bool, language: str) -> list:
        """A folder of this computer."""

        def act() -> None:
            path = folder_path(text)
            self.library.adding.add_folder(path)
            if watched:
                self.library.watch_folder(str(path), True)

        return self._direct(act, language)

    def director(self, act: str) -> Callable[[str], list]:
        """The handler that has the adding 'pause', 'resume' or 'cancel'."""

        def direct(language: str) -> list:
            return self._direct(lambda: getattr(self.library.adding, act)(), language)

        return direct

    def rescan(self, path: str | None, language: str) -> list:
        """Look once more what there is in a folder."""
        return self._direct(lambda: self.library.adding.add_folder(Path(self.box.known(path).path)), language)

    def toggle_watch(self, path: str | None, language: str) -> list:
        """Look at a folder's changes from now on, or no longer."""

        def act() -> None:
            folder = self.box.known(path)
            self.library.watch_folder(folder.path, not folder.watched)

        return self._direct(act, language)

    def _direct(self, act: Callable[[], None], language: str) -> list:
        self.rights.check_own(language)

        def done() -> list:
            act()
            return ["", gr.update(active=True)]

        return self.attempt(done, language, lambda said: [said, gr.skip()])

    def drop_folder(self, path: str | None, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """Take a folder out of the library."""
        self.rights.check_own(language)

        def remove() -> Removal:
            folder = self.box.known(path)
            return Removal(self.library.drop_folder(folder.path), "removed_folder", {"path": folder.path})

        return self._remove(remove, shown, picked, language)

    def remove_samples(self, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """Take out the pictures that came along."""
        return self._remove(lambda: Removal(self.library.remove_samples(), "removed_samples"), shown, picked, language)

    def _remove(self, remove: Callable[[], Removal], shown: Shown, picked: tuple[int, ...], language: str) -> list:
        def act() -> list:
            bar = self.undo_bar.show(remove(), language)
            return ["", *bar, *self.results.show(look_up(self.library, shown.wanted), picked, language)]

        rest = skip([*self.undo_bar.outputs(), *self.results.outputs()])
        return self.attempt(act, language, lambda said: [said, *rest])
