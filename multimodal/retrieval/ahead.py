"""Work done ahead by several threads, and handed over in order, in batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from itertools import islice
from typing import TypeVar

Source, Result = TypeVar("Source"), TypeVar("Result")


def batches(
    pool: Executor, work: Callable[[Source], Result], sources: Iterable[Source], size: int, window: int, seconds: float
) -> Iterator[list[Result]]:
    """What `work` makes of `sources`, in their order: `size` at once, or fewer after `seconds`.

    At most `window` are under way or waiting to be handed over. Raises what `work` or `sources` raise; what is under way then is finished,
    unseen. Where it is closed, `sources` are.
    """
    rest = iter(sources)
    waiting: deque[Future] = deque()
    batch: list[Result] = []
    due = time.monotonic() + seconds
    try:
        while True:
            for source in islice(rest, window - len(waiting)):
                waiting.append(pool.submit(work, source))
                if time.monotonic() >= due:  # the sources are slow themselves: what is ready does not wait until the window is full
                    break
            if not waiting and not batch:
                return
            if waiting and len(batch) < size:
                wait([waiting[0]], max(0.0, due - time.monotonic()) if batch else None)
                if waiting[0].done():
                    batch.append(waiting.popleft().result())
                    if time.monotonic() < due:
                        continue
            yield batch
            batch, due = [], time.monotonic() + seconds
    finally:
        for future in waiting:
            future.cancel()
        if isinstance(sources, Generator):
            sources.close()
