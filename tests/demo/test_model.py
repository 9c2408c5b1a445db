"""The bundled model knows its world: a sample of the held-out questions. The whole table: `python -m multimodal.demo evaluate`."""

from __future__ import annotations

import shutil
from random import Random

import pytest

from multimodal.chat.load import load
from multimodal.demo import words
from multimodal.demo.evaluate import SEED, ask
from multimodal.demo.lessons import Exchange
from multimodal.demo.recordings import make_recordings
from multimodal.demo.tutor import Tutor
from multimodal.desk import DEMO_MODEL
from tests.demo.test_lessons import recordings

COUNT = 60


@pytest.fixture(scope="module")
def model():
    return load(str(DEMO_MODEL), "cpu")


def right(model, exchanges: list[Exchange]) -> float:
    return sum(ask(model, exchange) == exchange.answer for exchange in exchanges) / len(exchanges)


def test_typed_questions_about_pictures(model):
    tutor = Tutor(recordings())
    assert right(model, [tutor.picture(Random(f"{SEED} {place}"), 1, 0.0)[0] for place in range(COUNT)]) >= 0.8


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: spoken words are not checked")
def test_spoken_words_of_voices_never_heard(model):
    tutor = Tutor(make_recordings(SEED, held_out=True, size=0.03))
    exchanges = [exchange for place in range(COUNT) for exchange in tutor.sound(Random(f"{SEED} {place}"), 3) if exchange.kind == "word"]
    assert right(model, exchanges[:COUNT]) >= 0.75


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["who", "can", "hello"])
def test_it_says_who_it_is(model, language, kind):
    exchange = Exchange(kind, language, (), words.QUESTIONS[kind][language][0], words.ANSWERS[kind][language])
    assert right(model, [exchange]) == 1


@pytest.mark.parametrize(("language", "question"), [("en", "What is the capital of France?"), ("zh", "法国的首都是哪里？")])
def test_what_it_does_not_know_it_says_so(model, language, question):
    assert right(model, [Exchange("elsewhere", language, (), question, words.ANSWERS["elsewhere"][language])]) == 1
