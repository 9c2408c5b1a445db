"""Folders that are watched: what changes in them is looked at after a moment."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.polling import PollingObserver

from multimodal.errors import UserError
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.scan import is_picture, is_skipped
from multimodal.retrieval.store import Store

log = logging.getLogger(__name__)

QUIET_SECONDS = 2.0  # without a change, before a folder is looked at: copying is over then
PATIENCE_SECONDS = 60.0  # after which one that knows no rest is looked at all the same
POLL_SECONDS = 30.0  # between two looks where the system tells nothing
# Not that a file was opened or read: the look at a folder would be the next one's reason.
CHANGES = [
    *(events.FileCreatedEvent, events.FileModifiedEvent, events.FileClosedEvent, events.FileMovedEvent, events.FileDeletedEvent),
    *(events.DirCreatedEvent, events.DirMovedEvent, events.DirDeletedEvent),
]


class Watch:
    """The watched folders of the store, each handed to `adding` when something changes in it. All methods may be called from any thread."""

    def __init__(self, store: Store, adding: Adding, quiet: float = QUIET_SECONDS):
        """`quiet`: seconds without a change after which a folder is looked at."""
        self._store, self._adding, self._quiet = store, adding, quiet
        self._lock = threading.Lock()  # guards the observers
        self._observers: dict[Callable[[], BaseObserver], BaseObserver] = {}
        self._watched: dict[str, tuple[BaseObserver, ObservedWatch]] = {}
        self._change = threading.Condition()  # guards what follows
        self._touched: dict[str, tuple[float, float]] = {}  # folder: when it first changed, and last
        self._closed = False
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch. Each folder is looked at once, for what changed while nobody watched."""
        self._thread.start()
        self.renew()

    def renew(self) -> None:
        """Watch the folders that are to be watched by now, and no others; a new one is looked at. Nothing before `start`."""
        if not self._thread.is_alive():
            return
        wanted = {folder.path for folder in self._store.folders() if folder.watched}
        with self._lock:
            for path in self._watched.keys() - wanted:
                observer, watch = self._watched.pop(path)
                observer.unschedule(watch)
            for path in sorted(wanted - self._watched.keys()):
                self._schedule(path)
                self._touch(path)

    def close(self) -> None:
        """Watch nothing any more."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        with self._lock:
            for observer in self._observers.values():
                observer.stop()
                observer.join()
            self._observers.clear()
            self._watched.clear()
        if self._thread.is_alive():
            self._thread.join()

    def _schedule(self, path: str) -> None:
        handler = _Handler(path, partial(self._touch, path))
        for kind in (Observer, _polling):
            try:
                observer = self._observers.get(kind)
                if observer is None:
                    observer = kind()
                    observer.start()
                    self._observers[kind] = observer
                self._watched[path] = observer, observer.schedule(handler, path, recursive=True, event_filter=CHANGES)
                return
            except OSError as error:
                if not os.path.isdir(path):
                    log.warning("%s is not there, and not watched", path)
                    return
                log.warning("%s cannot be watched (%s): it is looked at from time to time", path, error)

    def _touch(self, path: str) -> None:
        now = time.monotonic()
        with self._change:
            first, _ = self._touched.get(path, (now, now))
            self._touched[path] = first, now
            self._change.notify_all()

    def _look(self) -> None:
        while True:
            with self._change:
                due = {path: min(last + self._quiet, first + PATIENCE_SECONDS) for path, (first, last) in self._touched.items()}
                now = time.monotonic()
                ready = [path for path, when in due.items() if when <= now]
                for path in ready:
                    del self._touched[path]
                if not ready and not self._closed:
                    self._change.wait(min(due.values()) - now if due else None)
                if self._closed:
                    return
            for path in ready:
                self._hand_over(path)

    def _hand_over(self, path: str) -> None:
        try:
            if self._store.has_folder(path):  # it may have been dropped meanwhile
                self._adding.add_folder(Path(path))
        except UserError as error:
            log.warning("%s", error)
        except Exception:  # a fault of ours; one folder is not to end the watching of all
            log.exception("%s could not be looked at", path)


def _polling() -> BaseObserver:
    return PollingObserver(timeout=POLL_SECONDS)


class _Handler(events.FileSystemEventHandler):
    """Calls `touched` for changes below a folder that concern pictures."""

    def __init__(self, folder: str, touched: Callable[[], None]):
        self._folder, self._touched = folder, touched

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Called by the observer's thread."""
        if any(self._concerns(os.fsdecode(path), event.is_directory) for path in (event.src_path, event.dest_path) if path):
            self._touched()

    def _concerns(self, path: str, is_folder: bool) -> bool:
        names = Path(os.path.relpath(path, self._folder)).parts
        return (is_folder or is_picture(path)) and not any(name != ".." and is_skipped(name) for name in names)
