"""The pictures of a data set as an encoder sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from multimodal.errors import UserError
from multimodal.retrieval.encoder import Encoder
from multimodal.training.captioned import Captioned
from multimodal.training.epochs import read_image

BATCH = 32

Watch = Callable[[Sequence[Captioned]], Iterable[Captioned]]  # gives pictures back one by one, and says how far it has come


def encoded(encoder: Encoder, pictures: Iterable[Captioned]) -> tuple[tuple[Captioned, ...], np.ndarray]:
    """Those that can be opened, and their unit vectors, float32 [n, dimension]. Raises UserError where none can."""
    kept: list[Captioned] = []
    vectors = [np.empty((0, encoder.dimension), np.float32)]
    images: list[Image.Image] = []
    for picture in pictures:
        try:
            images.append(read_image(picture, encoder.side))
        except UserError:
            continue
        kept.append(picture)
        if len(images) == BATCH:
            vectors.append(encoder.encode_pictures(images))
            images.clear()
    vectors.append(encoder.encode_pictures(images))
    if not kept:
        raise UserError("training_no_pictures")
    return tuple(kept), np.concatenate(vectors)
