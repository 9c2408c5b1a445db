"""Picture files into RGB arrays within a pixel budget. The file is only read."""

from __future__ import annotations

import math
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from multimodal.errors import UserError
from multimodal.media.kinds import Picture

LONGEST_RATIO = 100  # of the sides; the image processor refuses 200

# How a picture that was stored with this EXIF orientation is brought upright. From 5 on its sides change places.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What Pillow's readers raise when they meet a damaged file.
FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def load_picture(path: Path, name: str, pillow_format: str, pixels: int, megapixels: float) -> Picture:
    """The picture as a person sees it: turned by its EXIF, transparent parts on white, its first frame, at most `pixels` large.

    `megapixels` bounds what is decoded at all: a small file can hold a picture that fills the memory. Raises UserError.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about size and damaged metadata: the size is checked here, by the header
            with Image.open(path, formats=[pillow_format]) as image:
                original = image.size
                check_size(original, name, megapixels)
                image.draft("RGB", _within(original, pixels))  # a JPEG is decoded at an eighth, a quarter or a half where that is enough
                image.load()
                small = shrink(to_rgb(image), pixels)
                orientation = _orientation(image)
    except Image.DecompressionBombError as error:
        counted = re.search(r"(\d+) pixels", str(error))
        found = round(int(counted[1]) / 1e6) if counted else "?"
        raise UserError("picture_too_large", name=name, megapixels=found, limit=round(megapixels)) from error
    except FAULTS as error:
        raise UserError("picture_broken", name=name) from error
    if orientation in TURNS:
        small = small.transpose(TURNS[orientation])
    return Picture(name, small, original[::-1] if orientation >= 5 else original)


def check_size(size: tuple[int, int], name: str, megapixels: float) -> None:
    """Raises UserError for a (width, height) that is not taken."""
    if size[0] * size[1] > megapixels * 1e6:
        raise UserError("picture_too_large", name=name, megapixels=round(size[0] * size[1] / 1e6), limit=round(megapixels))
    if max(size) > LONGEST_RATIO * min(size):
        raise UserError("picture_too_long", name=name, width=size[0], height=size[1])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, of a loaded picture. A TIFF has been turned by Pillow then, and says 1."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except FAULTS:
        return 1  # cameras write faulty EXIF, and the picture itself is sound
    return orientation if orientation in TURNS else 1


def _within(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """`size` brought to at most `pixels`, the sides in proportion, neither below 1."""
    scale = min(1.0, math.sqrt(pixels / (size[0] * size[1])))
    return max(1, math.floor(size[0] * scale)), max(1, math.floor(size[1] * scale))


def shrink(image: Image.Image, pixels: int) -> Image.Image:
    """`image`, made smaller if it has more than `pixels` pixels."""
    size = _within(image.size, pixels)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB: 16-bit and float greys scaled to what is seen, transparent parts laid on white."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion cuts everything above 255.
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_scaled(np.asarray(image, dtype=np.float64), image.mode == "F")).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        # an RGB or grey picture can name one colour as transparent, too
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _scaled(values: np.ndarray, whole_is_one: bool) -> np.ndarray:
    """Greys of an unknown range as bytes. `whole_is_one`: white may be 1, as in float pictures."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = values.min(), values.max()
    for white in (1, 255, 65535) if whole_is_one else (255, 65535):  # 65535: a 16-bit picture that came as 32-bit
        if low >= 0 and high <= white:
            return (values * (255 / white)).round().astype(np.uint8)
    return ((values - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8)
