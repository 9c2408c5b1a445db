"""The vectors of one encoder's space in the store, with the log of their changes. A `keeper.Source`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np

from multimodal.retrieval.database import Database
from multimodal.retrieval.records import Changes

LOG_LENGTH = 200_000  # changes kept of a space; an index that is further behind is made anew
CUT_EVERY = 64  # sequence numbers between two looks at the log's length
# What of a space counts: the items whose picture is in the library.
PRESENT = {
    "picture": "FROM {table} v JOIN pictures p ON p.id = v.item WHERE p.removal IS NULL",
    "caption": "FROM {table} v JOIN captions c ON c.id = v.item JOIN pictures p ON p.id = c.picture WHERE p.removal IS NULL",
}


class VectorTable:
    """float16 vectors [dimension] of unit length, one an item: of pictures by their ids, or of captions by theirs."""

    def __init__(self, database: Database, space: str, kind: str, dimension: int):
        self.database, self.space, self.kind, self.dimension = database, space, kind, dimension
        self._id: int | None = None

    def put(self, ids: Sequence[int], vectors: np.ndarray) -> None:
        """Store `vectors` [n, dimension] for `ids`, in one transaction. Raises UserError."""
        with self.database.writing() as connection:
            table = self._table(connection, make=True)
            stored = np.ascontiguousarray(vectors, dtype=np.float16)
            connection.executemany(
                f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", [(item, row.tobytes()) for item, row in zip(ids, stored, strict=True)]
            )
            log(connection, self._id, ids, gone=False)

    def sequence(self) -> int:
        """The number of the last change of anything in the store."""
        return self.database.sequence()

    def count(self) -> int:
        """How many vectors count."""
        with self.database.reading() as connection:
            table = self._table(connection)
            return connection.execute(f"SELECT count(*) {self._present(table)}").fetchone()[0] if table else 0

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids int64 [n], vectors float16 [n, dimension]) in ascending order of the ids, `size` at most at once."""
        last = 0
        while True:
            with self.database.reading() as connection:
                table = self._table(connection)
                if table is None:
                    return
                rows = connection.execute(
                    f"SELECT v.item, v.vector {self._present(table)} AND v.item > ? ORDER BY v.item LIMIT ?", (last, size)
                ).fetchall()
            if not rows:
                return
            yield self._arrays(rows)
            last = rows[-1][0]

    def vectors(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the ones of `ids` that count, int64 [n]; their vectors, float16 [n, dimension]) in ascending order of the ids."""
        rows: list[tuple[int, bytes]] = []
        with self.database.reading() as connection:
            table = self._table(connection)
            if table:
                wanted = sorted({int(item) for item in ids})
                for start in range(0, len(wanted), 500):
                    part = wanted[start : start + 500]
                    marks = ",".join("?" * len(part))
                    rows += connection.execute(
                        f"SELECT v.item, v.vector {self._present(table)} AND v.item IN ({marks}) ORDER BY v.item", part
                    )
        return self._arrays(rows)

    def changes(self, since: int) -> Changes | None:
        """What came and went after the sequence number `since`; None where the log does not reach back that far."""
        with self.database.reading() as connection:
            now = self.database.sequence()
            table = self._table(connection)
            if table is None:
                return Changes(np.empty(0, np.int64), np.empty(0, np.int64), now)
            floor = connection.execute("SELECT floor FROM spaces WHERE id = ?", (self._id,)).fetchone()[0]
            if since < floor or since > now:
                return None
            rows = connection.execute(
                "SELECT item, gone FROM changes WHERE space = ? AND sequence > ? ORDER BY sequence, rowid", (self._id, since)
            ).fetchall()
        last = dict(rows)
        added = np.array([item for item, gone in last.items() if not gone], np.int64)
        removed = np.array([item for item, gone in last.items() if gone], np.int64)
        return Changes(added, removed, now)

    def _table(self, connection: sqlite3.Connection, make: bool = False) -> str | None:
        row = connection.execute("SELECT id, dimension FROM spaces WHERE name = ? AND kind = ?", (self.space, self.kind)).fetchone()
        if row is None and make:
            row = connection.execute(
                "INSERT INTO spaces(name, kind, dimension, floor) SELECT ?, ?, ?, sequence FROM counter RETURNING id, dimension",
                (self.space, self.kind, self.dimension),
            ).fetchone()
            connection.execute(f"CREATE TABLE vectors_{row[0]}(item INTEGER PRIMARY KEY, vector BLOB NOT NULL)")
        if row is None:
            return None
        self._id = row[0]
        return f"vectors_{row[0]}"

    def _present(self, table: str) -> str:
        return PRESENT[self.kind].format(table=table)

    def _arrays(self, rows: list[tuple[int, bytes]]) -> tuple[np.ndarray, np.ndarray]:
        ids = np.array([row[0] for row in rows], np.int64)
        vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float16)
        return ids, vectors.reshape(len(rows), self.dimension)


def log(connection: sqlite3.Connection, space: int, items: Sequence[int], gone: bool) -> None:
    """Write into the log, under a new sequence number, that `items` of a space came or went; cut the logs that have grown too long."""
    sequence = connection.execute("UPDATE counter SET sequence = sequence + 1 RETURNING sequence").fetchone()[0]
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?)", [(space, sequence, item, gone) for item in items])
    if sequence % CUT_EVERY:
        return
    for (each,) in connection.execute("SELECT id FROM spaces").fetchall():
        floor = connection.execute(
            "SELECT sequence FROM changes WHERE space = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?", (each, LOG_LENGTH)
        ).fetchone()
        if floor:
            connection.execute("DELETE FROM changes WHERE space = ? AND sequence <= ?", (each, floor[0]))
            connection.execute("UPDATE spaces SET floor = ? WHERE id = ?", (floor[0], each))


def log_pictures(connection: sqlite3.Connection, pictures: Sequence[int], gone: bool) -> None:
    """Write into the log of every space that `pictures`, and their captions, came back or went."""
    for space, kind in connection.execute("SELECT id, kind FROM spaces").fetchall():
        if kind == "picture":
            candidates = list(pictures)
        else:
            candidates = [
                row[0]
                for picture in pictures
                for row in connection.execute("SELECT id FROM captions WHERE picture = ?", (picture,)).fetchall()
            ]
        if not gone:
            candidates = [
                item for item in candidates if connection.execute(f"SELECT 1 FROM vectors_{space} WHERE item = ?", (item,)).fetchone()
            ]
        if candidates:
            log(connection, space, candidates, gone)
