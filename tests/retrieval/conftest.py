"""Shared parts: a folder that may not be looked into; a store; files brought into it with a stand-in for an encoder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multimodal.media import Limits
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.store import Store, open_store
from tests.retrieval.projection import Projection


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """closed(folder): nobody may look into it any more, not even the superuser, whom no mode keeps out."""

    def close(folder: Path) -> None:
        def scandir(path: str) -> Iterator[os.DirEntry]:
            if path == str(folder):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return open_folder(path)

        open_folder = os.scandir
        monkeypatch.setattr("multimodal.retrieval.scan.os.scandir", scandir)

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
