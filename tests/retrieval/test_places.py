"""A file that is another by now is not taken for the picture that it held."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from multimodal.retrieval.places import still_holds
from multimodal.retrieval.records import Place

CONTENT = b"a picture"
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    return Place(str(path), len(CONTENT), path.stat().st_mtime_ns)


def test_what_nobody_touched_is_not_read(place: Place):
    assert still_holds(place, "whatever")


def test_another_time_is_no_other_picture(place: Place):
    os.utime(place.path, (1, 1))
    assert still_holds(place, HASH)
    Path(place.path).write_bytes(b"a pictura")
    assert not still_holds(place, HASH)


def test_another_size_is_another_file_whatever_its_time(place: Place):
    Path(place.path).write_bytes(b"another picture")
    os.utime(place.path, ns=(place.modified, place.modified))
    assert not still_holds(place, HASH)


def test_what_is_not_there_or_may_not_be_asked_after_holds_nothing(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for path in (tmp_path, tmp_path / "b.png", tmp_path / "a.png" / "x", "a\0b"):
        assert not still_holds(Place(str(path), len(CONTENT), 1), HASH)

    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("multimodal.retrieval.places.os.stat", refuse)
    assert not still_holds(place, HASH)
