"""What the library knows of pictures, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Caption:
    """A sentence about a picture. `origin`: 'person', 'model' (written by the chat model) or 'file' (came with the picture)."""

    id: int
    picture: int
    text: str
    origin: str


@dataclass(frozen=True)
class Place:
    """A file that holds a picture: its size in bytes and the time of its last change in nanoseconds, by which it is known as unchanged.

    `stored`: the library's own copy, in its data folder; else a person's file, which is only ever read.
    """

    path: str
    bytes: int
    modified: int
    stored: bool = False


@dataclass(frozen=True)
class Picture:
    """One picture, however many files hold it. `hash` is the SHA-256 of the file's bytes; times are seconds since the epoch."""

    id: int
    hash: str
    name: str
    bytes: int
    width: int
    height: int
    taken: float
    added: float
    exif: Mapping[str, str]
    sample: bool
    removed: bool
    places: tuple[Place, ...]
    captions: tuple[Caption, ...]


@dataclass(frozen=True)
class NewPicture:
    """A picture on its way into the library.

    `signature`: its perceptual one. `vector`: float32 [dimension], unit length, of the present encoder; None where that is still to come.
    """

    hash: str
    name: str
    place: Place
    width: int
    height: int
    taken: float
    signature: bytes
    exif: Mapping[str, str] = field(default_factory=dict)
    captions: tuple[tuple[str, str], ...] = ()  # (text, origin)
    vector: np.ndarray | None = None
    sample: bool = False


@dataclass(frozen=True)
class Failure:
    """A file that could not be taken: the code and facts of the sentence that says why."""

    path: str
    code: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Folder:
    """A folder of a person's that was added, and whether it is watched."""

    path: str
    watched: bool
    pictures: int


@dataclass(frozen=True)
class Filter:
    """Which pictures are meant; what is left empty restricts nothing.

    `folder`: its path, what is below it counts too. `since` and `until`: when they were taken, in seconds since the epoch, the second
    exclusive. `name`: a part of the file name. `text`: words of the captions and the file name, each of which has to be there.
    """

    folder: str = ""
    since: float | None = None
    until: float | None = None
    name: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return self != Filter()


@dataclass(frozen=True)
class Changes:
    """What is new (int64 [n]) and what is gone (int64 [m]) since some sequence number, and the number that this brings one to."""

    added: np.ndarray
    removed: np.ndarray
    sequence: int
