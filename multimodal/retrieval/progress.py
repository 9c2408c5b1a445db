"""How far the adding of pictures has come."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from multimodal.errors import UserError

RATE_SECONDS = 30.0  # over which the pace is taken


@dataclass(frozen=True)
class Progress:
    """`state`: 'idle', 'scanning' (looking what there is), 'running', 'paused', 'cancelled' or 'failed' (`error` says why).

    `done` of `total` files were dealt with: `added` were read and put into the store, `unchanged` were there already, `failed` could not be
    read. `rate`: files read in a second of late. `seconds_left`: at that rate; None while it is not known. `current`: the name of a file.
    """

    state: str = "idle"
    done: int = 0
    total: int = 0
    added: int = 0
    unchanged: int = 0
    failed: int = 0
    rate: float = 0.0
    seconds_left: float | None = None
    current: str = ""
    error: UserError | None = None


class Meter:
    """Keeps a Progress, which one thread moves and any may look at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Progress()
        self._marks: deque[tuple[float, int]] = deque()  # (when, files dealt with until then)

    def read(self) -> Progress:
        """The present one."""
        return self._now

    def begin(self) -> None:
        """A new task, of which nothing is done."""
        with self._lock:
            self._now = Progress("scanning")

    def run(self) -> None:
        """From here on files are read: after a look around, or after a rest."""
        with self._lock:
            self._now = replace(self._now, state="running")
            self._marks = deque([(time.monotonic(), self._now.done)])

    def end(self, state: str) -> None:
        """The task is over."""
        with self._lock:
            self._now = replace(self._now, state=state, rate=0.0, seconds_left=None, current="")

    def found(self, unchanged: int = 0, failed: int = 0, ahead: int = 0) -> None:
        """Files were come upon: known ones, as they were; broken ones, as they were; and such as are to be read."""
        with self._lock:
            now, known = self._now, unchanged + failed
            self._now = replace(
                now,
                done=now.done + known,
                total=now.total + known + ahead,
                unchanged=now.unchanged + unchanged,
                failed=now.failed + failed,
            )

    def dealt(self, count: int, added: int, failed: int, current: str) -> None:
        """`count` files were read, the last of them called `current`."""
        with self._lock:
            now, marks = self._now, self._marks
            done = now.done + count
            marks.append((time.monotonic(), done))
            while len(marks) > 2 and marks[0][0] < marks[-1][0] - RATE_SECONDS:
                marks.popleft()
            rate = (done - marks[0][1]) / max(1e-3, marks[-1][0] - marks[0][0])
            self._now = replace(
                now,
                done=done,
                added=now.added + added,
                failed=now.failed + failed,
                rate=rate,
                seconds_left=(now.total - done) / rate,
                current=current,
            )
