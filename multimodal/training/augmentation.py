"""Pictures a little otherwise each time they are seen, so that what is learned of them is not their pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from PIL import Image
from torchvision.transforms import v2

# No hue, for captions speak of colours; and little is cut off, for they speak of what stands at the side.
SMALLEST = 0.7  # of the area
LIGHT = 0.2  # brightness and contrast, either way
SIDES = re.compile(r"\b(?:left|right|east|west|clockwise)\b|左|右|东|西|顺时针|逆时针", re.IGNORECASE)


class Augmentation:
    """Cuts, light, and, where no caption speaks of left or right, a mirror."""

    def __init__(self) -> None:
        self._light = v2.ColorJitter(brightness=LIGHT, contrast=LIGHT)

    def __call__(self, picture: Image.Image, captions: Sequence[str], seed: int) -> Image.Image:
        """`captions`: all of the picture's. The same for the same `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            top, left, height, width = _cut(picture)
            seen = self._light(picture.crop((left, top, left + width, top + height)))
            if torch.rand(()) < 0.5 and not any(map(SIDES.search, captions)):
                seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return seen


def _cut(picture: Image.Image) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a part with about the picture's own proportions."""
    area, stretch = SMALLEST + (1 - SMALLEST) * float(torch.rand(())), 0.9 + 0.2 * float(torch.rand(()))
    width = min(picture.width, max(1, round(picture.width * (area * stretch) ** 0.5)))
    height = min(picture.height, max(1, round(picture.height * (area / stretch) ** 0.5)))
    top, left = (int(torch.randint(0, rest + 1, ())) for rest in (picture.height - height, picture.width - width))
    return top, left, height, width
