"""Threads that compute on one core, and what that leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from multimodal.retrieval.cores import OneCore


@pytest.fixture
def cores() -> Iterator[int]:
    """How many torch uses here: three."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def in_a_thread(deed: Callable[[], None]) -> int:
    """On how many cores torch computes in a new thread, after that."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: (deed(), found.append(torch.get_num_threads())))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_keeps_to_one_core_and_no_other_does(cores: int):
    one_core = OneCore()
    for _ in range(3):
        assert in_a_thread(one_core.keep) == 1
    assert torch.get_num_threads() == cores
    assert in_a_thread(lambda: None) == cores


def test_many_at_once_leave_the_others_their_cores(cores: int):
    one_core, found = OneCore(), []
    threads = [threading.Thread(target=lambda: (one_core.keep(), one_core.keep(), found.append(torch.get_num_threads()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert in_a_thread(lambda: None) == cores
