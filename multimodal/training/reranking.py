"""The best answers of a dual encoder in the order of one who looks closer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.training.recall import BLOCK

# (picture's row, captions' numbers): how likely each caption describes the picture, float32 [captions]
Judge = Callable[[int, Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Shortlist:
    """The K nearest candidates of each query, int64 [queries, K], nearest first; which of them are `right`, bool [queries, K]; and `ranks`
    int64 [queries], from 1: where the first right one is among all candidates."""

    candidates: np.ndarray
    right: np.ndarray
    ranks: np.ndarray

    def ranks_after(self, scores: np.ndarray, k: int) -> np.ndarray:
        """The ranks where the first `k` are put in the order of their scores, float32 [queries, K]; of equal
        ones the nearer stays first."""
        order = np.argsort(-scores[:, :k], axis=1, kind="stable")
        right = np.take_along_axis(self.right[:, :k], order, axis=1)
        return np.where(right.any(axis=1), 1 + right.argmax(axis=1), self.ranks)


def shortlist(queries: np.ndarray, candidates: np.ndarray, query_keys: np.ndarray, candidate_keys: np.ndarray, count: int) -> Shortlist:
    """Of `count` candidates a query, or of all where there are fewer; the rest as recall.first_ranks takes it, and with its ranks: of
    candidates that are exactly as near, the wrong ones come first."""
    places, rights, ranks = [], [], []
    for start in range(0, len(queries), BLOCK):
        cosines = queries[start : start + BLOCK] @ candidates.T
        right = query_keys[start : start + BLOCK, None] == candidate_keys
        order = np.lexsort((right, -cosines), axis=1)
        right = np.take_along_axis(right, order, axis=1)
        places.append(order[:, :count])
        rights.append(right[:, :count])
        ranks.append(1 + right.argmax(axis=1))
    return Shortlist(np.concatenate(places), np.concatenate(rights), np.concatenate(ranks))


def judged(t2i: Shortlist, i2t: Shortlist, asked: np.ndarray, judge: Judge) -> tuple[np.ndarray, np.ndarray]:
    """The scores of both shortlists, float32 of their shapes. `asked` int64 [queries of t2i]: the number of each one's caption.

    Picture by picture, in their order, so that each is seen once, for all captions that are set against it.
    """
    scores = np.zeros(t2i.candidates.shape, np.float32), np.zeros(i2t.candidates.shape, np.float32)
    rows, places = t2i.candidates.ravel().argsort(kind="stable"), np.sort(t2i.candidates.ravel())
    for picture, answers in enumerate(i2t.candidates):
        entries = rows[np.searchsorted(places, picture) : np.searchsorted(places, picture + 1)]
        captions = np.concatenate([asked[entries // t2i.candidates.shape[1]], answers])
        numbers, back = np.unique(captions, return_inverse=True)
        found = judge(picture, numbers.tolist())[back]
        scores[0].ravel()[entries] = found[: len(entries)]
        scores[1][picture] = found[len(entries) :]
    return scores
