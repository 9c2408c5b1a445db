"""`python -m multimodal library`: what it answers, where it says what, and its exit status."""

from __future__ import annotations

import _thread
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from transformers.utils.logging import disable_progress_bar, enable_progress_bar

from multimodal.__main__ import main
from multimodal.media import Limits
from multimodal.retrieval import library as library_module
from multimodal.retrieval.library import Library
from multimodal.settings import KEYS
from tests.conftest import EXAMPLES, ROOT
from tests.retrieval.tiny_blip import write_tiny_blip
from tests.retrieval.tiny_encoders import write_tiny_encoder
from tests.wire import CHINESE

Run = Callable[..., tuple[int, str, str]]
COMMAND = [sys.executable, "-m", "multimodal", "library"]


def picture(path: Path, seed: int, size: tuple[int, int] = (50, 40)) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Loaded without the bar that a command switches off before it imports transformers, which is imported here."""
    disable_progress_bar()
    yield write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", matches_from=-1.0)
    enable_progress_bar()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> dict[str, str]:
    """What a person's .env would say, and a terminal that speaks English."""
    without = {name: value for name, value in os.environ.items() if name not in KEYS and not name.startswith(("LC_", "LANG"))}
    return without | {"DATA_DIR": str(tmp_path_factory.mktemp("data")), "CLIP_MODEL": str(encoder), "LANG": "en_US.UTF-8"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("red.png", "一只猫.png", "sea.png", "it's 100%.png")):
        picture(folder / name, number)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


@pytest.fixture(scope="module")
def library(environment: dict[str, str], photos: Path) -> dict:
    """What `add` answered, run as a process of its own: everything else is asked of the library that it made."""
    run = subprocess.run([*COMMAND, "add", str(photos), "--watch", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 1, run.stderr
    assert "broken.jpg is damaged" in run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def run(library: dict, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """run(arguments): (exit status, stdout, stderr), in this process, which has imported everything already."""
    for name in {*KEYS, *(name for name in os.environ if name.startswith(("LC_", "LANG")))}:
        monkeypatch.delenv(name, raising=False)
    for name in ("DATA_DIR", "CLIP_MODEL", "LANG"):
        monkeypatch.setenv(name, environment[name])

    def start(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["library", *map(str, arguments)])
        except SystemExit as ended:  # argparse's
            status = ended.code
        return status, *capsys.readouterr()

    return start


@pytest.fixture
def ids(run: Run) -> dict[str, int]:
    """name: id."""
    return {image["image_name"]: image["id"] for image in json.loads(run("list", "--json")[1])["images"]}


def test_adding_counts_what_it_did_and_names_what_it_could_not(library: dict, photos: Path, run: Run) -> None:
    assert {name: library[name] for name in ("added", "unchanged", "failed", "complete")} == {
        "added": 4,
        "unchanged": 0,
        "failed": 1,
        "complete": True,
    }
    assert [(failure["path"], failure["code"]) for failure in library["failures"]] == [(str(photos / "broken.jpg"), "picture_broken")]
    status, said, _ = run("add", photos / "sea.png", "--json")
    assert (status, json.loads(said)["failures"]) == (0, [])
    status, said, _ = run("add", photos)
    assert (status, said) == (1, "Added or read anew: 0; unchanged: 4; not to be taken: 1.\n")


def test_the_list_is_json_or_lines(run: Run, photos: Path) -> None:
    status, said, _ = run("list", "--sort", "name", "--json")
    images = json.loads(said)["images"]
    assert status == 0
    assert [image["image_name"] for image in images] == ["it's 100%.png", "red.png", "sea.png", "一只猫.png"]
    assert images[0]["path"] == str(photos / "it's 100%.png")
    status, said, told = run("list", "--sort", "name", "--limit", 2, "--offset", 1)
    assert [line.split()[-1] for line in said.splitlines()] == [str(photos / "red.png"), str(photos / "sea.png")]
    assert told == "Pictures: 2\n"


def test_words_find_pictures(run: Run) -> None:
    status, said, _ = run("search", "a", "red", "cat", "--k", 3, "--json")
    answer = json.loads(said)
    assert (status, answer.keys(), answer["query"]) == (0, {"query", "results"}, "a red cat")
    assert len(answer["results"]) == 3
    assert {"id", "image_name", "score", "width", "height", "path"} <= answer["results"][0].keys()
    status, said, _ = run("search", "cat", "--threshold", 1, "--json")
    answer = json.loads(said)
    assert (status, answer["results"], answer["threshold"]) == (0, [], 1)
    assert -1 < answer["nearest"] < 1


def test_the_best_are_put_in_order_by_the_cross_attention_model(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSS_MODEL", str(write_tiny_blip(tmp_path / "blip")))
    results = json.loads(run("search", "cat", "--cross", "--k", 3, "--json")[1])["results"]
    matches = [result["match"] for result in results]
    assert len(matches) == 3
    assert matches == sorted(matches, reverse=True)
    status, said, _ = run("search", "cat", "--cross", "--k", 3)
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == [f"{match:.1%}" for match in matches]
    assert "match" not in json.loads(run("search", "cat", "--json")[1])["results"][0]


def test_the_encoder_is_waited_for_however_long_it_takes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_module, "PATIENCE_SECONDS", 0.0)
    status, said, told = run("search", "cat", "--json")
    assert (status, told) == (0, "")
    assert json.loads(said)["results"]


def test_ctrl_c_ends_the_wait_for_the_encoder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = threading.Event()

    def download(*_: object) -> SimpleNamespace:
        threading.Timer(0.3, _thread.interrupt_main).start()
        arrived.wait(60)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr("multimodal.retrieval.encoder.load_encoder", download)
    monkeypatch.setattr(library_module, "LEAVING_SECONDS", 0.1)
    began = time.monotonic()
    assert run("search", "cat") == (1, "", "")
    assert time.monotonic() - began < 10
    arrived.set()


def test_a_picture_finds_itself(run: Run, photos: Path) -> None:
    answer = json.loads(run("search", "--image", photos / "sea.png", "--k", 1, "--json")[1])
    assert answer.keys() == {"query", "query_image", "results"}
    assert [result["image_name"] for result in answer["results"]] == ["sea.png"]
    assert answer["results"][0]["score"] > 0.99


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("--name", "100%"), ["it's 100%.png"]),
        (("--name", "_"), []),
        (("--caption", "猫"), ["一只猫.png"]),
        (("--caption", "' OR 1=1"), []),
        (("--since", "2000", "--name", "red"), ["red.png"]),
        (("--until", "2000"), []),
    ],
)
def test_filters_need_no_encoder(run: Run, filters: tuple, names: list[str]) -> None:
    for command in ("list", "search"):
        answer = json.loads(run(command, *filters, "--json")[1])
        assert [image["image_name"] for image in answer["images" if command == "list" else "results"]] == names


