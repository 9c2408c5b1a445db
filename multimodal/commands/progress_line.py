"""How far something has come, and how long the rest will take: one line on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TypeVar

from multimodal.commands.train_phrases import train_phrase
from multimodal.errors import length_text

TERMINAL_SECONDS = 0.25  # between two lines on a terminal, each in the place of the one before
LOG_SECONDS = 10.0  # between two lines elsewhere

Item = TypeVar("Item")


def with_progress(items: Iterator[Item], total: int, name: str, language: str) -> Iterator[Item]:
    """The same items, of which there are `total`, while it is said how many have come. `name`: what they are."""
    terminal, shown, begun = sys.stderr.isatty(), 0, time.monotonic()
    pause = TERMINAL_SECONDS if terminal else LOG_SECONDS
    due = begun + pause
    try:
        for done, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now < due:
                continue
            rate = done / (now - begun)
            left = length_text((total - done) / rate)
            text = train_phrase("running", language, what=name, done=done, total=total, rate=f"{rate:.1f}", left=left)
            print(f"\r{text.ljust(shown)}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)
            shown, due = len(text), now + pause
    finally:
        if terminal and shown:
            print(file=sys.stderr)
