"""A file that is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from multimodal.errors import UserError

UNFINISHED = ".part"  # how the name of a file ends that is still being written


def write_whole(path: Path, content: bytes, durable: bool = False) -> None:
    """Write beside `path`, then rename. `durable`: it stays there whatever happens to the machine after this. Raises UserError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
    try:
        with _opened(beside) as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
        if durable:
            for folder in (path.parent, path.parent.parent):  # the first may be new as well
                _sync(folder)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise refusal(error, path.parent) from error


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except FileNotFoundError:  # its folder is new
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")


def refusal(error: OSError, folder: Path) -> UserError:
    """What a person is told where `folder` takes no file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError("library_disk_full", path=str(folder))
    return UserError("library_disk_refuses", path=str(folder), reason=error.strerror or type(error).__name__)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # which opens no folder, and writes what it renames itself
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
