"""How an answer is to be made."""

from __future__ import annotations

from dataclasses import dataclass

DETAILS = ("auto", "fine", "fast")


@dataclass(frozen=True)
class Options:
    """`temperature` 0 takes the likeliest token each time. `voice` None answers in text only.

    `detail` is how closely pictures are looked at: 'auto' as memory allows without a thought, 'fine' for small print, 'fast' for many.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    voice: str | None = None
    detail: str = "auto"
