"""A kill at any moment loses nothing that was said to be done. More of them: `python -m tests.bench.kills`."""

from __future__ import annotations

from tests.retrieval.killing import kill_once


def test_after_a_kill_at_any_moment_everything_that_was_acknowledged_is_there(tmp_path):
    present: set[int] = set()
    folder = tmp_path / "library"
    folder.mkdir()
    for seed in range(25):
        present = kill_once(folder, seed, present)
    assert present
