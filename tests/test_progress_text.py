"""How far a command of the library is, in one line."""

from __future__ import annotations

import pytest

from multimodal.commands.adding import progress_text
from multimodal.commands.session import Session
from multimodal.retrieval.progress import Progress


@pytest.mark.parametrize(
    ("language", "state", "wanted"),
    [
        ("en", "running", "holiday: 3 of 12, 1.5 a second, 0:06 left"),
        ("zh", "running", "holiday：3 / 12，每秒 1.5 个，还需 0:06"),
        ("en", "scanning", "holiday"),
        ("zh", "scanning", "holiday"),
    ],
)
def test_it_names_the_folder_and_how_far_it_is(language: str, state: str, wanted: str):
    session = Session(None, language, False)
    progress = Progress(state, done=3, total=12, rate=1.5, seconds_left=6.0)
    assert wanted in progress_text(session, progress, "holiday")
