"""How well an encoder finds the right pictures of a data set for its captions, and the right captions for its pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from multimodal.retrieval.encoder import Encoder
from multimodal.training.captioned import Captioned
from multimodal.training.encoding import encoded
from multimodal.training.recall import Recall, both_ways

ASKED = 32  # queries whose time is taken
MOST = 1_000  # pictures, as in the usual split of Flickr8k


@dataclass(frozen=True)
class Evaluation:
    """`recall`: {"t2i": words to pictures, "i2t": picture to captions}. `pictures` and `captions`: those that were compared, with their
    unit vectors, float32 [n, dimension]; `owners` int64 [captions]: the row of each one's picture. `seconds`: of one query in words,
    encoded and compared with all pictures."""

    recall: dict[str, Recall]
    pictures: tuple[Captioned, ...]
    captions: tuple[str, ...]
    owners: np.ndarray
    picture_vectors: np.ndarray
    caption_vectors: np.ndarray
    seconds: float


def evaluate(encoder: Encoder, pictures: Iterable[Captioned]) -> Evaluation:
    """On all of `pictures`, but for those that cannot be opened. Raises UserError where none can."""
    kept, picture_vectors = encoded(encoder, pictures)
    captions = tuple(caption for picture in kept for caption in picture.captions)
    owners = np.array([row for row, picture in enumerate(kept) for _ in picture.captions], np.int64)
    caption_vectors = encoder.encode_texts(captions)
    began = time.perf_counter()
    asked = captions[: min(len(captions), ASKED)]
    for caption in asked:
        np.argsort(-(encoder.encode_texts([caption]) @ picture_vectors.T))
    seconds = (time.perf_counter() - began) / len(asked)
    recall = both_ways(caption_vectors, picture_vectors, owners)
    return Evaluation(recall, kept, captions, owners, picture_vectors, caption_vectors, seconds)
