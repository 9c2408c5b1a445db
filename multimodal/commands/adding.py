"""`library add`: files and folders, with how far it has come on stderr."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from multimodal.commands.session import Session, as_path
from multimodal.errors import UserError, length_text
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.answers import of_failure
from multimodal.retrieval.progress import Progress

LOOK_SECONDS = 0.25  # between two lines on a terminal, each in the place of the one before
LOG_SECONDS = 10.0  # between two lines elsewhere
COUNTED = ("added", "unchanged", "failed")


def add(session: Session, options: argparse.Namespace) -> int:
    """1 where something could not be taken, or where it was broken off. Raises UserError."""
    adding, store = session.library.adding, session.library.store
    paths = [as_path(text) for text in options.paths]
    for path in paths:
        if not os.path.exists(path):
            raise UserError("file_missing", name=str(path))
    counts, complete = dict.fromkeys(COUNTED, 0), True
    session.load_encoder()
    follow(session, session.say("filling"))
    try:
        for name, start in _parts(session, paths):
            start()
            _count(counts, follow(session, name))
    except KeyboardInterrupt:
        adding.cancel()
        adding.wait()
        _count(counts, adding.progress)
        complete = False
        session.tell(f"\n{session.say('broken_off')}")
    for folder in filter(os.path.isdir, paths if options.watch else []):
        store.add_folder(str(folder), watched=True)
    failures = [
        {"path": failure.path, **of_failure(failure, session.language)}
        for failure in store.failures()
        if any(path in (Path(failure.path), *Path(failure.path).parents) for path in paths)
    ]
    for failure in failures:
        session.tell(f"{failure['path']}: {failure['message']}")
    session.answer({**counts, "failures": failures, "complete": complete}, session.say("added", **counts))
    return 0 if complete and not failures else 1


def _parts(session: Session, paths: list[Path]) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is to be added one after another, and what it is called: the files together, and each folder."""
    adding: Adding = session.library.adding
    files = [path for path in paths if not os.path.isdir(path)]
    if files:
        yield session.say("files"), partial(adding.add_files, files)
    for folder in filter(os.path.isdir, paths):
        yield str(folder), partial(adding.add_folder, folder)


def _count(counts: dict[str, int], progress: Progress) -> None:
    for what in COUNTED:
        counts[what] += getattr(progress, what)


def follow(session: Session, name: str) -> Progress:
    """Say on stderr how the work that is called `name` goes, until nothing is left to do. Raises UserError where it failed."""
    adding, terminal, shown = session.library.adding, sys.stderr.isatty(), 0
    due = time.monotonic() + (0 if terminal else LOG_SECONDS)
    while not adding.wait(LOOK_SECONDS):
        if time.monotonic() < due:
            continue
        text = progress_text(session, adding.progress, name)
        if terminal:
            print(f"\r{text.ljust(shown)}", end="", file=sys.stderr, flush=True)
            shown = len(text)
        else:
            session.tell(text)
            due = time.monotonic() + LOG_SECONDS
    if shown:
        print(file=sys.stderr)
    progress = adding.progress
    if progress.error:
        raise progress.error.anew()
    return progress


def progress_text(session: Session, progress: Progress, name: str) -> str:
    """One line."""
    if progress.state != "running":
        return session.say("scanning", name=name)
    text = session.say("running", name=name, done=progress.done, total=progress.total, rate=f"{progress.rate:.1f}")
    if progress.seconds_left is None:
        return text
    return text + session.say("left", left=length_text(progress.seconds_left))
