"""A file that is there whole, or not at all."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from multimodal.errors import UserError

log = logging.getLogger(__name__)

UNFINISHED = ".part"  # how the name of a file ends that is still being written


def write_whole(path: Path, content: bytes, durable: bool = False) -> None:
    """Make `content` the file at `path`. `durable`: it stays there whatever happens to the machine after this. Raises UserError."""
    try:
        with replacing(path) as beside, _opened(beside) as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if durable:
            for folder in (path.parent, path.parent.parent):  # the first may be new as well
                sync_folder(folder)
    except OSError as error:
        raise refusal(error, path.parent) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` once the block has ended; where that fails, nothing is left of it. Raises OSError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{UNFINISHED}")
    try:
        yield beside
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def take_away(path: Path) -> None:
    """Remove a file that nobody needs, if it is there. Where that cannot be, the log says so: it takes room, and no more."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # on Windows, while another program has it open
        log.warning("%s could not be removed: %s", path, error)


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


def sync_folder(folder: Path) -> None:
    """So that a new name in it outlasts a loss of power, too. Raises OSError."""
    if os.name == "nt":  # which opens no folder, and writes what it renames itself
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
