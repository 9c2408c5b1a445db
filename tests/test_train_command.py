"""`python -m multimodal train`: what it answers, where it says what, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.__main__ import main
from multimodal.commands.progress_line import with_progress
from multimodal.settings import KEYS
from tests.conftest import ROOT

Run = Callable[..., tuple[int, str, str]]
COMMAND = [sys.executable, "-m", "multimodal", "train"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures that can be opened and one that cannot, with captions in both languages, and a line for one that is not there."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for number, size in enumerate(((40, 30), (30, 60), (50, 20))):
        noise = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{number}.png")
    whole = (folder / "images" / "0.png").read_bytes()
    (folder / "images" / "broken.png").write_bytes(whole[: len(whole) // 2])
    lines = ["image,caption,split", "0.png,A dog,train", "0.png,一只狗,train", "1.png,A red bus,val", "2.png,A sea,test"]
    lines += ["broken.png,Half a dog,train", "gone.png,A ghost,train"]
    (folder / "captions.csv").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """run(arguments): (exit status, stdout, stderr), in this process, on a terminal that speaks English."""
    for name in {*KEYS, *(name for name in os.environ if name.startswith(("LC_", "LANG")))}:
        monkeypatch.delenv(name, raising=False)

    def start(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["train", *map(str, arguments)])
        return status, *capsys.readouterr()

    return start


def process(*arguments: object) -> subprocess.CompletedProcess:
    """The command in a process of its own, in English."""
    environment = {name: value for name, value in os.environ.items() if name not in KEYS and not name.startswith(("LC_", "LANG"))}
    environment |= {"LANG": "en_US.UTF-8", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")


def test_a_data_set_is_described(data: Path) -> None:
    done = process("check", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Form: a table (CSV)",
        "train: pictures 2, captions 3",
        "val: pictures 1, captions 1",
        "test: pictures 1, captions 1",
        "Captions with Chinese, Japanese or Korean characters: 20%",
        "Characters of a caption: 3 to 10, half of them up to 5, 95 % up to 10",
        "Pictures that are not there: 1.",
        "  gone.png",
    ]


def test_every_picture_is_opened_where_it_is_asked_for(data: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    done = process("check", data, "--deep", "--plot", plot, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    problems = answer.pop("problems")
    assert answer == {
        "path": str(data),
        "form": "csv",
        "pictures": {"train": 1, "val": 1, "test": 1},
        "captions": {"train": 2, "val": 1, "test": 1},
        "cjk": 0.25,
        "characters": {"least": 3, "median": 5, "most_of_them": 9, "most": 9},
        "shorter_side": {"least": 20, "median": 30, "most_of_them": 30, "most": 30},
    }
    assert [(problem["code"], problem["count"], problem["places"]) for problem in problems] == [
        ("picture_missing", 1, ["gone.png"]),
        ("picture_broken", 1, [str(data / "images" / "broken.png")]),
    ]
    with Image.open(plot) as image:
        assert (image.format, image.size) == ("PNG", (1200, 480))
        assert len(np.unique(np.asarray(image))) > 10


def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = process("check", tmp_path / "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"There is no data set at {tmp_path / 'nothing'}: write the path of a folder or file that is on this computer.\n"


def test_it_speaks_chinese(data: Path, run: Run) -> None:
    status, said, told = run("check", data, "--language", "zh", "--deep")
    assert (status, told) == (0, "")
    assert "图片短边的像素数：20 到 30" in said
    assert "有 1 张图片无法打开。" in said


def test_places_that_are_not_told_are_counted(data: Path, run: Run) -> None:
    (data / "captions.csv").write_text("image,caption\n0.png,x\n" + "0.png,x\n" * 12, "utf-8")
    _, said, _ = run("check", data)
    assert said.splitlines()[-2:] == ["  captions.csv:12", "  and 2 more"]


def test_a_data_set_of_which_no_picture_opens_cannot_be_used(data: Path, run: Run) -> None:
    (data / "captions.csv").write_text("image,caption\nbroken.png,x\n", "utf-8")
    assert run("check", data)[0] == 0
    status, said, told = run("check", data, "--deep")
    assert (status, said) == (1, "")
    assert "(Pictures that cannot be opened: 1)" in told


def test_a_plot_that_cannot_be_written_is_told(data: Path, tmp_path: Path, run: Run) -> None:
    status, _, told = run("check", data, "--plot", tmp_path / "no folder" / "plot.png")
    assert status == 1
    assert "plot.png cannot be written (No such file or directory)" in told


def test_without_matplotlib_a_plot_is_refused_and_all_else_goes_on(data: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, told = run("check", data, "--plot", data / "plot.png")
    assert status == 1
    assert told.startswith("Plots are drawn with matplotlib")
    assert run("check", data, "--deep")[0] == 0


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_says_how_much_is_left(terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    now = iter(range(0, 1000, 5))
    monkeypatch.setattr("multimodal.commands.progress_line.time.monotonic", lambda: next(now))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert list(with_progress(iter("abcd"), 4, "Opening", "en")) == list("abcd")
    told = capsys.readouterr().err
    second = "Opening: 2 of 4, 0.2 a second, 0:10 left"
    assert second in told
    assert told.count("Opening") == (4 if terminal else 2)  # with 5 seconds between two pictures
    assert ("\r" in told) == terminal
    assert told.endswith("\n")
