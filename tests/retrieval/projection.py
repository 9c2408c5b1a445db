"""A stand-in for an encoder, without torch: a fixed random projection of eight by eight pixels. Pictures that look alike are near."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image


class Projection:
    """The part of an encoder that bringing pictures in needs.

    `encoded`: how many pictures were encoded. `at_once`: above so many, memory runs out.
    """

    side = 32

    def __init__(self, space: str = "projection", dimension: int = 32, at_once: int | None = None):
        self.space, self.dimension, self.at_once = space, dimension, at_once
        self.encoded = 0
        self._matrix = np.random.default_rng(zlib.crc32(space.encode())).normal(size=(192, dimension)).astype(np.float32)

    def prepare(self, image: Image.Image) -> np.ndarray:
        """float32 [192]."""
        return np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32).ravel() / 255 - 0.5

    def encode_prepared(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Unit vectors, float32 [len(batch), dimension]."""
        if self.at_once is not None and len(batch) > self.at_once:
            raise MemoryError
        self.encoded += len(batch)
        return self._unit(np.stack(batch) @ self._matrix)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 [len(texts), dimension]: the same for the same text, and of no meaning."""
        return self._unit(np.stack([np.random.default_rng(zlib.crc32(text.encode())).normal(size=self.dimension) for text in texts]))

    def _unit(self, vectors: np.ndarray) -> np.ndarray:
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
