"""Captioned pictures on a disk: what is trained with, and what a model is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Captioned:
    """A picture's file with the captions that people wrote for it, one at least. `split`: one of SPLITS."""

    image: Path
    captions: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Problem:
    """What is wrong with some lines or files of a data set, which are left out.

    A sentence's code in `problems.SENTENCES`, how often it came, and where, for the first few: 'captions.csv:12' for a line, the name for a
    picture.
    """

    code: str
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class CaptionedSet:
    """All pictures of a data set in its own order, and what had to be left out.

    `form`: 'flickr8k', 'csv', 'coco', 'karpathy' or 'jsonl'.
    """

    form: str
    pictures: tuple[Captioned, ...]
    problems: tuple[Problem, ...] = ()

    def of(self, split: str) -> tuple[Captioned, ...]:
        """The pictures of one split."""
        return tuple(picture for picture in self.pictures if picture.split == split)

    def counts(self) -> Mapping[str, int]:
        """Pictures a split."""
        return {split: len(self.of(split)) for split in SPLITS}
