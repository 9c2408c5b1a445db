"""Work done ahead by several threads, and handed over in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from multimodal.retrieval.ahead import batches


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
@pytest.mark.parametrize("window", [1, 3, 50])
def test_all_comes_in_order_and_in_full_batches(pool: ThreadPoolExecutor, count: int, window: int):
    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number * number

    found = list(batches(pool, work, range(count), 4, window, 60))
    assert [number for batch in found for number in batch] == [number * number for number in range(count)]
    assert [len(batch) for batch in found] == [4] * (count // 4) + [count % 4] * (count % 4 > 0)


def test_a_batch_does_not_wait_for_its_last_longer_than_said(pool: ThreadPoolExecutor):
    slow = threading.Event()
    found = batches(pool, lambda number: number if number < 2 else slow.wait(30), range(4), 4, 4, 0.05)
    assert next(found) == [0, 1]
    slow.set()
    assert [value for batch in found for value in batch] == [True, True]


def test_no_more_is_taken_up_than_the_window(pool: ThreadPoolExecutor):
    taken = []

    def sources() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    found = batches(pool, lambda number: number, sources(), 4, 6, 60)
    next(found)
    assert len(taken) <= 4 + 6
    found.close()


def test_what_is_closed_ends_its_sources_and_what_had_not_begun(pool: ThreadPoolExecutor):
    begun, ended, gate = [], threading.Event(), threading.Event()

    def sources() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            ended.set()

    def work(number: int) -> int:
        begun.append(number)
        assert number < 2 or gate.wait(30)
        return number

    kept = sources()
    found = batches(pool, work, kept, 2, 20, 60)
    next(found)
    found.close()
    gate.set()
    pool.shutdown()
    assert ended.is_set()
    assert len(begun) <= 4


def test_an_error_comes_where_its_result_would_have(pool: ThreadPoolExecutor):
    found = batches(pool, lambda number: 1 // (3 - number), range(6), 2, 6, 60)
    assert next(found) == [0, 0]
    with pytest.raises(ZeroDivisionError):
        list(found)


@pytest.mark.parametrize("window", [2, 30])
def test_sources_that_come_slowly_hold_up_nothing_that_is_due(pool: ThreadPoolExecutor, window: int):
    taken = []

    def sources() -> Iterator[int]:
        for number in range(30):
            time.sleep(0.05)
            taken.append(number)
            yield number

    found = batches(pool, lambda number: number, sources(), 8, window, 0.1)
    first = next(found)
    assert len(taken) <= 4
    rest = list(found)
    assert [number for batch in (first, *rest) for number in batch] == list(range(30))
    assert all(rest)
