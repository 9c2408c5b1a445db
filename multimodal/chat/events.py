"""What comes out of an answer, in order: notices and pieces of text, perhaps speech, then Done."""

from __future__ import annotations

from dataclasses import dataclass, field

from multimodal.chat.conversation import Speech


@dataclass(frozen=True)
class Text:
    """The next piece of the answer."""

    piece: str


@dataclass(frozen=True)
class Notice:
    """Something the person should know: 'waiting', 'loading', 'speaking' or 'turns_dropped' (with `count`)."""

    code: str
    count: int = 0


@dataclass(frozen=True)
class Done:
    """The end. Token counts, and seconds: 'wait' for the model, 'encode' media, 'first_token' since the start, 'total'; `stopped` if Stop was pressed."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    timings: dict[str, float] = field(default_factory=dict)
    stopped: bool = False


Event = Text | Notice | Speech | Done
