"""An index on the disk: whole or not there, and never taken for another. Whatever is wrong with it, it can be made anew from the store.

The file is faiss's own bytes, then a stamp in JSON, then the stamp's checksum, its length and a mark.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from multimodal.retrieval.index import Index
from multimodal.retrieval.whole_file import replacing, sync_folder, take_away

VERSION = 1
END = struct.Struct("<II8s")
MARK = b"omniindx"
PIECE = 2**20  # bytes read at once
KINDS = ("picture", "caption")  # of vectors


class IndexUnusable(Exception):
    """The file is missing, damaged, or of something else; the text says which."""


def path_of(folder: Path, space: str, kind: str) -> Path:
    """Where the index of a kind of vectors in a space lies: a space's name may hold what a file's must not."""
    return folder / f"{kind}-{hashlib.sha256(space.encode()).hexdigest()[:16]}.faiss"


def drop_others(folder: Path, spaces: Iterable[str]) -> None:
    """Take away the indexes of all spaces but these, and what was left unfinished. Nobody may be writing one."""
    kept = {path_of(folder, space, kind) for space in spaces for kind in KINDS}
    for path in folder.glob("*"):
        if path not in kept:
            take_away(path)


def write(path: Path, index: Index, space: str, kind: str, sequence: int) -> None:
    """Put the index in the place of what is there. A crash at any moment leaves the one or the other; so does OSError, which is raised.

    sequence: the store's, up to which the index has followed it for certain.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, beside.open("wb") as file:
        body = _Body(file)
        count = index.dump(body.write)
        stamp = {
            "version": VERSION,
            "space": space,
            "kind": kind,
            "dimension": index.dimension,
            "sequence": sequence,
            "count": count,
            "index": index.kind,
            "most": index.most,
            "bytes": body.bytes,
            "checksum": body.checksum,
        }
        text = json.dumps(stamp).encode()
        file.write(text + END.pack(zlib.crc32(text), len(text), MARK))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def read(path: Path, space: str, kind: str, dimension: int) -> tuple[Index, int]:
    """(the index, the sequence number up to which it has followed the store). Raises IndexUnusable."""
    try:
        with path.open("rb") as file:
            stamp = _stamp(file)
            wanted = {"version": VERSION, "space": space, "kind": kind, "dimension": dimension}
            for name, value in wanted.items():
                if stamp.get(name) != value:
                    raise IndexUnusable(f"{name} {stamp.get(name)}, not {value}")
            _check(file, stamp["bytes"], stamp["checksum"])
            file.seek(0)
            index = Index.load(file.read, stamp["index"], stamp["most"])
    except FileNotFoundError as error:
        raise IndexUnusable("missing") from error
    except (OSError, RuntimeError, MemoryError) as error:
        raise IndexUnusable(f"not to be read: {error}") from error
    if (index.dimension, len(index)) != (dimension, stamp["count"]):
        raise IndexUnusable(f"{len(index)} vectors of {index.dimension} instead of {stamp['count']} of {dimension}")
    return index, stamp["sequence"]


class _Body:
    """Writes to the file, and counts and sums up what it writes."""

    def __init__(self, file: BinaryIO):
        self.file, self.bytes, self.checksum = file, 0, 0

    def write(self, piece: bytes) -> None:
        self.file.write(piece)
        self.bytes += len(piece)
        self.checksum = zlib.crc32(piece, self.checksum)


def _stamp(file: BinaryIO) -> dict:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - END.size))
    end = file.read()
    if len(end) < END.size:
        raise IndexUnusable("too short")
    checksum, length, mark = END.unpack(end)
    if mark != MARK or length > size - END.size:
        raise IndexUnusable("cut short, or no index")
    file.seek(size - END.size - length)
    text = file.read(length)
    if zlib.crc32(text) != checksum:
        raise IndexUnusable("its stamp is damaged")
    stamp = json.loads(text)
    if stamp.get("version") == VERSION and stamp["bytes"] != size - END.size - length:
        raise IndexUnusable("cut short")
    return stamp


def _check(file: BinaryIO, size: int, checksum: int) -> None:
    """Before faiss sees them, are the bytes those that were written? It trusts the lengths it reads."""
    file.seek(0)
    found = 0
    while size:
        piece = file.read(min(PIECE, size))
        if not piece:
            raise IndexUnusable("cut short")
        found = zlib.crc32(piece, found)
        size -= len(piece)
    if found != checksum:
        raise IndexUnusable("damaged")
