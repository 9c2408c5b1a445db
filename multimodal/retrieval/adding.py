"""Files and folders into the library, one after another in the background, while everything else goes on."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.bringing import Bringing, Refused, Source
from multimodal.retrieval.originals import Originals
from multimodal.retrieval.progress import Meter, Progress
from multimodal.retrieval.records import Failure
from multimodal.retrieval.scan import nameless
from multimodal.retrieval.store import Store
from multimodal.retrieval.tasks import FilesTask, FillTask, FolderTask, Means, Task
from multimodal.retrieval.thumbnails import Thumbnails

if TYPE_CHECKING:
    from multimodal.retrieval.encoder import Encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """What was brought in at once: the pictures' ids, in the order of the files, and the files that were none, by their names."""

    ids: tuple[int, ...]
    failures: tuple[Failure, ...]


class _Ended(Exception):
    """The task was cancelled, or all is being closed."""


class Adding:
    """One thread takes tasks in their order; a few more read ahead for it. All methods may be called from any thread."""

    def __init__(
        self, store: Store, folder: Path, limits: Limits, encoder: Callable[[], Encoder | None], committed: Callable[[], None]
    ) -> None:
        """`folder`: the library's own. `encoder`: the present one, if there is one. `committed` is called after each commit."""
        self._store, self._committed = store, committed
        self._bringing = Bringing(store, Originals(folder / "originals"), Thumbnails(folder / "thumbnails"), limits, encoder)
        self._meter = Meter()
        self._means = Means(self._bringing, folder, self._meter, self._breathe, committed)
        self._change = threading.Condition()  # guards what follows
        self._tasks: deque[Task] = deque()
        self._failed: dict[Task, UserError] = {}
        self._thread: threading.Thread | None = None
        self._at_work = self._paused = self._cancelled = self._closed = False
        self._taking = 0  # calls of `take` under way

    # what to bring in

    def add_folder(self, path: Path) -> None:
        """Remember a folder; then, in the background, read what is new or changed in it and forget what has gone.

        What a person took out stays out. Raises UserError where there is no such folder, or the store cannot be written to.
        """
        path = _absolute(path)
        if shown := nameless(str(path)):
            raise UserError("file_name_unreadable", name=shown)
        if not os.path.isdir(path):  # Path.is_dir raises where a folder above it may not be looked into
            raise UserError("folder_missing", name=str(path))
        self._store.add_folder(str(path))
        self._queue(FolderTask(path))

    def add_files(self, paths: Sequence[Path]) -> None:
        """Read a person's own files, in the background; they stay where they are. What was taken out comes back. Raises UserError."""
        self._queue(FilesTask(tuple(map(_absolute, paths))))

    def fill(self) -> None:
        """Make the vectors that the present encoder lacks, in the background; then let go of other encoders'. Raises UserError."""
        self._queue(FillTask())

    def take(self, files: Sequence[tuple[Path, str]], captions: Sequence[Sequence[str]] = (), sample: bool = False) -> Taken:
        """Copy files, given with their names, into the library, at once; with `captions` of each, if any. What was taken out comes back.

        The pictures have their vectors then, if there is an encoder and it does not fail; the captions get theirs in the background. Raises
        UserError where the library cannot be written to; what came before that is there.
        """
        with self._change:
            self._check_open()
            self._taking += 1
        try:
            return self._take(files, captions or [()] * len(files), sample)
        finally:
            with self._change:
                self._taking -= 1
                self._change.notify_all()

    def _take(self, files: Sequence[tuple[Path, str]], captions: Sequence[Sequence[str]], sample: bool) -> Taken:
        sources = [
            Source(Path(path), name, kept=True, sample=sample, captions=tuple((text, "file") for text in texts))
            for (path, name), texts in zip(files, captions, strict=True)
        ]
        ids: list[int] = []
        failures: list[Failure] = []
        wanting = any(captions)
        for groups in self._bringing.batches(self._bringing.read, self._bringing.encode, sources):
            ids += self._bringing.commit(groups, restore=True)
            refused = [item for group in groups for item in group.items if isinstance(item, Refused)]
            failures += [Failure(item.source.name, item.error.code, item.error.facts) for item in refused]
            wanting = wanting or any(group.failure for group in groups)
            self._committed()
            self._check_open()
        if wanting:
            self.fill()
        return Taken(tuple(ids), tuple(failures))

    # how it goes

    @property
    def progress(self) -> Progress:
        """Of the task under way, or of the last one."""
        with self._change:
            busy, paused, errors = self._at_work or bool(self._tasks), self._paused, list(self._failed.values())
            now = replace(self._meter.read(), error=errors[-1] if errors else None)
        if busy and paused:
            return replace(now, state="paused", rate=0.0, seconds_left=None)
        if busy:
            return now if now.state == "running" else replace(now, state="scanning")
        return replace(now, state="failed") if errors else now

    def pause(self) -> None:
        """Stop after the pictures at hand, until `resume`."""
        with self._change:
            self._paused = True

    def resume(self) -> None:
        """Go on after `pause`, and once more with what failed."""
        with self._change:
            self._paused = False
            self._change.notify_all()
            again = list(self._failed)
        for task in (*again, FillTask()) if again else ():  # what came in while the encoder failed has no vectors
            self._queue(task)

    def cancel(self) -> None:
        """Give up all tasks; what has been committed stays."""
        with self._change:
            self._tasks.clear()
            self._failed.clear()
            self._cancelled, self._paused = self._at_work, False
            self._change.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, `timeout` seconds at most; whether that came about."""
        with self._change:
            return self._change.wait_for(lambda: not (self._at_work or self._tasks), timeout)

    def close(self) -> None:
        """End what is under way, once the pictures at hand are committed."""
        with self._change:
            self._closed = True
            self._tasks.clear()
            self._change.notify_all()
            self._change.wait_for(lambda: not self._taking)
        if self._thread:
            self._thread.join()
        self._bringing.close()

    # the thread

    def _queue(self, task: Task) -> None:
        self._check_open()
        with self._change:
            self._failed.pop(task, None)
            if task not in self._tasks:
                self._tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="adding", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise UserError("library_closed")
        if self._store.database.read_only:
            raise UserError("library_read_only")

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._tasks or self._closed)
                if self._closed:
                    return
                task = self._tasks.popleft()
                self._at_work = True
            self._meter.begin()
            error = self._attempt(task)
            with self._change:
                if error and not self._cancelled:
                    self._failed[task] = error
                self._meter.end("cancelled" if self._cancelled else "idle")
                self._at_work = self._cancelled = False
                self._change.notify_all()

    def _attempt(self, task: Task) -> UserError | None:
        try:
            self._breathe()
            task.run(self._means)
        except _Ended:
            pass
        except UserError as error:
            log.error("%s", error)
            return error
        except Exception as error:  # a fault of ours; nobody else hears of this thread's end
            log.exception("Adding pictures failed")
            return UserError("library_failed", reason=type(error).__name__)
        return None

    def _breathe(self) -> None:
        with self._change:
            if self._paused and not self._closed:
                self._change.wait_for(lambda: not self._paused or self._closed)
                if self._meter.read().state == "running":
                    self._meter.run()
            if self._cancelled or self._closed:
                raise _Ended


def _absolute(path: Path) -> Path:
    """Without links resolved: the path by which a person knows it."""
    return Path(os.path.abspath(os.path.expanduser(path)))
