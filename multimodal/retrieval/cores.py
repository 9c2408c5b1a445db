"""Threads that compute on one core each.

Parts of a batch beside one another are done sooner on a processor than one after another on all cores, whose threads wait for each other
at every operation, and the longer the more other threads there are.
"""

from __future__ import annotations

import os
import sys
import threading

COUNT = min(8, os.cpu_count() or 2)  # of such threads


class OneCore:
    """Holds threads to one core in torch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._this = threading.local()

    def keep(self) -> None:
        """From now on this thread computes on one core; for good, so it should be one of ours. Nothing where nobody uses torch."""
        if hasattr(self._this, "kept") or "torch" not in sys.modules:
            return
        import torch  # waits where another thread is still at it

        with self._lock:
            others = torch.get_num_threads()
            torch.set_num_threads(1)  # of this thread, and of all that are still to come: for those it is set back by one that ends at once
            restoring = threading.Thread(target=torch.set_num_threads, args=(others,))
            restoring.start()
            restoring.join()
        self._this.kept = True
