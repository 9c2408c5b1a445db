"""Recall@K and median rank between captions and pictures, exactly, in blocks that fit into memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AT = (1, 5, 10)
BLOCK = 1024  # rows compared at once


@dataclass(frozen=True)
class Recall:
    """The percentage of queries with at least one right answer among the first K, by K; and the median rank of the first right one."""

    at: dict[int, float]
    median_rank: float

    def as_dict(self) -> dict[str, float]:
        """{"R@1", "R@5", "R@10", "median rank"}, rounded as people write them."""
        return {**{f"R@{k}": round(value, 2) for k, value in self.at.items()}, "median rank": self.median_rank}


def recall_of(ranks: np.ndarray) -> Recall:
    """`ranks` int64 [queries], from 1: those of the first right answers."""
    return Recall({k: 100 * float((ranks <= k).mean()) for k in AT}, float(np.median(ranks)))


def first_ranks(queries: np.ndarray, candidates: np.ndarray, query_keys: np.ndarray, candidate_keys: np.ndarray) -> np.ndarray:
    """The rank of each query's best right answer, int64 [q], from 1: how many candidates are at least as near and are not right.

    `queries` [q, dimension] and `candidates` [c, dimension]: unit vectors. An answer is right where the keys agree, int64 [q] and [c]; each
    query has one at least. A wrong candidate that is exactly as near counts as nearer: a model that says the same of all finds nothing.
    """
    ranks = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), BLOCK):
        cosines = queries[start : start + BLOCK] @ candidates.T
        right = query_keys[start : start + BLOCK, None] == candidate_keys
        best = np.where(right, cosines, -np.inf).max(axis=1, keepdims=True)
        ranks[start : start + BLOCK] = 1 + ((cosines >= best) & ~right).sum(axis=1)
    return ranks


def both_ways(captions: np.ndarray, pictures: np.ndarray, owners: np.ndarray) -> dict[str, Recall]:
    """{"t2i": words to pictures, "i2t": picture to captions}. `owners` int64 [captions]: the row of the picture that each belongs to."""
    rows = np.arange(len(pictures))
    return {
        "t2i": recall_of(first_ranks(captions, pictures, owners, rows)),
        "i2t": recall_of(first_ranks(pictures, captions, rows, owners)),
    }
