"""What a file becomes: a picture, a sound or a clip, decoded once and kept in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

SOUND_RATE = 16_000  # samples a second, what the audio tower hears


@dataclass(frozen=True)
class Picture:
    """An RGB picture within the pixel budget. `original` is (width, height) before it was made smaller."""

    name: str
    image: Image.Image = field(repr=False)
    original: tuple[int, int]

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return _bytes(self.image)


@dataclass(frozen=True)
class Sound:
    """Mono float32 samples in [-1, 1], 16,000 a second."""

    name: str
    samples: np.ndarray = field(repr=False)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SOUND_RATE

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.samples.nbytes


@dataclass(frozen=True)
class Clip:
    """A video as sampled frames (RGB, evenly spaced, `rate` a second) with its sound, if it has one."""

    name: str
    frames: tuple[Image.Image, ...] = field(repr=False)
    rate: float
    sound: Sound | None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(map(_bytes, self.frames)) + (self.sound.size if self.sound else 0)


def _bytes(image: Image.Image) -> int:
    return image.width * image.height * len(image.getbands())


Medium = Picture | Sound | Clip
