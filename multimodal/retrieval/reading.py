"""One picture file: what its bytes are, and what can be seen on it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path

from PIL import Image

from multimodal.errors import UserError
from multimodal.media.images import FAULTS, TURNS, check_size, to_rgb
from multimodal.media.intake import Limits, look_at
from multimodal.retrieval.exif import read_exif


@dataclass(frozen=True)
class Content:
    """The bytes of a picture file. `form`: Pillow's name of its format; `modified`: its last change, in seconds since the epoch."""

    data: bytes = field(repr=False)
    form: str
    modified: float

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Read:
    """A picture as it was taken: `width` and `height` upright and in full, `image` the RGB picture, upright, perhaps smaller.

    `taken`: seconds since the epoch; the file's last change where the picture does not say. `exif`: what its camera wrote.
    """

    width: int
    height: int
    taken: float
    exif: Mapping[str, str]
    image: Image.Image = field(repr=False)


def read_content(path: Path, name: str, limits: Limits) -> Content:
    """The file at `path`, which people know as `name`, if it is a picture. Raises UserError."""
    try:
        kind, signature, _ = look_at(path, name, limits)
    except UserError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or isinstance(cause, FileNotFoundError):
            raise
        raise UserError("file_unreadable", name=name, reason=cause.strerror or type(cause).__name__) from cause
    if kind != "picture":
        raise UserError("file_wrong_kind", name=name, found=kind, wanted="picture")
    try:
        with path.open("rb") as file:
            return Content(file.read(), signature.reader, os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError as error:
        raise UserError("file_missing", name=name) from error
    except OSError as error:
        raise UserError("file_unreadable", name=name, reason=error.strerror or type(error).__name__) from error


def read_picture(content: Content, name: str, limits: Limits, shorter: int, longer: int) -> Read:
    """The picture in `content`, decoded no larger than needed for `shorter` pixels on its shorter side and `longer` on the longer one.

    As in the chat: turned by its EXIF, transparent parts on white, its first frame. Raises UserError.
    """
    try:
        with Image.open(BytesIO(content.data), formats=[content.form]) as image:
            size = image.size
            check_size(size, name, limits.megapixels)
            needed = _needed(size, shorter, longer)
            image.draft("RGB", needed)  # a JPEG is decoded at an eighth, a quarter or a half where that is enough
            image.load()
            exif = read_exif(image)
            seen = to_rgb(image)
    except Image.DecompressionBombError as error:
        most = round(2 * Image.MAX_IMAGE_PIXELS / 1e6)
        raise UserError("picture_too_large", name=name, megapixels=f">{most}", limit=round(limits.megapixels)) from error
    except MemoryError as error:
        raise UserError("picture_no_memory", name=name) from error
    except FAULTS as error:
        raise UserError("picture_broken", name=name) from error
    factor = min(side // least for side, least in zip(seen.size, needed, strict=True))
    if factor > 1:
        seen = seen.reduce(factor)
    if exif.orientation in TURNS:
        seen = seen.transpose(TURNS[exif.orientation])
    width, height = size[::-1] if exif.orientation >= 5 else size
    return Read(width, height, content.modified if exif.taken is None else exif.taken, exif.fields, seen)


def _needed(size: tuple[int, int], shorter: int, longer: int) -> tuple[int, int]:
    """The least (width, height), in the proportions of `size`, whose sides are long enough; `size`, if it is not."""
    scale = min(1.0, max(shorter / min(size), longer / max(size)))
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)
