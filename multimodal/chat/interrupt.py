"""Stop that stops the computation: every layer asks, before it runs, whether it still should."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from torch import nn


class Interrupted(Exception):
    """Stop was pressed, or nobody waits for the answer any more."""


class Interrupt:
    """Watches the layers of a model. One answer at a time: `stop` is the flag of the present one."""

    def __init__(self, layers: Iterable[nn.Module]):
        self.stop = threading.Event()
        for layer in layers:
            layer.register_forward_pre_hook(self._ask)

    def _ask(self, *_: object) -> None:
        if self.stop.is_set():
            raise Interrupted


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The repeated blocks of every part: each is well under a second of work."""
    return [layer for module in model.modules() if isinstance(module, nn.ModuleList) for layer in module if len(module) > 1]
