"""Times as they are told."""

from __future__ import annotations

from datetime import datetime

import pytest

from multimodal.retrieval.answers import time_text


def test_a_time_is_told_with_its_zone():
    moment = datetime(2024, 5, 31, 18, 4).astimezone()
    assert time_text(moment.timestamp()) == moment.isoformat(timespec="seconds")


@pytest.mark.parametrize(
    ("seconds", "year"), [(1e12, "9999-"), (2.6e11, "9999-"), (float("inf"), "9999-"), (-1e12, "0001-"), (-6.3e10, "-")]
)
def test_a_time_that_no_calendar_reaches_is_told_as_the_last_that_one_does(seconds: float, year: str):
    assert year in time_text(seconds)
