"""A stand-in for a cross-attention model, without torch: the brighter a picture, the likelier any words describe it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


class Brightness:
    """The part of a reranker that a second look needs.

    `asked`: the texts that were scored. `seen`: the size (width, height) of each picture that was prepared.
    """

    name = "brightness"

    def __init__(self, side: int = 32):
        self.side = side
        self.asked: list[str] = []
        self.seen: list[tuple[int, int]] = []
        self.closed = False

    def prepare(self, image: Image.Image) -> float:
        """From 0 to 1."""
        self.seen.append(image.size)
        return float(np.asarray(image.convert("L"), np.float32).mean() / 255)

    def scores(self, texts: Sequence[str], prepared: Sequence[float]) -> np.ndarray:
        """float32 [texts, pictures]."""
        self.asked += texts
        return np.tile(np.array(prepared, np.float32), (len(texts), 1))

    def close(self) -> None:
        """Remember it."""
        self.closed = True
