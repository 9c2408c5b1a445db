"""A word and its probability for each picture, and the table of them."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from multimodal.errors import UserError
from multimodal.retrieval.labels import TEMPLATES, best_labels, count_labels, labels_csv, read_words, word_vectors

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
WORDS = ("cat", "狗", "=1+1")


@pytest.mark.parametrize("text", ["cat, dog,cat", "cat，dog", "cat、 dog\n\n", " cat ; dog;"])
def test_words_are_parted_by_commas_of_both_languages_and_lines_and_come_once(text):
    assert read_words(text) == ("cat", "dog")


@pytest.mark.parametrize("text", ["", " ,，", ",".join(str(number) for number in range(201)), "x" * 81])
def test_no_words_too_many_and_too_long_ones_are_refused(text):
    with pytest.raises(UserError) as refused:
        read_words(text)
    assert refused.value.code == "labels_words"


def test_a_words_vector_is_the_mean_over_the_sentences_of_its_own_language():
    asked: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        rows = np.random.default_rng(len(asked)).normal(size=(len(texts), 4))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    vectors = word_vectors(["cat", "猫"], encode)
    assert asked == [form.format("cat") for form in TEMPLATES["en"]] + [form.format("猫") for form in TEMPLATES["zh"]]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_the_likeliest_word_is_the_label():
    labels = best_labels(WORDS, PROBABILITIES)
    assert [(label.word, label.probability) for label in labels] == [("cat", 0.7), ("=1+1", 0.6)]
    assert count_labels(WORDS, labels) == {"cat": 1, "狗": 0, "=1+1": 1}


def test_the_table_opens_in_spreadsheets_and_computes_nothing_there():
    text = labels_csv([(1, "@sum.jpg"), (2, "海滩.jpg")], WORDS, PROBABILITIES)
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:])))
    assert rows[0] == ["id", "image_name", "label", "probability", "cat", "狗", "'=1+1"]
    assert rows[1][:4] == ["1", "'@sum.jpg", "cat", "0.7"]
    assert rows[2][:4] == ["2", "海滩.jpg", "'=1+1", "0.6"]


def test_the_words_of_most_pictures_are_counted_first():
    labels = best_labels(WORDS, np.array([[0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0]]))
    assert list(count_labels(WORDS, labels).items()) == [("=1+1", 2), ("cat", 1), ("狗", 1)]


def test_no_pictures_have_no_labels_and_an_empty_table():
    none = np.empty((0, len(WORDS)))
    assert best_labels(WORDS, none) == []
    assert labels_csv([], WORDS, none).count("\r\n") == 1
