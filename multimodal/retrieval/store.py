"""The library's pictures, places, folders, captions and failures in SQLite: the truth that everything else is derived from."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from multimodal.retrieval import captions, removals
from multimodal.retrieval.database import Database
from multimodal.retrieval.records import Caption, Failure, Filter, Folder, NewPicture, Picture, Place
from multimodal.retrieval.removals import DROPPED, LOST, TAKEN_OUT
from multimodal.retrieval.vectors import VectorTable, log_pictures
from multimodal.retrieval.words import match

SORTS = {
    "newest": "p.taken DESC, p.id DESC",
    "oldest": "p.taken, p.id",
    "added": "p.added DESC, p.id DESC",
    "name": "p.name COLLATE NOCASE, p.id",
}


class Store:
    """Reads from any thread; writes one transaction at a time. What a method that writes returns from is on the disk."""

    def __init__(self, database: Database):
        self.database = database

    # pictures

    def add(self, pictures: Sequence[NewPicture], space: str | None = None, restore: bool = True) -> list[int]:
        """Put `pictures` in, in one transaction; returns their ids. Vectors they carry are of `space`. Raises UserError.

        The same bytes twice are one picture with two places. One that a person took out comes back with `restore` alone; one whose file
        was lost comes back in any case, with its vector. One that is there already gets the captions that it lacks. What a changed file
        held before is lost, if no other file holds it.
        """
        ids, came, left = [], [], []
        with self.database.writing() as connection:
            for new in pictures:
                row = connection.execute(
                    "SELECT p.id, r.reason FROM pictures p LEFT JOIN removals r ON r.id = p.removal WHERE p.hash = ?", (new.hash,)
                ).fetchone()
                if row is None:
                    picture = self._insert(connection, new)
                else:
                    picture = row[0]
                    if new.captions:
                        captions.add_captions(connection, picture, new.captions)
                    if row[1] in (LOST, DROPPED) or (row[1] == TAKEN_OUT and restore):
                        connection.execute("UPDATE pictures SET removal = NULL WHERE id = ?", (picture,))
                        came.append(picture)
                ids.append(picture)
                place = new.place
                path = self._written(place)
                left += connection.execute("SELECT picture FROM places WHERE path = ? AND picture <> ?", (path, picture)).fetchall()
                connection.execute(
                    "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)", (path, picture, place.bytes, place.modified, place.stored)
                )
                connection.execute("DELETE FROM failures WHERE path = ?", (path,))
            with_vectors = {picture: new.vector for picture, new in zip(ids, pictures, strict=True) if new.vector is not None}
            if with_vectors:
                vectors = np.stack(list(with_vectors.values()))
                self.vectors(space, "picture", vectors.shape[1]).put(list(with_vectors), vectors)
            if came:
                log_pictures(connection, came, gone=False)
            self._lose(connection, [picture for (picture,) in left])
        return ids

    def _insert(self, connection: sqlite3.Connection, new: NewPicture) -> int:
        picture = connection.execute(
            "INSERT INTO pictures(hash, name, bytes, width, height, taken, added, exif, signature, sample)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.hash,
                unicodedata.normalize("NFC", new.name),  # macOS hands an é over as two signs, and nobody types it so
                new.place.bytes,
                new.width,
                new.height,
                new.taken,
                time.time(),
                json.dumps(dict(new.exif), ensure_ascii=False),
                new.signature,
                new.sample,
            ),
        ).lastrowid
        captions.add_captions(connection, picture, new.captions)
        return picture

    def known(self, hash: str, place: Place, space: str | None) -> NewPicture | None:
        """The picture with these bytes, be it removed, as it can be added again with `place`.

        None where there is none, or it has no vector of `space` yet. Without a `space` no vector is asked for.
        """
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT id, name, width, height, taken, signature, exif, sample FROM pictures WHERE hash = ?", (hash,)
            ).fetchone()
            if row is None or not (space is None or self._has_vector(connection, space, row[0])):
                return None
        _, name, width, height, taken, signature, exif, sample = row
        return NewPicture(hash, name, place, width, height, taken, signature, json.loads(exif), sample=bool(sample))

    def _has_vector(self, connection: sqlite3.Connection, space: str, picture: int) -> bool:
        table = connection.execute("SELECT id FROM spaces WHERE name = ? AND kind = 'picture'", (space,)).fetchone()
        return bool(table) and connection.execute(f"SELECT 1 FROM vectors_{table[0]} WHERE item = ?", (picture,)).fetchone() is not None

    def picture(self, id: int) -> Picture | None:
        """One picture, also a removed one."""
        return next(iter(self._pictures([id])), None)

    def pictures(self, ids: Iterable[int]) -> list[Picture]:
        """The pictures of `ids`, in their order; unknown ids are passed over."""
        wanted = [int(id) for id in ids]  # SQLite takes NumPy's for something else
        found = {picture.id: picture for start in range(0, len(wanted), 500) for picture in self._pictures(wanted[start : start + 500])}
        return [found[id] for id in wanted if id in found]

    def _pictures(self, ids: list[int]) -> list[Picture]:
        marks = ",".join("?" * len(ids))
        places: dict[int, list[Place]] = {}
        said: dict[int, list[Caption]] = {}
        with self.database.reading() as connection:
            for path, picture, size, modified, stored in connection.execute(
                f"SELECT path, picture, bytes, modified, stored FROM places WHERE picture IN ({marks}) ORDER BY stored, path", ids
            ):
                places.setdefault(picture, []).append(Place(self._found(path) if stored else path, size, modified, bool(stored)))
            for row in connection.execute(f"SELECT id, picture, text, origin FROM captions WHERE picture IN ({marks}) ORDER BY id", ids):
                said.setdefault(row[1], []).append(Caption(*row))
            return [
                Picture(
                    *row[:8],
                    json.loads(row[8]),
                    bool(row[9]),
                    row[10] is not None,
                    tuple(places.get(row[0], ())),
                    tuple(said.get(row[0], ())),
                )
                for row in connection.execute(
                    f"SELECT id, hash, name, bytes, width, height, taken, added, exif, sample, removal FROM pictures WHERE id IN ({marks})",
                    ids,
                )
            ]

    def ids(self, wanted: Filter | None = None, sort: str = "newest", limit: int = -1, offset: int = 0) -> np.ndarray:
        """int64 [n]: the pictures that `wanted` describes, sorted by 'newest', 'oldest', 'added' or 'name'."""
        where, values = self._where(wanted or Filter())
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT p.id FROM pictures p WHERE {where} ORDER BY {SORTS[sort]} LIMIT ? OFFSET ?", (*values, limit, offset)
            ).fetchall()
        return np.array([row[0] for row in rows], np.int64)

    def count(self, wanted: Filter | None = None) -> int:
        """How many pictures there are, or how many `wanted` describes."""
        where, values = self._where(wanted or Filter())
        with self.database.reading() as connection:
            return connection.execute(f"SELECT count(*) FROM pictures p WHERE {where}", values).fetchone()[0]

    def _where(self, wanted: Filter) -> tuple[str, list]:
        terms, values = ["p.removal IS NULL"], []
        if wanted.folder:
            within, paths = _below(wanted.folder)
            terms.append(f"EXISTS (SELECT 1 FROM places f WHERE f.picture = p.id AND ({within}))")
            values += paths
        if wanted.since is not None:
            terms.append("p.taken >= ?")
            values.append(wanted.since)
        if wanted.until is not None:
            terms.append("p.taken < ?")
            values.append(wanted.until)
        if wanted.name:
            # names that were stored before they were normalised are there, too
            forms = dict.fromkeys(unicodedata.normalize(form, wanted.name) for form in ("NFC", "NFD"))
            terms.append(f"({' OR '.join(['instr(lower(p.name), lower(?)) > 0'] * len(forms))})")
            values += forms
        if wanted.text:
            query = match(wanted.text)
            terms.append("p.id IN (SELECT rowid FROM words WHERE words MATCH ?)" if query else "0")
            values += [query] if query else []
        return " AND ".join(terms), values

    def sample_ids(self) -> list[int]:
        """The pictures that came along with the desk."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT id FROM pictures WHERE sample AND removal IS NULL").fetchall()
        return [row[0] for row in rows]

    def was_used(self) -> bool:
        """Whether there ever was a picture in it."""
        with self.database.reading() as connection:
            return connection.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'pictures'").fetchone() is not None

    def signatures(self) -> tuple[np.ndarray, list[bytes], np.ndarray]:
        """(ids int64 [n] ascending, their perceptual signatures, float64 [3, n]: pixels, bytes and when they were taken)."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT id, signature, width * height, bytes, taken FROM pictures WHERE removal IS NULL ORDER BY id"
            ).fetchall()
        facts = np.array([row[2:] for row in rows], np.float64).reshape(len(rows), 3).T
        return np.array([row[0] for row in rows], np.int64), [row[1] for row in rows], facts

    # removal

    def remove(self, ids: Sequence[int], reason: str = TAKEN_OUT) -> int:
        """Take pictures out of the library; returns the removal's number, by which `undo` brings them back. No file is touched."""
        with self.database.writing() as connection:
            return removals.take_out(connection, ids, reason)

    def undo(self, removal: int) -> list[int]:
        """Bring the pictures of a removal back, and the folder that it dropped, watched as it was; returns the pictures' ids.

        None where there is nothing left to undo, and where the folder had no pictures of its own: `dropped_folder`, asked before, tells
        the two apart. Pictures that were lost only come back with a file.
        """
        with self.database.writing() as connection:
            return removals.bring_back(connection, removal)

    def dropped_folder(self, removal: int) -> str | None:
        """The folder that `undo` of a removal would bring back; None where it dropped none, or it is there again."""
        with self.database.reading() as connection:
            return removals.dropped_folder(connection, removal)

    def purge(self, before: float) -> tuple[list[str], list[str]]:
        """Forget for good what was removed before that time. Returns the hashes that nothing is known of now, and the paths of the
        library's own copies that nobody needs.

        A person's file that was taken out stays known, or the next look at its folder would bring it back; only its vectors go. What was
        dropped with its folder is not looked at any more.
        """
        with self.database.writing() as connection:
            hashes, copies = removals.purge(connection, before)
        return hashes, [self._found(path) for path in copies]

    # places, folders, failures

    def copies(self) -> set[str]:
        """The paths of all the library's own copies."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT path FROM places WHERE stored").fetchall()
        return {self._found(path) for (path,) in rows}

    def _written(self, place: Place) -> str:
        """Its path in the table: a copy's from the library's folder on, which may be moved."""
        return Path(os.path.relpath(place.path, self.database.path.parent)).as_posix() if place.stored else place.path

    def _found(self, path: str) -> str:
        return str(self.database.path.parent / path)

    def known_below(self, folder: str) -> dict[str, tuple[int, int, bool]]:
        """path: (bytes, modified, whether it was found broken) of a person's files in `folder` and below it, as they were when read.

        Without those that were dropped with a folder: they want to be added again.
        """
        within, values = _below(folder)
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT f.path, f.bytes, f.modified, 0 FROM places f JOIN pictures p ON p.id = f.picture"
                f" LEFT JOIN removals r ON r.id = p.removal WHERE NOT f.stored AND r.reason IS NOT ? AND ({within})"
                f" UNION ALL SELECT f.path, f.bytes, f.modified, 1 FROM failures f WHERE {within}",
                (DROPPED, *values, *values),
            ).fetchall()
        return {path: (size, modified, bool(broken)) for path, size, modified, broken in rows}

    def forget(self, paths: Sequence[str]) -> None:
        """These files are no longer there: a picture that has no other is removed as lost, and keeps its vector for when it turns up."""
        with self.database.writing() as connection:
            left = []
            for path in paths:
                left += connection.execute("DELETE FROM places WHERE path = ? RETURNING picture", (path,)).fetchall()
                connection.execute("DELETE FROM failures WHERE path = ?", (path,))
            self._lose(connection, [picture for (picture,) in left])

    def _lose(self, connection: sqlite3.Connection, pictures: Sequence[int]) -> None:
        lost = [id for id in pictures if connection.execute("SELECT 1 FROM places WHERE picture = ?", (id,)).fetchone() is None]
        if lost:
            self.remove(lost, LOST)

    def add_folder(self, path: str, watched: bool | None = None) -> None:
        """Remember a folder; `watched` None leaves that as it is."""
        with self.database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO folders VALUES (?, 0)", (path,))
            if watched is not None:
                connection.execute("UPDATE folders SET watched = ? WHERE path = ?", (watched, path))

    def drop_folder(self, path: str) -> int:
        """Forget a folder and what was broken in it, and take out the pictures that lie only in it; returns the removal's number.

        What another folder that was added holds, above this one or below, stays. Added again, the folder brings its pictures back.
        """
        with self.database.writing() as connection:
            dropped = connection.execute("DELETE FROM folders WHERE path = ? RETURNING path, watched", (path,)).fetchall()
            inside = self._files(connection, path)
            for (other,) in connection.execute("SELECT path FROM folders").fetchall():
                if _holds(other, path) or _holds(path, other):
                    inside -= self._files(connection, other)
            within, values = _below(path)
            connection.execute(f"DELETE FROM failures AS f WHERE {within}", values)
            ids = {connection.execute("SELECT picture FROM places WHERE path = ?", (file,)).fetchone()[0] for file in inside}
            alone = [
                id
                for id in ids
                if inside >= {row[0] for row in connection.execute("SELECT path FROM places WHERE picture = ?", (id,)).fetchall()}
            ]
            removal = self.remove(alone, DROPPED)
            for folder, watched in dropped:
                removals.note_folder(connection, removal, folder, watched)
        return removal

    def _files(self, connection: sqlite3.Connection, folder: str) -> set[str]:
        within, values = _below(folder)
        return {row[0] for row in connection.execute(f"SELECT f.path FROM places f WHERE NOT f.stored AND ({within})", values).fetchall()}

    def has_folder(self, path: str) -> bool:
        """Whether a folder was added, and not dropped."""
        with self.database.reading() as connection:
            return connection.execute("SELECT 1 FROM folders WHERE path = ?", (path,)).fetchone() is not None

    def folders(self) -> list[Folder]:
        """The folders that were added, by path, with the number of their pictures."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT path, watched FROM folders ORDER BY path").fetchall()
            return [Folder(path, bool(watched), self.count(Filter(folder=path))) for path, watched in rows]

    def fail(self, path: str, size: int, modified: int, code: str, facts: dict[str, object]) -> None:
        """Note that a file could not be taken, and why."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", (path, size, modified, code, json.dumps(facts, default=str))
            )

    def failures(self) -> list[Failure]:
        """The files that could not be taken, by path."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT path, code, facts FROM failures ORDER BY path").fetchall()
        return [Failure(path, code, _facts(json.loads(facts))) for path, code, facts in rows]

    # captions

    def set_captions(self, picture: int, texts: Sequence[tuple[str, str]]) -> list[int]:
        """Put (text, origin) in the place of the picture's captions; one that stays as it is keeps its vector.

        Returns the ids; the same text twice is one caption.
        """
        with self.database.writing() as connection:
            return captions.set_captions(connection, picture, texts)

    def captions(self, ids: Iterable[int]) -> list[Caption]:
        """The captions of `ids`, in their order; unknown ids are passed over."""
        with self.database.reading() as connection:
            return captions.captions_of(connection, ids)

    def without_caption(self, limit: int, after: int = 0) -> list[int]:
        """Pictures that have no caption at all, by id from `after` on."""
        with self.database.reading() as connection:
            return captions.without_caption(connection, limit, after)

    def count_without_caption(self) -> int:
        """How many pictures have no caption at all."""
        with self.database.reading() as connection:
            return captions.count_without_caption(connection)

    # vectors

    def vectors(self, space: str, kind: str, dimension: int) -> VectorTable:
        """The vectors of one space; `kind` is 'picture' or 'caption'."""
        return VectorTable(self.database, space, kind, dimension)

    def spaces(self, kind: str) -> list[tuple[str, int]]:
        """(name, dimension) of the spaces that have vectors of a kind."""
        with self.database.reading() as connection:
            return connection.execute("SELECT name, dimension FROM spaces WHERE kind = ? ORDER BY id", (kind,)).fetchall()

    def missing(self, space: str, kind: str, limit: int, after: int = 0) -> list[int]:
        """Ids of pictures, or of captions, that have no vector in this space yet, from `after` on."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT id FROM spaces WHERE name = ? AND kind = ?", (space, kind)).fetchone()
            there = f"AND NOT EXISTS (SELECT 1 FROM vectors_{row[0]} v WHERE v.item = x.id)" if row else ""
            whose = (
                "pictures x WHERE x.removal IS NULL"
                if kind == "picture"
                else ("captions x JOIN pictures p ON p.id = x.picture WHERE p.removal IS NULL")
            )
            rows = connection.execute(f"SELECT x.id FROM {whose} AND x.id > ? {there} ORDER BY x.id LIMIT ?", (after, limit)).fetchall()
        return [row[0] for row in rows]

    def drop_other_spaces(self, space: str) -> None:
        """Let go of the vectors of every encoder but this one."""
        with self.database.writing() as connection:
            for (id,) in connection.execute("SELECT id FROM spaces WHERE name <> ?", (space,)).fetchall():
                connection.execute(f"DROP TABLE vectors_{id}")
                connection.execute("DELETE FROM changes WHERE space = ?", (id,))
                connection.execute("DELETE FROM spaces WHERE id = ?", (id,))


def _below(folder: str) -> tuple[str, list[str]]:
    """What SQL says of an `f.path` in `folder` or below it, and its values: a range, in which no sign of the name means anything."""
    start = folder.rstrip("/\\")
    return "f.path >= ? AND f.path < ? OR f.path >= ? AND f.path < ?", [
        *(start + "/", start + "0"),  # '0' follows '/'
        *(start + "\\", start + "]"),  # ']' follows '\'
    ]


def _facts(kept: dict[str, object]) -> dict[str, object]:
    """What fills a failure's sentence, as it was before JSON made lists of its pairs."""
    return {name: tuple(fact) if isinstance(fact, list) and len(fact) == 2 else fact for name, fact in kept.items()}


def _holds(folder: str, other: str) -> bool:
    start = folder.rstrip("/\\")
    return other.startswith((start + "/", start + "\\"))


def open_store(folder: Path, read_only: bool = False) -> Store:
    """The store in `folder`, made where there is none. Raises UserError where it cannot be used."""
    return Store(Database(folder / "library.db", read_only))
