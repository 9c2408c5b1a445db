"""The captions of pictures in the store, and the words by which pictures are found. Each works within a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from multimodal.retrieval.records import Caption
from multimodal.retrieval.vectors import log
from multimodal.retrieval.words import tokens

# Pictures of the library that have no caption at all.
BARE = "pictures p WHERE removal IS NULL AND NOT EXISTS (SELECT 1 FROM captions c WHERE c.picture = p.id)"


def add_captions(connection: sqlite3.Connection, picture: int, texts: Sequence[tuple[str, str]]) -> None:
    """Give a picture those of (text, origin) that it lacks, and write its words."""
    there = {text for (text,) in connection.execute("SELECT text FROM captions WHERE picture = ?", (picture,)).fetchall()}
    for text, origin in texts:
        if text not in there:
            _insert(connection, picture, text, origin)
            there.add(text)
    _index_words(connection, picture)


def set_captions(connection: sqlite3.Connection, picture: int, texts: Sequence[tuple[str, str]]) -> list[int]:
    """Put (text, origin) in the place of a picture's captions, and write its words. Returns the ids; the same text twice is one caption."""
    before = connection.execute("SELECT text, id FROM captions WHERE picture = ? ORDER BY id DESC", (picture,)).fetchall()
    first, ids = dict(before), {}
    for text, origin in texts:
        if text not in ids:
            ids[text] = first.get(text) or _insert(connection, picture, text, origin)
    for text, caption in before:
        if ids.get(text) != caption:
            _drop(connection, caption)
    _index_words(connection, picture)
    return list(ids.values())


def captions_of(connection: sqlite3.Connection, ids: Iterable[int]) -> list[Caption]:
    """The captions of `ids`, in their order; unknown ids are passed over."""
    rows = [connection.execute("SELECT id, picture, text, origin FROM captions WHERE id = ?", (int(id),)).fetchone() for id in ids]
    return [Caption(*row) for row in rows if row]


def without_caption(connection: sqlite3.Connection, limit: int, after: int) -> list[int]:
    """Pictures that have no caption at all, by id from `after` on."""
    rows = connection.execute(f"SELECT id FROM {BARE} AND id > ? ORDER BY id LIMIT ?", (after, limit)).fetchall()
    return [row[0] for row in rows]


def count_without_caption(connection: sqlite3.Connection) -> int:
    """How many pictures have no caption at all."""
    return connection.execute(f"SELECT count(*) FROM {BARE}").fetchone()[0]


def _insert(connection: sqlite3.Connection, picture: int, text: str, origin: str) -> int:
    return connection.execute("INSERT INTO captions(picture, text, origin) VALUES (?, ?, ?)", (picture, text, origin)).lastrowid


def _drop(connection: sqlite3.Connection, caption: int) -> None:
    for (space,) in connection.execute("SELECT id FROM spaces WHERE kind = 'caption'").fetchall():
        connection.execute(f"DELETE FROM vectors_{space} WHERE item = ?", (caption,))
        log(connection, space, [caption], gone=True)
    connection.execute("DELETE FROM captions WHERE id = ?", (caption,))


def _index_words(connection: sqlite3.Connection, picture: int) -> None:
    name = connection.execute("SELECT name FROM pictures WHERE id = ?", (picture,)).fetchone()[0]
    texts = [row[0] for row in connection.execute("SELECT text FROM captions WHERE picture = ?", (picture,)).fetchall()]
    connection.execute("DELETE FROM words WHERE rowid = ?", (picture,))
    connection.execute("INSERT INTO words(rowid, name, captions) VALUES (?, ?, ?)", (picture, tokens(name), tokens("\n".join(texts))))
