"""How an answer is to be made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`temperature` 0 takes the likeliest token each time. `voice` None answers in text only."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    voice: str | None = None
