"""Whether a file still is the picture that it was."""

from __future__ import annotations

import hashlib
import os
import stat

from multimodal.retrieval.records import Place


def still_holds(place: Place, hash: str) -> bool:
    """Whether the file at `place` is the picture whose SHA-256 is `hash`: by its size and time, or where the time is another, by its bytes.

    A disk that was copied or brought back has other times, and the same pictures.
    """
    try:
        status = os.stat(place.path)
        if not stat.S_ISREG(status.st_mode) or status.st_size != place.bytes:
            return False
        if status.st_mtime_ns == place.modified:
            return True
        with open(place.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == hash
    except (OSError, ValueError):  # ValueError: no path can be so
        return False
