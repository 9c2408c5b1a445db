"""Pictures into the library: dropped files, folders of this computer, how far it is, and what could not be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from multimodal.errors import UserError, length_text
from multimodal.retrieval.library import Library
from multimodal.retrieval.progress import Progress
from multimodal.retrieval.records import Failure, Folder
from multimodal.ui.bars import note, work
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.translated import Translated

PART = 16  # dropped files that are taken between two steps of the bar
LISTED = 100  # files that could not be read
RUNNING, HALTED, BUSY = ("scanning", "running"), ("paused", "failed"), ("scanning", "running", "paused")


class State(NamedTuple):
    """What is known of the library's growing: the progress's state, how many failed, how many pictures there are, the store's last change,
    and the folders, each (path, watched)."""

    progress: str
    failed: int
    count: int
    sequence: int
    folders: tuple[tuple[str, bool], ...]


class AddingBox:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, library: Library, texts: Translated, rights: Rights):
        self.library, self.rights = library, rights
        with texts.make(gr.Accordion, {"label": "adding"}, open=False, elem_id="adding") as self.accordion:
            self.drop = texts.make(gr.File, {"label": "drop_pictures"}, file_count="multiple", height=150, elem_id="drop-pictures")
            with gr.Column(visible=rights.own):
                self.folder = texts.make(gr.Textbox, {"label": "add_folder", "info": "add_folder_info"}, max_lines=1, elem_id="add-folder")
                self.watch = texts.make(gr.Checkbox, {"label": "watch_folder"}, elem_id="watch-folder")
                self.add = texts.button("add", "add", variant="primary")
            self.said = gr.HTML(elem_id="adding-said", elem_classes="said")
            self.progress = gr.HTML(elem_id="adding-progress", elem_classes="said")
            with gr.Row():
                self.pause = texts.button("pause", "pause-adding", visible=False)
                self.resume = texts.button("resume", "resume-adding", visible=False)
                self.cancel = texts.button("cancel", "cancel-adding", visible=False)
            with gr.Column(visible=False) as self.folder_tools:
                self.folders = texts.make(gr.Dropdown, {"label": "library_folders"}, choices=[], elem_id="folders")
                with gr.Row():
                    self.rescan = texts.button("rescan_folder", "rescan-folder")
                    self.toggle = texts.button("toggle_watch", "toggle-watch")
                    self.forget = texts.button("drop_folder", "drop-folder", variant="stop")
            self.failures = gr.HTML(elem_id="failures", elem_classes="said")
            self.samples = texts.button("remove_samples", "remove-samples", visible=False)

    # what is shown

    def state(self) -> State:
        """Differs when something has changed that `refresh` shows beside the progress. Raises UserError."""
        now, store = self.library.adding.progress, self.library.store
        folders = tuple((folder.path, folder.watched) for folder in store.folders())
        return State(now.state, now.failed, store.count(), store.database.sequence(), folders)

    @property
    def busy(self) -> bool:
        """Whether pictures are being added at this moment."""
        return not self.library.failure and self.library.adding.progress.state in BUSY

    def refreshed(self) -> list:
        """The components that `refresh` gives values for, in its order."""
        return [self.progress, self.pause, self.resume, self.cancel, self.folders, self.folder_tools, self.failures, self.samples]

    def refresh(self, language: str, changed: bool, gone: bool) -> list:
        """Everything that changes by itself; what changes with `state` only where it has `changed`. Where a folder has `gone`, none is
        chosen any more. Raises UserError.
        """
        now = self.library.adding.progress
        return [
            progress_html(now, language),
            *(gr.update(visible=self.rights.own and now.state in states) for states in (RUNNING, HALTED, BUSY)),
            *(self._changed(language, gone) if changed else [gr.skip()] * 4),
        ]

    def _changed(self, language: str, gone: bool) -> list:
        store = self.library.store
        folders = store.folders() if self.rights.own else []
        choices = [(_folder_text(folder, language), folder.path) for folder in folders]
        return [
            gr.update(choices=choices, **({"value": None} if gone else {})),
            gr.update(visible=bool(folders)),
            failures_html(store.failures(), language) if self.rights.own else "",
            gr.update(visible=bool(store.sample_ids())),
        ]

    # what a person does

    def take(self, files: list[str], language: str) -> Iterator[str]:
        """Copy uploaded files into the library, some at a time; what is to be said meanwhile and in the end. Raises UserError."""
        count, failures = 0, []
        for start in range(0, len(files), PART):
            yield work(phrase("adding_running", language), _files_text(start, len(files), language), start, len(files))
            taken = self.library.take([(Path(path), Path(path).name) for path in files[start : start + PART]])
            count += len(taken.ids)
            failures += taken.failures
        yield note(phrase("took", language, count=count) if count else "") + failures_html(failures, language)

    def known(self, path: str | None) -> Folder:
        """The folder that was chosen. Raises UserError where it is none of the library's."""
        for folder in self.library.store.folders():
            if folder.path == path:
                return folder
        raise UserError("folder_missing", name=path or "…")


def folder_path(text: str) -> Path:
    """What was typed or pasted, as an absolute path. Raises UserError where that is no folder."""
    written = text.strip().strip("\"'")  # as Windows copies a path
    try:
        path = Path(os.path.abspath(Path(written).expanduser()))
        if written and path.is_dir():
            return path
    except (OSError, RuntimeError, ValueError):  # a path that none can have, '~' of nobody
        pass
    raise UserError("folder_missing", name=written or "…")


def progress_text(now: Progress, language: str) -> str:
    """How far it is, at which pace, and how long it will take."""
    text = _files_text(now.done, now.total, language)
    if now.rate:
        text += phrase("adding_rate", language, rate=f"{now.rate:.1f}")
    return text if now.seconds_left is None else text + phrase("time_left", language, time=length_text(now.seconds_left))


def progress_html(now: Progress, language: str) -> str:
    """A bar while pictures are being added, a sentence once that has ended."""
    if now.state in BUSY:
        return work(phrase(f"adding_{now.state}", language), progress_text(now, language), now.done, now.total)
    if now.state == "failed" and now.error:
        return note(f"⚠️ {now.error.say(language)}")
    if now.state == "cancelled":
        return note(phrase("adding_cancelled", language))
    if now.done:
        return note(phrase("adding_done", language, added=now.added, unchanged=now.unchanged, failed=now.failed))
    return ""


def failures_html(failures: list[Failure], language: str) -> str:
    """The files that could not be read, each with its reason."""
    if not failures:
        return ""
    rows = "".join(
        f"<li>{escape(UserError(failure.code, **failure.facts).say(language))}<small>{escape(failure.path)}</small></li>"
        for failure in failures[:LISTED]
    )
    summary = escape(phrase("failures", language, count=len(failures)))
    return f"<details class='failures'><summary>⚠️ {summary}</summary><ul>{rows}</ul></details>"


def _files_text(done: int, total: int, language: str) -> str:
    return phrase("adding_files", language, done=f"{done:,}", total=f"{total:,}")


def _folder_text(folder: Folder, language: str) -> str:
    name = "folder_choice_watched" if folder.watched else "folder_choice"
    return phrase(name, language, path=folder.path, count=folder.pictures)
