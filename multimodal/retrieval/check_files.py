"""The files that the library speaks of, and those in its own folder that nothing speaks of."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from multimodal.errors import UserError, size_text
from multimodal.retrieval import index_file
from multimodal.retrieval.findings import KINDS, Finding
from multimodal.retrieval.library import Library
from multimodal.retrieval.scan import walk
from multimodal.retrieval.whole_file import UNFINISHED

PART = 500  # files forgotten in one transaction
READ_BYTES = 2**20
UNDER_WAY_SECONDS = 3600  # a younger file may be one that another process is about to use
EMPTY_BYTES = 1000  # an index of nothing is smaller; it is written before the store knows of its space


def check_files(library: Library, repair: bool, deep: bool) -> Iterator[Finding]:
    """Are the pictures' files there; are the library's own copies what they were (`deep`); does every file in its folder belong to one?"""
    with library.store.database.reading() as connection:
        places = connection.execute("SELECT path, stored FROM places ORDER BY path").fetchall()
    yield from _gone(library, places, repair)
    if deep:
        yield from _changed(library)
    yield from _unnamed(library)
    yield from _left_over(library, repair)


def _gone(library: Library, places: list[tuple[str, int]], repair: bool) -> Iterator[Finding]:
    away = [folder.path for folder in library.store.folders() if _is_away(library, folder.path)]
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


def _is_away(library: Library, folder: str) -> bool:
    """Whether nothing is in it: where a disk is not connected, its folder may be there all the same."""
    try:
        return next(walk(Path(folder), [library.folder]), None) is None
    except UserError:
        return True


def _changed(library: Library) -> Iterator[Finding]:
    with library.store.database.reading() as connection:
        rows = connection.execute(
            "SELECT f.path, p.hash FROM places f JOIN pictures p ON p.id = f.picture WHERE f.stored ORDER BY f.path"
        ).fetchall()
    changed = [path for path, hash in rows if _hash(library.folder / path) not in (hash, None)]
    if changed:
        yield Finding("copies_damaged", {"count": len(changed), "path": str(library.folder / changed[0])})


def _hash(path: Path) -> str | None:
    """None where there is no such file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _unnamed(library: Library) -> Iterator[Finding]:
    """Pictures that nothing speaks of. After an older library.db was put back they may be the only copies, so they are left to a person."""
    folder = library.folder / "originals"
    with library.store.database.reading() as connection:
        named = library.store.copies()
        own = {row[0] for row in connection.execute("SELECT path FROM places WHERE NOT stored")}  # that folder may have been added itself
    unnamed = (path for path in folder.glob("*/*") if str(path) not in named and os.path.abspath(path) not in own)
    sizes = _sizes(library, (path for path in unnamed if path.suffix != UNFINISHED))
    if sizes:
        yield Finding("copies_unnamed", {"count": len(sizes), "size": size_text(sum(sizes.values())), "path": str(folder)})


def _left_over(library: Library, repair: bool) -> Iterator[Finding]:
    with library.store.database.reading() as connection:
        hashes = {row[0] for row in connection.execute("SELECT hash FROM pictures")}
        names = connection.execute("SELECT DISTINCT name FROM spaces").fetchall()
    indexes = {index_file.path_of(library.folder / "index", name, kind) for (name,) in names for kind in KINDS}
    sizes = _sizes(library, (library.folder / "originals").glob(f"*/*{UNFINISHED}"))
    sizes |= _sizes(library, (path for path in library.thumbnails.folder.glob("*/*") if path.suffix != ".webp" or path.stem not in hashes))
    unknown = _sizes(library, (path for path in (library.folder / "index").glob("*") if path not in indexes))
    sizes |= {path: size for path, size in unknown.items() if size > EMPTY_BYTES}
    if sizes:
        for path in sizes if repair else ():
            path.unlink(missing_ok=True)
        yield Finding("left_over", {"count": len(sizes), "size": size_text(sum(sizes.values()))}, repair)


def _sizes(library: Library, paths: Iterable[Path]) -> dict[Path, int]:
    """In bytes, of those that are there, and that nobody is about to use."""
    before = time.time() - UNDER_WAY_SECONDS if library.read_only else float("inf")  # where it is read only, somebody else is at work
    sizes = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            if status.st_mtime < before:
                sizes[path] = status.st_size
    return sizes
