"""What was uploaded goes after a day, whatever ended the process that took it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from multimodal.data_dir import open_data_dir
from multimodal.errors import UserError

OLD = time.time() - 25 * 3600


def leave(folder: Path, moment: float | None = None) -> Path:
    """A folder with a file in it, as old as `moment`."""
    folder.mkdir(parents=True)
    (folder / "picture.png").write_bytes(b"x")
    if moment:
        os.utime(folder, (moment, moment))
    return folder


def test_a_first_start_makes_the_folder(tmp_path: Path) -> None:
    assert open_data_dir(tmp_path / "a" / "b") == tmp_path / "a" / "b" / "uploads"
    assert (tmp_path / "a" / "b" / "uploads").is_dir()


def test_only_what_is_older_than_a_day_is_taken_away(tmp_path: Path) -> None:
    old = [leave(tmp_path / "uploads" / "abc", OLD), leave(tmp_path / "request-1", OLD), tmp_path / "uploads" / "answer.wav"]
    old[-1].write_bytes(b"x")
    os.utime(old[-1], (OLD, OLD))
    young = [leave(tmp_path / "uploads" / "def"), leave(tmp_path / "request-2"), leave(tmp_path / "pictures", OLD)]
    open_data_dir(tmp_path)
    assert not any(folder.exists() for folder in old)
    assert all((folder / "picture.png").exists() for folder in young)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = leave(tmp_path / "elsewhere", OLD)
    (tmp_path / "data" / "uploads").mkdir(parents=True)
    try:
        (tmp_path / "data" / "uploads" / "abc").symlink_to(elsewhere, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    open_data_dir(tmp_path / "data")
    assert (elsewhere / "picture.png").exists()


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError) as refused:
        open_data_dir(tmp_path / "file" / "data")
    assert "DATA_DIR" in str(refused.value)
