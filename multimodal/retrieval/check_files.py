"""The files that the library speaks of, and those in its own folder that nothing speaks of."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from multimodal.errors import size_text
from multimodal.retrieval import index_file
from multimodal.retrieval.findings import KINDS, Finding
from multimodal.retrieval.library import Library

PART = 500  # files forgotten in one transaction
READ_BYTES = 2**20
UNDER_WAY_SECONDS = 3600  # a younger file may be one that another process is about to use
EMPTY_BYTES = 1000  # an index of nothing is smaller; it is written before the store knows of its space


def check_files(library: Library, repair: bool, deep: bool) -> Iterator[Finding]:
    """Are the pictures' files there; are the library's own copies what they were (`deep`); does every file in its folder belong to one?"""
    places = library.store.database.connection.execute("SELECT path, stored FROM places ORDER BY path").fetchall()
    yield from _gone(library, places, repair)
    if deep:
        yield from _changed(library)
    yield from _left_over(library, repair)


def _gone(library: Library, places: list[tuple[str, int]], repair: bool) -> Iterator[Finding]:
    away = [folder.path for folder in library.store.folders() if not os.path.isdir(folder.path)]
    waiting: Counter[str] = Counter()
    gone = []
    for path, stored in places:
        if os.path.isfile(library.folder / path if stored else path):
            continue
        # a disk that is not connected is no reason to forget what is on it
        folder = next((folder for folder in away if not stored and Path(folder) in Path(path).parents), None)
        if folder is None:
            gone.append(path)
        else:
            waiting[folder] += 1
    for folder, count in sorted(waiting.items()):
        yield Finding("folder_away", {"path": folder, "count": count})
    if gone:
        for start in range(0, len(gone) if repair else 0, PART):
            library.store.forget(gone[start : start + PART])
        yield Finding("files_gone", {"count": len(gone), "path": gone[0]}, repair)


def _changed(library: Library) -> Iterator[Finding]:
    rows = library.store.database.connection.execute(
        "SELECT f.path, p.hash FROM places f JOIN pictures p ON p.id = f.picture WHERE f.stored ORDER BY f.path"
    ).fetchall()
    changed = [path for path, hash in rows if (library.folder / path).is_file() and _hash(library.folder / path) != hash]
    if changed:
        yield Finding("copies_damaged", {"count": len(changed), "path": str(library.folder / changed[0])})


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _left_over(library: Library, repair: bool) -> Iterator[Finding]:
    connection = library.store.database.connection
    copies = library.store.copies()
    hashes = {row[0] for row in connection.execute("SELECT hash FROM pictures")}
    names = connection.execute("SELECT DISTINCT name FROM spaces").fetchall()
    indexes = {index_file.path_of(library.folder / "index", name, kind) for (name,) in names for kind in KINDS}
    unknown = [path for path in (library.folder / "originals").glob("*/*") if str(path) not in copies]
    unknown += [path for path in library.thumbnails.folder.glob("*/*") if path.suffix != ".webp" or path.stem not in hashes]
    unknown += [path for path in (library.folder / "index").glob("*") if path not in indexes and path.stat().st_size > EMPTY_BYTES]
    if library.read_only:  # somebody else is at work
        before = time.time() - UNDER_WAY_SECONDS
        unknown = [path for path in unknown if path.stat().st_mtime < before]
    if unknown:
        size = sum(path.stat().st_size for path in unknown)
        for path in unknown if repair else ():
            path.unlink()
        yield Finding("left_over", {"count": len(unknown), "size": size_text(size)}, repair)
