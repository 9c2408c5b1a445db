"""What is drawn as wrong is never right, and comes from the dual encoder's best where there is one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest

from multimodal.training import negatives
from multimodal.training.captioned import Captioned
from multimodal.training.fitting import Fitting
from multimodal.training.negatives import AnyNegatives, HardNegatives, Negatives

SAID = (("a dog", "a cat"), ("A  Dog", "a bird"), ("a fish",), ("a cow", "a hen", "a fish "), ("a boat",), ("a car", "a car"))


def fitting_of(*said: tuple[str, ...]) -> Fitting:
    return Fitting([Captioned(Path(f"{number}.png"), captions, "train") for number, captions in enumerate(said)])


def vectors(count: int, seed: int) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def hard(fitting: Fitting) -> HardNegatives:
    return HardNegatives(fitting, vectors(len(fitting.captions), 1), vectors(len(fitting.pictures), 2))


def test_a_caption_fits_all_pictures_that_have_one_which_reads_the_same() -> None:
    fitting = fitting_of(*SAID)
    assert fitting.pictures_of(0) == [0, 1]
    assert fitting.pictures_of(1) == [0]
    assert fitting.captions_of(0) == [0, 2, 1]
    assert fitting.captions_of(3) == [5, 6, 4, 7]
    assert fitting.captions_of(5) == [9, 10]
    assert fitting.owners.tolist() == [0, 0, 1, 1, 2, 3, 3, 3, 4, 5, 5]
    assert [fitting.captions[first] for first in fitting.firsts] == [captions[0] for captions in SAID]


@pytest.mark.parametrize("make", [AnyNegatives, hard])
def test_nothing_right_is_drawn_and_all_that_is_wrong_can_be(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "WARMTH", 1.0)  # so that nothing is too unlikely to be seen
    fitting, random = fitting_of(*SAID), Random(0)
    drawn: Negatives = make(fitting)
    for caption in range(len(fitting.captions)):
        found = {drawn.picture(caption, random) for _ in range(2000)}
        assert found == set(range(len(SAID))) - set(fitting.pictures_of(caption))
    for picture in range(len(SAID)):
        found = {drawn.caption(picture, random) for _ in range(4000)}
        assert found == set(range(len(fitting.captions))) - set(fitting.captions_of(picture))


@pytest.mark.parametrize("make", [AnyNegatives, hard])
def test_where_all_is_right_nothing_is_drawn(make) -> None:
    fitting = fitting_of(("a dog",), ("A dog", "a cat"))
    drawn: Negatives = make(fitting)
    assert not fitting.all_alike()
    assert fitting_of(("a dog", "a cat"), ("a cat", "a dog")).all_alike()
    assert drawn.picture(0, Random(0)) is None
    assert drawn.picture(2, Random(0)) == 0
    assert drawn.caption(0, Random(0)) == 2
    assert drawn.caption(1, Random(0)) is None


def test_hard_ones_are_the_encoders_best_and_the_better_the_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(negatives, "KEPT", 3)
    monkeypatch.setattr(negatives, "BLOCK", 64)  # several blocks
    fitting = fitting_of(*((f"caption {number}", "the same") if number < 2 else (f"caption {number}",) for number in range(30)))
    captions, pictures = vectors(len(fitting.captions), 1), vectors(30, 2)
    drawn, random = HardNegatives(fitting, captions, pictures), Random(0)
    for caption in range(len(fitting.captions)):
        cosines = captions[caption] @ pictures.T
        cosines[fitting.pictures_of(caption)] = -2
        best = np.argsort(-cosines)[:3].tolist()
        found = Counter(drawn.picture(caption, random) for _ in range(600))
        assert set(found) <= set(best)
        share = np.exp(cosines[best] / negatives.WARMTH) / np.exp(cosines[best] / negatives.WARMTH).sum()
        assert [found[row] / 600 for row in best] == pytest.approx(share.tolist(), abs=0.08)
    for picture in range(30):
        cosines = pictures[picture] @ captions.T
        cosines[fitting.captions_of(picture)] = -2
        assert {drawn.caption(picture, random) for _ in range(50)} <= set(np.argsort(-cosines)[:3].tolist())
    assert [drawn.picture(5, Random(7)) for _ in range(5)] == [drawn.picture(5, Random(7))] * 5
