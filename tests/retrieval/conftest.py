"""Shared parts: a folder that may not be looked into; a store; files brought into it with a stand-in for an encoder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from multimodal.media import Limits
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.store import Store, open_store
from tests.retrieval.projection import Projection


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """closed(path): nobody may look into this folder, or open this file, until `monkeypatch.undo()`: not even the superuser, whom no mode
    keeps out."""

    def close(path: Path) -> None:
        def scandir(folder: str) -> Iterator[os.DirEntry]:
            return refuse(folder) if folder == str(path) else open_folder(folder)

        def opened(file: Path, *arguments: object, **options: object) -> IO:
            return refuse(file) if file == path else open_file(file, *arguments, **options)

        def refuse(what: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(what))

        def exists(inner: str) -> bool:
            return path not in Path(inner).parents and is_there(inner)

        open_folder, open_file, is_there = os.scandir, Path.open, os.path.exists
        monkeypatch.setattr("multimodal.retrieval.scan.os.scandir", scandir)
        monkeypatch.setattr("multimodal.retrieval.tasks.os.path.exists", exists)
        monkeypatch.setattr(Path, "open", opened)

    return close


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one, in `tmp_path / 'library'`."""
    (tmp_path / "library").mkdir()
    store = open_store(tmp_path / "library")
    yield store
    store.database.close()


class Desk:
    """Pictures on their way into a store. `encoder` may be changed at any time; `commits` are counted."""

    def __init__(self, store: Store, encoder: Projection | None):
        self.store, self.encoder, self.commits = store, encoder, 0
        self.folder = store.database.path.parent
        self.adding = Adding(store, self.folder, Limits(), lambda: self.encoder, self._count)

    def _count(self) -> None:
        self.commits += 1

    def done(self) -> None:
        """Wait until nothing is left to do."""
        assert self.adding.wait(30)

    def vectors(self, kind: str = "picture") -> int:
        """How many the present encoder's space has."""
        return self.store.vectors(self.encoder.space, kind, self.encoder.dimension).count()


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    """One with a stand-in for an encoder."""
    desk = Desk(store, Projection())
    yield desk
    desk.adding.close()
