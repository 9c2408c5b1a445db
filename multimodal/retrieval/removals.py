"""Pictures that left the library, why, and how they come back. Each works within a transaction of the caller's."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from multimodal.retrieval.vectors import log_pictures

# Why a picture was removed: its file is gone, or its folder was dropped; or a person wished it, and it stays out.
LOST, DROPPED, TAKEN_OUT = "lost", "dropped", "taken out"


def take_out(connection: sqlite3.Connection, ids: Sequence[int], reason: str) -> int:
    """Take out those of `ids` that are in; returns the removal's number."""
    removal = connection.execute("INSERT INTO removals(at, reason) VALUES (?, ?)", (time.time(), reason)).lastrowid
    gone = [
        id
        for id in map(int, ids)
        if connection.execute("UPDATE pictures SET removal = ? WHERE id = ? AND removal IS NULL", (removal, id)).rowcount
    ]
    log_pictures(connection, gone, gone=True)
    return removal


def note_folder(connection: sqlite3.Connection, removal: int, folder: str, watched: int) -> None:
    """Keep with a removal which folder it dropped, for `bring_back`."""
    connection.execute("UPDATE removals SET folder = ?, watched = ? WHERE id = ?", (folder, watched, removal))


def dropped_folder(connection: sqlite3.Connection, removal: int) -> str | None:
    """The folder that `bring_back` would bring; None where the removal dropped none, or it is there again."""
    row = connection.execute("SELECT folder FROM removals WHERE id = ? AND folder NOT IN (SELECT path FROM folders)", (removal,)).fetchone()
    return row[0] if row else None


def bring_back(connection: sqlite3.Connection, removal: int) -> list[int]:
    """Undo a removal, and bring the folder that it dropped; returns the pictures' ids. Lost ones only come back with a file."""
    rows = connection.execute(
        "SELECT p.id FROM pictures p JOIN removals r ON r.id = p.removal WHERE r.id = ? AND r.reason <> ? ORDER BY p.id", (removal, LOST)
    ).fetchall()
    ids = [row[0] for row in rows]
    connection.executemany("UPDATE pictures SET removal = NULL WHERE id = ?", rows)
    log_pictures(connection, ids, gone=False)
    connection.execute("INSERT OR IGNORE INTO folders SELECT folder, watched FROM removals WHERE id = ? AND folder IS NOT NULL", (removal,))
    connection.execute("UPDATE removals SET folder = NULL WHERE id = ?", (removal,))  # dropped once more, it is another's to undo
    return ids


def purge(connection: sqlite3.Connection, before: float) -> tuple[list[str], list[str]]:
    """Forget for good what was removed before that time: (the hashes that nothing is known of now, the paths of copies as stored)."""
    hashes, copies = [], []
    rows = connection.execute(
        "SELECT p.id, p.hash, r.reason FROM pictures p JOIN removals r ON r.id = p.removal WHERE r.at < ?", (before,)
    ).fetchall()
    for id, hash, reason in rows:
        for space, kind in connection.execute("SELECT id, kind FROM spaces").fetchall():
            items = "SELECT ?" if kind == "picture" else "SELECT id FROM captions WHERE picture = ?"
            connection.execute(f"DELETE FROM vectors_{space} WHERE item IN ({items})", (id,))
        own = connection.execute("DELETE FROM places WHERE picture = ? AND stored RETURNING path", (id,)).fetchall()
        copies += [path for (path,) in own]
        if reason == DROPPED:
            connection.execute("DELETE FROM places WHERE picture = ?", (id,))
        if connection.execute("SELECT 1 FROM places WHERE picture = ?", (id,)).fetchone() is None:
            connection.execute("DELETE FROM words WHERE rowid = ?", (id,))
            connection.execute("DELETE FROM pictures WHERE id = ?", (id,))
            hashes.append(hash)
    return hashes, copies
