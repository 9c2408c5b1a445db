"""Zero-shot labels: which word of a person's own list fits each picture best."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.errors import UserError
from multimodal.retrieval.cells import as_cell

# A word is looked for by itself and in a sentence like those that encoders have learnt from; the first of A. Radford et al., Learning
# Transferable Visual Models From Natural Language Supervision (2021), section 3.1.4, and the same in Chinese.
TEMPLATES = {"en": ("{}", "a photo of {}"), "zh": ("{}", "一张{}的照片")}
CHINESE = re.compile(r"[\u3400-\u9fff]")
BETWEEN = re.compile(r"[,，、;；\r\n]")
MOST_WORDS = 200
LONGEST_WORD = 80  # characters
DIGITS = 4  # of a probability
MARK = "\ufeff"  # by which spreadsheets know a table as UTF-8
COLUMNS = ("id", "image_name", "label", "probability")


@dataclass(frozen=True)
class Label:
    """The likeliest word for a picture, and its probability: 0 to 1, in four digits."""

    word: str
    probability: float


def read_words(text: str) -> tuple[str, ...]:
    """The words of a list as people write it: commas of either language, semicolons or line ends between them; each once, in order.

    Raises UserError for none, too many, or one that is too long.
    """
    words = tuple(dict.fromkeys(word for part in BETWEEN.split(text) if (word := " ".join(part.split()))))
    if not 1 <= len(words) <= MOST_WORDS or max(map(len, words)) > LONGEST_WORD:
        raise UserError("labels_words", count=len(words), limit=MOST_WORDS, longest=LONGEST_WORD)
    return words


def word_vectors(words: Sequence[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """One unit vector a word, float32 [words, dimension]: the mean over the templates of the word's own language.

    `encode` makes unit vectors [texts, dimension] of texts.
    """
    templates = [TEMPLATES["zh" if CHINESE.search(word) else "en"] for word in words]
    vectors = encode([template.format(word) for word, of_word in zip(words, templates, strict=True) for template in of_word])
    starts = np.cumsum([0, *(len(of_word) for of_word in templates[:-1])])
    sums = np.add.reduceat(vectors, starts, axis=0)
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def best_labels(words: Sequence[str], probabilities: np.ndarray) -> list[Label]:
    """The likeliest of `words` for each picture, from `probabilities` [pictures, words]; of equally likely ones the first."""
    return [Label(words[best], _rounded(row[best])) for best, row in zip(probabilities.argmax(axis=1), probabilities, strict=True)]


def count_labels(words: Sequence[str], labels: Sequence[Label]) -> dict[str, int]:
    """How many pictures each of `words` was given to, the most frequent first, also those of none; of equal ones in their own order."""
    counts = Counter(label.word for label in labels)
    return {word: counts[word] for word in sorted(words, key=lambda word: -counts[word])}


def labels_csv(pictures: Sequence[tuple[int, str]], words: Sequence[str], probabilities: np.ndarray) -> str:
    """A table with the label of each picture (id, file name) and how probable every word is, from `probabilities` [pictures, words].

    To be written as UTF-8 with newline="". What spreadsheets would compute is marked as text.
    """
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow([*COLUMNS, *map(as_cell, words)])
    for (id, name), label, row in zip(pictures, best_labels(words, probabilities), probabilities, strict=True):
        table.writerow([id, as_cell(name), as_cell(label.word), label.probability, *map(_rounded, row)])
    return MARK + file.getvalue()


def _rounded(probability: np.floating) -> float:
    return round(float(probability), DIGITS)
