"""Wrong pictures for captions, and wrong captions for pictures: any, or those that a dual encoder takes for nearly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

import numpy as np

from multimodal.training.fitting import Fitting

KEPT = 32  # wrong answers of each, the dual encoder's best
WARMTH = 0.07  # cosines are divided by it before their softmax: where ALBEF's temperature begins (arXiv 2107.07651, section 3.2)
BLOCK = 2**24  # cosines in memory at once


class Negatives(Protocol):
    """Draws something wrong; None where all of it is right."""

    def picture(self, caption: int, random: Random) -> int | None:
        """The row of a picture that the caption of this number does not fit."""

    def caption(self, picture: int, random: Random) -> int | None:
        """The number of a caption that does not fit the picture in this row."""


class AnyNegatives:
    """All that is wrong, one as likely as the other."""

    def __init__(self, fitting: Fitting):
        self._fitting = fitting

    def picture(self, caption: int, random: Random) -> int | None:
        return _any_but(self._fitting.pictures_of(caption), len(self._fitting.pictures), random)

    def caption(self, picture: int, random: Random) -> int | None:
        return _any_but(self._fitting.captions_of(picture), len(self._fitting.captions), random)


class HardNegatives:
    """The KEPT best of what is wrong by a dual encoder, the better the likelier, as ALBEF draws them (arXiv 2107.07651, section 3.2) from
    a batch; here from the whole data set."""

    def __init__(self, fitting: Fitting, captions: np.ndarray, pictures: np.ndarray):
        """Unit vectors, float32: of the fitting's captions [c, dimension] and of its pictures [p, dimension]."""
        self._pictures = _best_wrong(captions, pictures, fitting.pictures_of)
        self._captions = _best_wrong(pictures, captions, fitting.captions_of)

    def picture(self, caption: int, random: Random) -> int | None:
        return _drawn(*(part[caption] for part in self._pictures), random)

    def caption(self, picture: int, random: Random) -> int | None:
        return _drawn(*(part[picture] for part in self._captions), random)


def _any_but(right: Sequence[int], count: int, random: Random) -> int | None:
    wrong = np.ones(count, bool)
    wrong[right] = False
    rows = wrong.nonzero()[0]
    return int(rows[random.randrange(len(rows))]) if len(rows) else None


def _best_wrong(queries: np.ndarray, candidates: np.ndarray, right_of: Callable[[int], Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The candidates nearest to each query that are not right for it, int32 [q, KEPT], with their softmax, float32 [q, KEPT]; what is right
    is among them only with a 0."""
    count = min(KEPT, len(candidates))
    places, weights = np.empty((len(queries), count), np.int32), np.zeros((len(queries), count), np.float32)
    size = max(1, BLOCK // len(candidates))
    for start in range(0, len(queries), size):
        cosines = queries[start : start + size] @ candidates.T
        for row, line in enumerate(cosines, start):
            line[right_of(row)] = -np.inf
            best = np.argpartition(-line, count - 1)[:count]
            places[row] = best = best[np.argsort(-line[best], kind="stable")]
            if np.isfinite(line[best[0]]):
                weights[row] = np.exp((line[best] - line[best[0]]) / WARMTH)
    return places, weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)


def _drawn(places: np.ndarray, weights: np.ndarray, random: Random) -> int | None:
    return random.choices(places.tolist(), weights.tolist())[0] if weights.any() else None
