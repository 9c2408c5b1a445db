"""What a data set is like, in a few numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multimodal.retrieval.words import CHARACTER
from multimodal.training.captioned import SPLITS, CaptionedSet

CJK = re.compile(CHARACTER)


COMMON = 0.05  # of the captions that a language has, if they are in that one too


@dataclass(frozen=True)
class Spread:
    """How large the numbers of a row are: the least, the one in the middle, the one that 95 % do not exceed, and the most."""

    least: int
    median: int
    most_of_them: int
    most: int


@dataclass(frozen=True)
class Description:
    """`pictures` and `captions`: how many, a split. `cjk`: the share of captions with Chinese, Japanese or Korean characters, 0 to 1.
    `lengths`: characters of each caption."""

    pictures: Mapping[str, int]
    captions: Mapping[str, int]
    cjk: float
    lengths: tuple[int, ...]


def describe(data: CaptionedSet) -> Description:
    """The numbers of a data set, which has a caption at least."""
    captions = [caption for picture in data.pictures for caption in picture.captions]
    counts = {split: sum(len(picture.captions) for picture in data.of(split)) for split in SPLITS}
    cjk = sum(CJK.search(caption) is not None for caption in captions) / len(captions)
    return Description(data.counts(), counts, cjk, tuple(map(len, captions)))


def languages_of_captions(captions: Sequence[str]) -> tuple[str, ...]:
    """Those of 'en' and 'zh' that a good part of the captions is in: those with Chinese characters, and the others."""
    chinese = sum(CJK.search(caption) is not None for caption in captions) / max(1, len(captions))
    return (*(("en",) if chinese <= 1 - COMMON else ()), *(("zh",) if chinese >= COMMON else ()))


def spread(numbers: Sequence[int]) -> Spread:
    """Of one number or more; those within are numbers of the row, the lower of two."""
    ordered = sorted(numbers)
    return Spread(ordered[0], ordered[(len(ordered) - 1) // 2], ordered[math.ceil(0.95 * len(ordered)) - 1], ordered[-1])
