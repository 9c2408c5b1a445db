"""Which picture files lie in a folder and below it. None is opened."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.errors import UserError

# The pictures that are taken, by Pillow's name of the format, and how their files' names end; the first as the library writes it.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    "PSD": (".psd",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "QOI": (".qoi",),
    "ICO": (".ico",),
}
# HEIC is refused, and a person is to hear of it: a telephone's pictures would be missing without a word.
ENDINGS = {ending for endings in SUFFIXES.values() for ending in endings} | {".heic", ".heif"}
# Folders in which programs keep what no person put there.
JUNK = {
    *("@eadir", "@tmp", "#recycle", "@recycle", "__macosx", "$recycle.bin", "system volume information", "lost+found", "found.000"),
    *("node_modules", "__pycache__", "site-packages"),
}


@dataclass(frozen=True)
class File:
    """A picture by its name; its size in bytes and the time of its last change in nanoseconds."""

    path: str
    bytes: int
    modified: int


@dataclass(frozen=True)
class Unreadable:
    """A folder or a file that cannot be looked at; the code and facts of the sentence that says why."""

    path: str
    code: str
    facts: dict[str, str]


def walk(folder: Path, skip: Collection[Path] = ()) -> Iterator[File | Unreadable]:
    """The picture files in `folder` and below it, sorted within each folder; without what is hidden, other programs' folders and `skip`.

    Folders behind links come last, and none twice: a link may lead back. Raises UserError where `folder` itself cannot be read.
    """
    seen = {identity for path in skip if (identity := _identity(path))}
    folders, links = [str(folder)], deque()
    while folders or links:
        path = folders.pop() if folders else links.popleft()
        top = path == str(folder)
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen or (not top and _is_hidden(status)):
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if top:
                if isinstance(error, FileNotFoundError | NotADirectoryError):
                    raise UserError("folder_missing", name=path) from error
                raise UserError("folder_unreadable", name=path, reason=_reason(error)) from error
            if not isinstance(error, FileNotFoundError):
                yield Unreadable(path, "folder_unreadable", {"name": path, "reason": _reason(error)})
            continue
        inner = []
        for entry in entries:
            if is_skipped(entry.name) or not (_is_folder(entry) or is_picture(entry.name)):
                continue
            if shown := nameless(entry.path):
                yield Unreadable(shown, "file_name_unreadable", {"name": shown})
            elif _is_folder(entry):
                (links if entry.is_symlink() else inner).append(entry.path)
            elif file := _file(entry):
                yield file
        folders += reversed(inner)


def is_picture(name: str) -> bool:
    """Whether a file's name ends like a picture's."""
    return os.path.splitext(name)[1].lower() in ENDINGS


def is_skipped(name: str) -> bool:
    """Whether a file or folder of this name is passed over: hidden, AppleDouble (._name) included, or another program's."""
    return name.startswith(".") or name.lower() in JUNK


def nameless(path: str) -> str | None:
    """How a path that is in no encoding can be shown; None for any other. Linux allows them; SQLite and JSON do not."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode("utf-8", "replace")
    return None


def _file(entry: os.DirEntry) -> File | None:
    try:
        status = entry.stat()
    except OSError:  # a link that leads nowhere; or it has gone meanwhile
        return None
    if not stat.S_ISREG(status.st_mode) or _is_hidden(status):
        return None
    return File(entry.path, status.st_size, status.st_mtime_ns)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_hidden(status: os.stat_result) -> bool:
    """By the flags of Windows and macOS."""
    windows, apple = getattr(status, "st_file_attributes", 0), getattr(status, "st_flags", 0)
    return bool(windows & (stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM) or apple & stat.UF_HIDDEN)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
