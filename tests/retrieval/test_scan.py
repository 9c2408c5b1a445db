"""Which files of a folder are looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from multimodal.errors import UserError
from multimodal.retrieval.scan import File, Unreadable, walk


def made(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(folder: Path, **options: object) -> list[str]:
    found = list(walk(folder, **options))
    assert all(isinstance(item, File) for item in found)
    return [Path(item.path).relative_to(folder).as_posix() for item in found]


def test_pictures_are_found_at_any_depth_whatever_case_their_names_have(tmp_path: Path):
    made(tmp_path, "b.JPG", "a.jpeg", "deep/er/still/c.PnG", "图片/夏天 %_'.webp", "x.heic")
    assert names(tmp_path) == ["a.jpeg", "b.JPG", "x.heic", "deep/er/still/c.PnG", "图片/夏天 %_'.webp"]


def test_what_is_no_picture_is_passed_over(tmp_path: Path):
    made(tmp_path, "a.txt", "b", "c.mp4", "d.jpg.part", "e.svg", "Thumbs.db", "desktop.ini", "g.jpg/inside.txt")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        *("._a.jpg", ".hidden.jpg", ".git/a.jpg", ".thumbnails/a.png", "deep/.cache/a.png", ".DS_Store"),
        *(
            "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
            "__MACOSX/a.jpg",
            "$RECYCLE.BIN/a.jpg",
            "node_modules/x/a.png",
            "System Volume Information/a.gif",
        ),
    ],
)
def test_hidden_and_junk_files_are_passed_over(tmp_path: Path, name: str):
    made(tmp_path, name, "kept.jpg")
    assert names(tmp_path) == ["kept.jpg"]


def test_a_hidden_folder_that_was_chosen_is_looked_into(tmp_path: Path):
    made(tmp_path, ".mine/a.jpg")
    assert names(tmp_path / ".mine") == ["a.jpg"]


def test_size_and_time_are_the_files_own(tmp_path: Path):
    made(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    assert list(walk(tmp_path)) == [File(str(tmp_path / "a.jpg"), 1, os.stat(tmp_path / "a.jpg").st_mtime_ns)]


def test_links_are_followed_once_and_never_in_circles(tmp_path: Path):
    photos, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    made(photos, "a.jpg", "z/b.jpg")
    made(elsewhere, "c.jpg")
    (photos / "back").symlink_to(photos)
    (photos / "self").symlink_to(photos / "self")
    (photos / "a link to z").symlink_to(photos / "z")
    (photos / "away").symlink_to(elsewhere)
    (photos / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert names(photos) == ["a.jpg", "z/b.jpg", "away/c.jpg"]


def test_the_library_s_own_folder_is_left_out(tmp_path: Path):
    made(tmp_path, "a.jpg", "data/library/thumbnails/ab/c.webp")
    assert names(tmp_path, skip=[tmp_path / "data" / "library"]) == ["a.jpg"]


def test_a_folder_that_may_not_be_read_stops_nothing(tmp_path: Path, closed: Callable[[Path], None]):
    made(tmp_path, "a.jpg", "closed/b.jpg", "open/c.jpg")
    closed(tmp_path / "closed")
    found = list(walk(tmp_path))
    assert [Path(item.path).name for item in found if isinstance(item, File)] == ["a.jpg", "c.jpg"]
    assert [(item.path, item.code) for item in found if isinstance(item, Unreadable)] == [(str(tmp_path / "closed"), "folder_unreadable")]


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are text there")
def test_a_name_in_no_encoding_is_told_and_stops_nothing(tmp_path: Path):
    made(tmp_path, "z.jpg")
    with open(os.fsencode(tmp_path) + b"/\xff.jpg", "wb"):
        pass
    first, last = sorted(walk(tmp_path), key=lambda item: isinstance(item, File))
    assert (first.code, first.path.isprintable()) == ("file_name_unreadable", True)
    assert last.path.endswith("z.jpg")


@pytest.mark.parametrize("name", ["nothing", "a.jpg"])
def test_a_folder_that_is_none_is_told(tmp_path: Path, name: str):
    made(tmp_path, "a.jpg")
    with pytest.raises(UserError) as caught:
        list(walk(tmp_path / name))
    assert caught.value.code == "folder_missing"
    assert name in caught.value.facts["name"]
