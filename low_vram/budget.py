"""How much memory may be used."""

from __future__ import annotations

import re
from dataclasses import dataclass


class BadBudget(ValueError):
    """A budget that cannot be read; the message is a sentence."""


@dataclass(frozen=True)
class Machine:
    """What may be used, in bytes; `device` is None where there is no card, or where it is not to be used."""

    device: int | None
    host: int

    @property
    def on_cpu(self) -> bool:
        """Whether the processor computes."""
        return self.device is None


def read_bytes(text: str) -> int:
    """Bytes of '8GiB', '8 GB', '6000MiB' or '8' (GiB). Raises BadBudget."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(gib|gb|g|mib|mb|m)?\s*", text.lower())
    if not match or float(match[1]) == 0:
        raise BadBudget(f"'{text}' is no amount of memory; write for example 8GiB.")
    unit = {"gib": 2**30, "gb": 10**9, "g": 2**30, "mib": 2**20, "mb": 10**6, "m": 2**20, None: 2**30}[match[2]]
    return int(float(match[1]) * unit)
