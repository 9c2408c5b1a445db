"""Watched folders: what changes in them comes into the store by itself."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.retrieval.watch import Watch
from tests.retrieval.conftest import Desk

QUIET = 0.1


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)).save(path)
    return path


def soon(holds: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def looked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were handed over to be looked at."""
    found: list[Path] = []
    add_folder = desk.adding.add_folder
    monkeypatch.setattr(desk.adding, "add_folder", lambda path: found.append(path) or add_folder(path))
    return found


@pytest.fixture
def watch(desk: Desk) -> Iterator[Watch]:
    """One that has not begun."""
    watch = Watch(desk.store, desk.adding, quiet=QUIET)
    yield watch
    watch.close()


@pytest.fixture
def photos(tmp_path: Path, desk: Desk) -> Path:
    """A watched folder with one picture that nobody has looked at yet."""
    photo(tmp_path / "photos" / "a.png")
    desk.store.add_folder(str(tmp_path / "photos"), watched=True)
    return tmp_path / "photos"


@pytest.fixture
def begun(desk: Desk, watch: Watch, photos: Path) -> Watch:
    """It has looked once, and nothing stirs any more."""
    watch.start()
    assert soon(lambda: desk.store.count() == 1)
    desk.done()
    time.sleep(2 * QUIET)
    return watch


def test_a_folder_is_looked_at_for_what_changed_while_nobody_watched(desk: Desk, begun: Watch):
    assert desk.store.count() == 1


def test_what_comes_goes_moves_and_changes_is_seen(desk: Desk, begun: Watch, photos: Path):
    photo(photos / "new" / "deep" / "b.png", 1)
    assert soon(lambda: desk.store.count() == 2)
    photo(photos / "stays.png", 3)
    assert soon(lambda: desk.store.count() == 3)
    os.rename(photos / "a.png", photos / "new" / "c.png")
    assert soon(lambda: any(place.path.endswith("c.png") for place in desk.store.picture(1).places))
    photo(photos / "new" / "c.png", 2)
    assert soon(lambda: desk.store.picture(1).removed)
    (photos / "new" / "deep" / "b.png").unlink()
    assert soon(lambda: desk.store.count() == 2)
    os.rename(photos / "new", photos.parent / "away")
    assert soon(lambda: desk.store.count() == 1)


def test_many_changes_are_few_looks(desk: Desk, begun: Watch, photos: Path, looked: list[Path]):
    contents = [photo(photos.parent / f"{seed}.png", seed).read_bytes() for seed in range(1, 51)]
    for number, content in enumerate(contents):
        (photos / f"{number}.png").write_bytes(content)
    assert soon(lambda: desk.store.count() == 51)
    assert len(looked) <= 5


def test_looking_is_no_change(begun: Watch, desk: Desk, photos: Path, looked: list[Path]):
    photo(photos / "b.png", 1)
    assert soon(lambda: desk.store.count() == 2)
    desk.done()
    time.sleep(5 * QUIET)
    before = len(looked)
    for path in photos.iterdir():
        path.read_bytes()
    (photos / "notes.txt").write_text("no picture")
    photo(photos / ".thumbnails" / "c.png", 2)
    time.sleep(5 * QUIET)
    assert len(looked) == before


def test_a_folder_is_watched_from_when_it_is_wished_until_it_is_not(desk: Desk, begun: Watch, photos: Path, tmp_path: Path):
    other = photo(tmp_path / "other" / "b.png", 1).parent
    desk.store.add_folder(str(other), watched=True)
    begun.renew()
    assert soon(lambda: desk.store.count() == 2)
    desk.store.add_folder(str(photos), watched=False)
    begun.renew()
    photo(photos / "c.png", 3)
    photo(other / "d.png", 4)
    assert soon(lambda: desk.store.count() == 3)
    time.sleep(3 * QUIET)
    assert desk.store.count() == 3


def test_nothing_is_watched_before_it_begins_and_after_it_ends(desk: Desk, watch: Watch, photos: Path):
    before = threading.active_count()
    watch.renew()
    assert threading.active_count() == before
    watch.start()
    assert soon(lambda: desk.store.count() == 1)
    watch.close()
    photo(photos / "b.png", 1)
    time.sleep(3 * QUIET)
    assert desk.store.count() == 1


def test_a_folder_that_is_not_there_stops_nothing(desk: Desk, watch: Watch, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    desk.store.add_folder(str(tmp_path / "an unplugged disk"), watched=True)
    watch.start()
    assert soon(lambda: desk.store.count() == 1)
    assert "an unplugged disk" in caplog.text
    assert len(desk.store.folders()) == 2


def test_a_fault_over_one_folder_ends_the_watching_of_none(
    desk: Desk, begun: Watch, photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def has_folder(path: str) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with monkeypatch.context() as patched:
        patched.setattr(desk.store, "has_folder", has_folder)
        photo(photos / "b.png", 1)
        assert soon(lambda: "could not be looked at" in caplog.text)
    photo(photos / "c.png", 2)
    assert soon(lambda: desk.store.count() == 3)


def test_a_folder_that_was_dropped_is_not_added_again_by_its_last_change(desk: Desk, begun: Watch, photos: Path):
    photo(photos / "b.png", 1)
    desk.store.drop_folder(str(photos))
    time.sleep(4 * QUIET)
    desk.done()
    assert desk.store.folders() == []
    assert desk.store.count() == 0


def test_where_the_system_has_no_more_watches_it_is_looked_at_from_time_to_time(
    desk: Desk, watch: Watch, photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def none_left() -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr("multimodal.retrieval.watch.Observer", none_left)
    monkeypatch.setattr("multimodal.retrieval.watch.POLL_SECONDS", 0.1)
    watch.start()
    assert soon(lambda: desk.store.count() == 1)
    assert "inotify watch limit reached" in caplog.text
    photo(photos / "b.png", 1)
    assert soon(lambda: desk.store.count() == 2)
