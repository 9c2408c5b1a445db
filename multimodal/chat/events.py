"""What comes out of an answer, in order: notices and pieces of text, perhaps speech, then Done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multimodal.chat.conversation import Speech


@dataclass(frozen=True)
class Text:
    """The next piece of the answer."""

    piece: str


@dataclass(frozen=True)
class Notice:
    """Something the person should know: 'waiting', 'loading', 'speaking', 'turns_dropped' (`count`), 'shrunk' (`name`, `before` and
    `after`) or 'less_memory' (`step` of low_vram's ladder)."""

    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The end: the whole text and its tokens, and whether it was stopped.

    `timings` in seconds: 'wait' for the model, 'encode' for the media, 'first_token' and 'total' since the model began.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    timings: dict[str, float] = field(default_factory=dict)
    stopped: bool = False


Event = Text | Notice | Speech | Done
