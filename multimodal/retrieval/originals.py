"""The library's own copies of pictures that were given to it."""

from __future__ import annotations

import os
from pathlib import Path

from multimodal.retrieval.reading import Content
from multimodal.retrieval.records import Place
from multimodal.retrieval.scan import SUFFIXES
from multimodal.retrieval.whole_file import write_whole


class Originals:
    """Files by the SHA-256 of their bytes, in a folder of their own. Any thread may write one."""

    def __init__(self, folder: Path):
        self.folder = folder

    def put(self, content: Content) -> Place:
        """Keep a copy; it is on the disk when this returns, also where a damaged one was. Raises UserError where the disk refuses it."""
        path = self.folder / content.hash[:2] / f"{content.hash}{SUFFIXES[content.form][0]}"
        if _holds(path, content.data):
            os.utime(path)  # as if it had been written now: one that nothing needs, and that is old, may be taken away
        else:
            write_whole(path, content.data, durable=True)
        return Place(str(path), len(content.data), path.stat().st_mtime_ns, stored=True)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:  # not there; or its place on the disk has gone bad
        return False
