"""Out of memory, and on all the same: down the ladder, then again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

from low_vram.ladder import Step
from low_vram.memory import ran_out
from low_vram.stages import Stages

T = TypeVar("T")


class NothingLeft(Exception):
    """Memory ran out, and there is nothing more to give up."""


def recovering(stages: Stages, attempt: Callable[[], T], told: Callable[[Step], None]) -> T:
    """The result of `attempt`. Each time it runs out of memory, the next step of the ladder is taken, `told`, and it is called again.

    `attempt` goes on from what it has; what it had done is its own to keep. Raises NothingLeft at the ladder's end.
    """
    while True:
        try:
            return attempt()
        except Exception as error:
            if not ran_out(error):
                raise
        # Only here, outside of the handler, is the error gone, and with it the frames that hold the tensors of the attempt.
        gc.collect()
        step = stages.give_up()
        if step is None:
            raise NothingLeft
        told(step)
