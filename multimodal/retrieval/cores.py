"""Threads that compute on one core each.

Parts of a batch beside one another are done sooner on a processor than one after another on all cores, whose threads wait for each other
at every operation, and the longer the more other threads there are.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

COUNT = min(8, os.cpu_count() or 2)


def one_core_threads(name: str) -> ThreadPoolExecutor:
    """COUNT threads, each of which keeps to one core in torch, if that is there by the time they start."""
    return ThreadPoolExecutor(COUNT, name, initializer=_keep_to_one_core, initargs=(threading.Lock(),))


def _keep_to_one_core(one_at_once: threading.Lock) -> None:
    if "torch" not in sys.modules:
        return
    import torch  # waits where another thread is still at it

    with one_at_once:
        others = torch.get_num_threads()
        torch.set_num_threads(1)  # of this thread, and of all that are still to come: for those it is set back by one that ends at once
        restoring = threading.Thread(target=torch.set_num_threads, args=(others,))
        restoring.start()
        restoring.join()
