"""The vectors in the store, and the indexes that were made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from multimodal.retrieval import index_file
from multimodal.retrieval.findings import KINDS, Finding
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.library import Library
from multimodal.retrieval.vectors import log

BLOCK = 4096  # vectors read at once
LENGTH_ERROR = 0.01  # of a unit vector that was rounded to float16
ITEMS = {"picture": "pictures", "caption": "captions"}
CHANGES = {"missing": ("missing", "缺少"), "surplus": ("too many", "多余"), "different": ("different", "不同")}


@dataclass(frozen=True)
class Space:
    """One encoder's vectors of one kind, and the number of their table."""

    id: int
    name: str
    kind: str
    dimension: int


def check_vectors(library: Library, repair: bool, deep: bool) -> Iterator[Finding]:
    """Has every vector its size, and does it belong to something? With `deep`: is it of unit length?"""
    for space in _spaces(library):
        wrong = _wrong(library, space, deep)
        if wrong and repair:
            with library.store.database.writing() as connection:
                connection.executemany(f"DELETE FROM vectors_{space.id} WHERE item = ?", [(item,) for item in wrong])
                log(connection, space.id, wrong, gone=True)
        if wrong:
            yield Finding("vectors_wrong", {"count": len(wrong), "space": space.name}, repair)


def check_indexes(library: Library, repair: bool) -> Iterator[Finding]:
    """Does each index hold what the store holds? One that was not written yet is none that is wrong."""
    folder = library.folder / "index"
    for space in _spaces(library):
        if not index_file.path_of(folder, space.name, space.kind).exists() or _wrong(library, space, deep=False):
            continue
        source = library.store.vectors(space.name, space.kind, space.dimension)
        with closing(NotingKeeper(source, folder, read_only=not repair)) as keeper:
            keeper.open()
            keeper.wait()
            reason = ("damaged, or out of date", "已损坏或过期") if keeper.anew else None
            if not reason and (found := keeper.check()):
                reason = tuple(", ".join(f"{len(one.ids)} {CHANGES[one.what][chinese]}" for one in found) for chinese in (0, 1))
                if repair:
                    keeper.rebuild()
                    keeper.wait()
            if reason:
                yield Finding("index_wrong", {"kind": KINDS[space.kind], "space": space.name, "reason": reason}, repair)


class NotingKeeper(Keeper):
    """A keeper that notes whether it had to make the index anew."""

    anew = False

    def rebuild(self) -> None:
        self.anew = True
        super().rebuild()


def _spaces(library: Library) -> list[Space]:
    with library.store.database.reading() as connection:
        rows = connection.execute("SELECT id, name, kind, dimension FROM spaces ORDER BY id").fetchall()
    return [Space(*row) for row in rows]


def _wrong(library: Library, space: Space, deep: bool) -> list[int]:
    """The items whose vectors are not as they should be."""
    with library.store.database.reading() as connection:
        return _wrong_of(connection, space, deep)


def _wrong_of(connection: sqlite3.Connection, space: Space, deep: bool) -> list[int]:
    rows = connection.execute(
        f"SELECT item FROM vectors_{space.id} WHERE length(vector) <> ? OR item NOT IN (SELECT id FROM {ITEMS[space.kind]})",
        (2 * space.dimension,),
    ).fetchall()
    wrong = [row[0] for row in rows]
    if not deep:
        return wrong
    last = -1
    while rows := connection.execute(
        f"SELECT item, vector FROM vectors_{space.id} WHERE item > ? AND length(vector) = ? ORDER BY item LIMIT ?",
        (last, 2 * space.dimension, BLOCK),
    ).fetchall():
        last = rows[-1][0]
        vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float16).reshape(len(rows), space.dimension)
        lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
        wrong += [rows[row][0] for row in np.flatnonzero(~(abs(lengths - 1) < LENGTH_ERROR))]
    return list(dict.fromkeys(wrong))