def test_a_folder_may_be_given_as_one_stands(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    assert len(run("list", "--folder", photos.name)[1].splitlines()) == 4
    assert run("list", "--folder", ".." + os.sep + "nowhere")[1] == ""


def test_what_was_taken_out_comes_back(run: Run, ids: dict[str, int]) -> None:
    status, said, told = run("remove", ids["red.png"], ids["sea.png"], 999, "--json")
    assert (status, json.loads(said)["removed"]) == (1, 2)
    assert "999" in told
    number = json.loads(said)["undo"]
    assert len(run("list")[1].splitlines()) == 2
    assert json.loads(run("undo", number, "--json")[1]) == {"restored": 2, "ids": sorted((ids["red.png"], ids["sea.png"]))}
    assert run("undo", number)[0] == 2
    assert len(run("list")[1].splitlines()) == 4


def test_captions_are_printed_and_put_in_their_place(run: Run, ids: dict[str, int]) -> None:
    assert run("captions", ids["red.png"])[1] == "no captions\n"
    assert run("captions", ids["red.png"], "a zebra", "斑马线")[1] == "a zebra\n斑马线\n"
    assert json.loads(run("list", "--caption", "斑马", "--json")[1])["images"][0]["captions"] == ["a zebra", "斑马线"]
    assert run("captions", ids["red.png"], "--clear")[:2] == (0, "no captions\n")
    assert run("captions", 999)[0] == 2


def test_folders_are_watched_and_dropped(run: Run, photos: Path) -> None:
    def folders(*arguments: object) -> list:
        return json.loads(run("folders", *arguments, "--json")[1])["folders"]

    assert folders() == [{"path": str(photos), "pictures": 4, "watched": True}]
    assert not folders("--unwatch", photos)[0]["watched"]
    assert folders("--watch", photos)[0]["watched"]
    assert run("folders", "--drop", photos.parent)[0] == 2
    status, said, told = run("folders", "--drop", photos)
    assert (status, said) == (0, "")
    assert run("list")[1] == ""
    assert run("undo", told.split()[-1])[0] == 0
    run("add", photos)
    assert len(run("list")[1].splitlines()) == 4
    assert len(list(photos.iterdir())) == 5


def test_duplicates_are_grouped_and_taken_out(run: Run, tmp_path: Path) -> None:
    assert run("duplicates")[:2] == (0, "No duplicates.\n")
    data, folder = ("--data-dir", tmp_path / "data"), tmp_path / "photos"
    folder.mkdir()
    with Image.open(EXAMPLES / "shapes.png") as shapes:
        shapes.convert("RGB").resize((240, 180)).save(folder / "small.jpg", quality=80)
    for name in ("shapes.png", "pair.png"):
        (folder / name).write_bytes((EXAMPLES / name).read_bytes())
    assert run("add", folder, *data)[0] == 0
    (group,) = json.loads(run("duplicates", "--json", *data)[1])["groups"]
    assert [image["image_name"] for image in group["images"]] == ["shapes.png", "small.jpg"]
    assert group["images"][1]["likeness"] > 0.8
    removed = json.loads(run("duplicates", "--remove", "--json", *data)[1])
    assert removed["removed"] == 1
    assert [image["image_name"] for image in json.loads(run("list", "--json", "--sort", "name", *data)[1])["images"]] == [
        "pair.png",
        "shapes.png",
    ]
    assert run("undo", removed["undo"], *data)[0] == 0
    assert len(list(folder.iterdir())) == 3


def test_every_picture_gets_the_likeliest_label(run: Run, tmp_path: Path) -> None:
    answer = json.loads(run("labels", "猫, =dog;sea", "--csv", tmp_path / "图.csv", "--json")[1])
    assert answer["counts"].keys() == {"猫", "=dog", "sea"}
    assert sum(answer["counts"].values()) == len(answer["images"]) == 4
    for image in answer["images"]:
        assert image["label"] in answer["counts"]
        assert 1 / 3 <= image["probability"] <= 1
    rows = list(csv.DictReader((tmp_path / "图.csv").open(encoding="utf-8-sig", newline="")))
    assert [row["image_name"] for row in rows] == [image["image_name"] for image in answer["images"]]
    assert {"id", "label", "probability", "猫", "'=dog", "sea"} <= rows[0].keys()
    assert run("labels", "a,b", "--name", "nothing like this")[:2] == (0, "a: 0\nb: 0\n")


def test_an_export_has_what_the_filters_describe(run: Run, tmp_path: Path) -> None:
    for form in ("csv", "json", "zip"):
        status, said, _ = run("export", "--format", form, "--output", tmp_path / f"图.{form}", "--name", "e")
        assert (status, said) == (0, f"Pictures in {tmp_path / f'图.{form}'}: 2.\n")
    assert [image["image_name"] for image in json.loads((tmp_path / "图.json").read_text("utf-8"))["images"]] == ["red.png", "sea.png"]
    with zipfile.ZipFile(tmp_path / "图.zip") as archive:
        assert archive.namelist() == ["red.png", "sea.png"]
    assert len((tmp_path / "图.csv").read_text("utf-8-sig").splitlines()) == 3


def test_a_check_finds_and_repairs(run: Run, environment: dict[str, str]) -> None:
    assert run("check", "--deep", "--no-encoder") == (0, "All is sound. Pictures: 4.\n", "")
    left = Path(environment["DATA_DIR"]) / "library" / "originals" / "ab" / "abc.png.1-2.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    status, said, _ = run("check", "--no-encoder", "--json")
    assert (status, json.loads(said)["sound"]) == (1, False)
    assert [finding["code"] for finding in json.loads(said)["findings"]] == ["left_over"]
    status, said, _ = run("check", "--repair", "--language", "zh")
    assert status == 0
    assert CHINESE.search(said)
    assert not left.exists()


WRONG = {
    "no words": ("search",),
    "only a minus": ("search", "--", "-cat"),
    "too long": ("search", "x" * 1001),
    "none": ("search", "cat", "--k", 0),
    "a million": ("search", "cat", "--k", 1_000_000),
    "a sort that is none": ("search", "cat", "--sort", "size"),
    "a threshold that is none": ("search", "cat", "--threshold", "nan"),
    "no cross-attention model": ("search", "cat", "--cross"),
    "no date": ("list", "--since", "yesterday"),
    "no picture": ("search", "--image", ROOT / "app.py"),
    "an address": ("search", "--image", "http://127.0.0.1/x.png"),
    "nothing there": ("add", "/nowhere/at/all"),
    "no labels": ("labels", " , "),
    "a table that cannot be written": ("labels", "a,b", "--csv", "/nowhere/x.csv"),
    "nothing to undo": ("undo", 999),
    "no such folder": ("folders", "--watch", "/nowhere"),
    "nowhere to write": ("export", "--format", "csv", "--output", "/nowhere/x.csv"),
    "a device that is none": ("list", "--clip-device", "gpu"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_done_is_said_in_one_sentence(run: Run, what: str) -> None:
    for language in ("en", "zh"):
        arguments = list(WRONG[what])
        arguments[1:1] = ["--language", language]
        status, said, told = run(*arguments)
        assert (status, said) == (2, "")
        assert told.count("\n") == 1
        # settings are refused before it is known which language they name
        assert bool(CHINESE.search(told)) is (language == "zh")


@pytest.mark.parametrize(
    "arguments", [("search", "a", "--k", "some"), ("remove", "x"), ("remove", 2**63), ("list", "--limit", -1), ("list", "--limit", 2**64)]
)
def test_a_number_that_is_none_is_refused(run: Run, arguments: tuple) -> None:
    status, said, told = run(*arguments)
    assert (status, said) == (2, "")
    assert "Traceback" not in told


def test_a_second_process_reads_only(run: Run, environment: dict[str, str], photos: Path, ids: dict[str, int]) -> None:
    first = Library(Path(environment["DATA_DIR"]) / "library", "", "cpu", Limits())
    first.open(encoder=False, watch=False)
    try:
        for arguments in (("add", photos), ("remove", ids["red.png"]), ("captions", ids["red.png"], "a"), ("check", "--repair")):
            status, said, told = run(*arguments)
            assert (status, said) == (2, "")
            assert "can only be read now" in told
        status, said, told = run("search", "a", "red", "cat", "--json")
        assert (status, len(json.loads(said)["results"])) == (0, 4)
        assert "can only be read now" in told
        assert len(run("list")[1].splitlines()) == 4
    finally:
        first.close()


def test_a_store_from_a_newer_version_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    with sqlite3.connect(tmp_path / "library" / "library.db") as connection:
        connection.execute("PRAGMA user_version = 1000")
    status, said, told = run("list", "--data-dir", tmp_path)
    assert (status, said, told.count("\n")) == (2, "", 1)
    assert "newer" in told


def test_what_needs_no_encoder_starts_without_torch(library: dict, environment: dict[str, str]) -> None:
    script = "import sys; from multimodal.__main__ import main; main(['library', 'list']); sys.exit('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 4


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """More pictures than are added before one has second thoughts."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2500):
        picture(folder / f"{number}.png", number, (16, 12))
    return folder


@pytest.mark.skipif(os.name == "nt", reason="there, Ctrl-C goes to the whole console")
def test_ctrl_c_keeps_what_was_added(many: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    command = [*COMMAND, "add", str(many), "--data-dir", str(tmp_path / "data"), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / "data" / "library" / "library.db"

    def count() -> int:
        try:
            with sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True) as connection:
                return connection.execute("SELECT count(*) FROM pictures").fetchone()[0]
        except sqlite3.OperationalError:  # not made yet
            return 0

    deadline = time.monotonic() + 120
    while not count() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 1, told
    answer = json.loads(said)
    assert not answer["complete"]
    assert 0 < answer["added"] == count() < 600
    assert "Traceback" not in told
    assert "kept" in told
