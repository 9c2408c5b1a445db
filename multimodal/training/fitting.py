"""Which captions fit which pictures of a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multimodal.training.captioned import Captioned


class Fitting:
    """A caption fits each picture that has one which reads the same, whatever the case of its letters; it is wrong for all others.

    `pictures`: as they came. `captions`: of all of them, one after the other; `owners` int64 [captions]: the row of each one's picture;
    `firsts` int64 [pictures]: the number of each one's first caption.
    """

    def __init__(self, pictures: Sequence[Captioned]):
        self.pictures = tuple(pictures)
        self.captions = tuple(caption for picture in pictures for caption in picture.captions)
        counts = [len(picture.captions) for picture in pictures]
        self.owners = np.repeat(np.arange(len(counts)), counts)
        self.firsts = np.cumsum([0, *counts[:-1]])
        numbers: dict[str, int] = {}
        self._texts = [numbers.setdefault(" ".join(caption.casefold().split()), len(numbers)) for caption in self.captions]
        self._holders: list[list[int]] = [[] for _ in numbers]  # pictures, by text
        self._sayings: list[list[int]] = [[] for _ in numbers]  # captions, by text
        for number, (text, owner) in enumerate(zip(self._texts, self.owners.tolist(), strict=True)):
            self._sayings[text].append(number)
            self._holders[text].append(owner)

    def pictures_of(self, caption: int) -> list[int]:
        """The rows of the pictures that the caption of this number fits."""
        return self._holders[self._texts[caption]]

    def captions_of(self, picture: int) -> list[int]:
        """The numbers of the captions that fit the picture in this row."""
        first = self.firsts[picture]
        own = dict.fromkeys(self._texts[first : first + len(self.pictures[picture].captions)])
        return [number for text in own for number in self._sayings[text]]

    def all_alike(self) -> bool:
        """Whether every caption fits every picture, so that nothing is wrong for anything."""
        return all(len(set(holders)) == len(self.pictures) for holders in self._holders)
