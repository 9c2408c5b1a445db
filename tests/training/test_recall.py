"""Recall@K and ranks, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from multimodal.training import recall as module
from multimodal.training.recall import both_ways, first_ranks, recall_of


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_rank_is_that_of_the_first_right_answer():
    candidates = unit(np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]], np.float32))
    queries = candidates[[0, 0, 2]]
    assert first_ranks(queries, candidates, np.array([0, 3, 2]), np.arange(4)).tolist() == [1, 4, 1]
    assert first_ranks(queries, candidates, np.array([7, 7, 7]), np.array([7, 0, 0, 7])).tolist() == [1, 1, 3]  # the best of two right ones


def test_a_model_that_says_the_same_of_all_finds_nothing():
    same = unit(np.ones((20, 4), np.float32))
    found = both_ways(same, same, np.arange(20))
    assert [recall.at[1] for recall in found.values()] == [0, 0]
    assert {recall.median_rank for recall in found.values()} == {20}


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    pictures = unit(random.standard_normal((50, 8)))
    owners = np.repeat(np.arange(50), 5)
    captions = unit(pictures[owners] + 0.5 * random.standard_normal((250, 8)))
    whole = both_ways(captions, pictures, owners)
    monkeypatch.setattr(module, "BLOCK", 7)
    assert both_ways(captions, pictures, owners) == whole
    assert 0 < whole["t2i"].at[1] < whole["t2i"].at[5] < 100
    naive = [
        next(rank for rank, row in enumerate(np.argsort(-(caption @ pictures.T)), 1) if row == owner)
        for caption, owner in zip(captions, owners, strict=True)
    ]
    assert whole["t2i"] == recall_of(np.array(naive))


def test_it_is_told_in_percent():
    found = recall_of(np.array([1, 2, 6, 11]))
    assert found.as_dict() == {"R@1": 25.0, "R@5": 50.0, "R@10": 75.0, "median rank": 4.0}
