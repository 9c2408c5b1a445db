"""A dual encoder's best answers in a new order, against the whole ranking written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from multimodal.training.recall import first_ranks
from multimodal.training.reranking import judged, shortlist

PICTURES, EACH = 12, 3
OWNERS = np.repeat(np.arange(PICTURES), EACH)
ROWS = np.arange(PICTURES)


def vectors(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


CAPTION_VECTORS, PICTURE_VECTORS = vectors(PICTURES * EACH, 0), vectors(PICTURES, 1)
SCORES = np.random.default_rng(2).random((PICTURES * EACH, PICTURES)).astype(np.float32)  # captions by pictures


def test_the_ranks_before_are_those_of_recall_and_wrong_ones_come_first_of_equals() -> None:
    found = shortlist(CAPTION_VECTORS, PICTURE_VECTORS, OWNERS, ROWS, 5)
    assert found.candidates.shape == (36, 5)
    assert found.ranks.tolist() == first_ranks(CAPTION_VECTORS, PICTURE_VECTORS, OWNERS, ROWS).tolist()
    same = np.ones((PICTURES, 6), np.float32) / 6**0.5
    assert shortlist(CAPTION_VECTORS, same, OWNERS, ROWS, 20).ranks.tolist() == [PICTURES] * 36


@pytest.mark.parametrize("k", [1, 3, 7, 50])
def test_the_first_k_are_put_in_order_and_the_rest_stays(k: int) -> None:
    t2i = shortlist(CAPTION_VECTORS, PICTURE_VECTORS, OWNERS, ROWS, 50)
    i2t = shortlist(PICTURE_VECTORS, CAPTION_VECTORS, ROWS, OWNERS, 50)
    seen: list[int] = []

    def judge(picture: int, captions: Sequence[int]) -> np.ndarray:
        seen.append(picture)
        assert len(set(captions)) == len(captions)
        return SCORES[captions, picture]

    scores = judged(t2i, i2t, np.arange(36), judge)
    assert seen == ROWS.tolist()
    for found, score, queries, candidates, right, table in (
        (t2i, scores[0], CAPTION_VECTORS, PICTURE_VECTORS, OWNERS[:, None] == ROWS, SCORES),
        (i2t, scores[1], PICTURE_VECTORS, CAPTION_VECTORS, ROWS[:, None] == OWNERS, SCORES.T),
    ):
        ranks = []
        for row, cosines in enumerate(queries @ candidates.T):
            nearest = np.argsort(-cosines).tolist()
            order = sorted(nearest[:k], key=lambda place, row=row: -table[row, place]) + nearest[k:]
            ranks.append(1 + next(place for place, answer in enumerate(order) if right[row, answer]))
        assert found.ranks_after(score, k).tolist() == ranks


def test_who_says_the_same_of_all_moves_nothing() -> None:
    found = shortlist(CAPTION_VECTORS, PICTURE_VECTORS, OWNERS, ROWS, 8)
    assert found.ranks_after(np.full((36, 8), 0.5, np.float32), 8).tolist() == found.ranks.tolist()


def test_some_captions_alone_can_be_asked_with() -> None:
    asked = np.arange(0, 36, EACH)
    t2i = shortlist(CAPTION_VECTORS[asked], PICTURE_VECTORS, ROWS, ROWS, 4)
    i2t = shortlist(PICTURE_VECTORS, CAPTION_VECTORS, ROWS, OWNERS, 4)
    scores, _ = judged(t2i, i2t, asked, lambda picture, captions: SCORES[captions, picture])
    assert np.array_equal(scores, np.take_along_axis(SCORES[asked], t2i.candidates, axis=1))
