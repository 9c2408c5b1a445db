"""A conversation: what was said, with its media. Values only, so that undo and edit are plain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multimodal.errors import UserError
from multimodal.media import Medium


@dataclass(frozen=True)
class Speech:
    """A spoken answer: mono float32 samples in [-1, 1], `rate` a second."""

    samples: np.ndarray
    rate: int


@dataclass(frozen=True)
class Turn:
    """A question with its media, in the order they were given, and its answer.

    `files` are what the screen shows of the media: (path, name), and `spoken` of the spoken answer: a path. `notes` stand under the answer:
    (name, facts). `refusal` says why there is no answer, or no whole one.
    """

    text: str
    media: tuple[Medium, ...] = ()
    answer: str = ""
    files: tuple[tuple[str, str], ...] = ()
    spoken: str | None = None
    notes: tuple[tuple[str, dict], ...] = ()
    refusal: UserError | None = None


@dataclass(frozen=True)
class Conversation:
    """The turns so far. The last one's answer may still be to come."""

    turns: tuple[Turn, ...] = ()
    system_prompt: str = ""

    def asked(self, turn: Turn) -> Conversation:
        """With one more turn."""
        return replace(self, turns=(*self.turns, turn))

    def before(self, place: int) -> Conversation:
        """Only the turns before number `place`."""
        return replace(self, turns=self.turns[:place])

    def without_refused(self) -> Conversation:
        """Only the turns that were not refused."""
        return replace(self, turns=tuple(turn for turn in self.turns if turn.refusal is None))

    def answered(self, **changes: object) -> Conversation:
        """With the last turn's answer (or other fields) set."""
        return replace(self, turns=(*self.turns[:-1], replace(self.turns[-1], **changes)))
