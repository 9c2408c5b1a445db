"""The library's SQLite file: connections, transactions, versions. Knows nothing of what the tables mean."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multimodal.errors import UserError

# Each brings a file of the version before to its own, counted from 1. What has been released is never changed.
MIGRATIONS = (
    """
    CREATE TABLE counter(sequence INTEGER NOT NULL);
    INSERT INTO counter VALUES (0);
    CREATE TABLE removals(id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, reason TEXT NOT NULL);
    CREATE TABLE pictures(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        taken REAL NOT NULL,
        added REAL NOT NULL,
        exif TEXT NOT NULL,
        signature BLOB NOT NULL,
        sample INTEGER NOT NULL,
        removal INTEGER REFERENCES removals(id)
    );
    CREATE INDEX pictures_taken ON pictures(taken);
    CREATE INDEX pictures_removal ON pictures(removal) WHERE removal IS NOT NULL;
    CREATE TABLE places(
        path TEXT PRIMARY KEY,
        picture INTEGER NOT NULL REFERENCES pictures(id) ON DELETE CASCADE,
        bytes INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        stored INTEGER NOT NULL
    );
    CREATE INDEX places_picture ON places(picture);
    CREATE TABLE folders(path TEXT PRIMARY KEY, watched INTEGER NOT NULL);
    CREATE TABLE failures(
        path TEXT PRIMARY KEY,
        bytes INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        code TEXT NOT NULL,
        facts TEXT NOT NULL
    );
    CREATE TABLE captions(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        picture INTEGER NOT NULL REFERENCES pictures(id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        origin TEXT NOT NULL
    );
    CREATE INDEX captions_picture ON captions(picture);
    CREATE VIRTUAL TABLE words USING fts5(name, captions);
    CREATE TABLE spaces(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        floor INTEGER NOT NULL,
        UNIQUE(name, kind)
    );
    CREATE TABLE changes(
        space INTEGER NOT NULL REFERENCES spaces(id) ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        item INTEGER NOT NULL,
        gone INTEGER NOT NULL
    );
    CREATE INDEX changes_sequence ON changes(space, sequence);
    """,
    # the folder that a removal dropped, and whether it was watched
    """
    ALTER TABLE removals ADD COLUMN folder TEXT;
    ALTER TABLE removals ADD COLUMN watched INTEGER;
    """,
)
BUSY_SECONDS = 10.0


class Database:
    """One file, a connection a thread; one transaction that writes at a time, any number that read beside it."""

    def __init__(self, path: Path, read_only: bool = False):
        """Opens the file, makes it where it may, brings it to the present version. Raises UserError where it cannot be used."""
        self.path, self.read_only = path, read_only
        self._local = threading.local()
        self._writing = threading.RLock()
        self._opening = threading.Lock()  # guards what follows
        self._opened: list[tuple[weakref.ref[threading.Thread], sqlite3.Connection]] = []
        try:
            with self._telling():
                self._migrate()
        except UserError:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection. Raises UserError where there can be none."""
        if not hasattr(self._local, "connection"):
            with self._telling():
                connection = self._connect()
            with self._opening:
                self._close_left()
                self._opened.append((weakref.ref(threading.current_thread()), connection))
            self._local.connection = connection
        return self._local.connection

    def _close_left(self) -> None:
        """Close what threads that have ended left open: each holds files open, and threads come and go."""
        opened, self._opened = self._opened, []
        for thread, connection in opened:
            owner = thread()
            if owner is not None and owner.is_alive():
                self._opened.append((thread, connection))
            else:
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which everything read is of one moment. Raises UserError."""
        connection = self.connection
        if connection.in_transaction:  # within another: its moment
            yield connection
            return
        try:
            with self._telling():
                connection.execute("BEGIN")
                yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is whole on the disk once the block has ended, or has left nothing. Raises UserError."""
        if self.read_only:
            raise UserError("library_read_only")
        with self._writing:
            connection = self.connection
            if connection.in_transaction:
                yield connection
                return
            try:
                with self._telling():
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def sequence(self) -> int:
        """The number of the last change. Raises UserError."""
        with self.reading() as connection:
            return connection.execute("SELECT sequence FROM counter").fetchone()[0]

    def damage(self) -> list[str]:
        """What SQLite's own check finds wrong with the file; nothing, if it is sound. Raises UserError where it cannot be opened."""
        connection = self.connection
        try:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Ends every thread's connection; nobody may be at work."""
        with self._opening:
            for _, connection in self._opened:
                connection.close()
            self._opened.clear()
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        where = self.path.absolute().as_uri()
        how = {"isolation_level": None, "timeout": BUSY_SECONDS, "check_same_thread": False}
        if not self.read_only:
            connection = sqlite3.connect(self.path, **how)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")  # what was said to be kept is kept, also where the current fails
        else:
            connection = sqlite3.connect(f"{where}?mode=ro", uri=True, **how)
            try:
                connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.OperationalError:  # a log beside the file cannot be opened on a disk that is read-only
                connection.close()
                connection = sqlite3.connect(f"{where}?mode=ro&immutable=1", uri=True, **how)
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA mmap_size=2147418112")
        return connection

    def _migrate(self) -> None:
        connection = self.connection
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise UserError("library_newer", path=str(self.path))
        if self.read_only and version < len(MIGRATIONS):
            raise UserError("library_older", path=str(self.path))
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of SQLite's within the block are said to people. Raises UserError."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.DatabaseError) -> UserError:
        text = str(error)  # SQLite's own words; its codes are there from Python 3.11 on
        if "full" in text:
            return UserError("library_disk_full", path=str(self.path.parent))
        if "readonly" in text or "unable to open" in text or "I/O" in text:
            return UserError("library_disk_refuses", path=str(self.path.parent), reason=text)
        if "locked" in text:
            return UserError("library_busy")
        return UserError("library_broken", path=str(self.path), reason=text)
