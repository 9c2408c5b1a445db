"""Pictures on their way out: a table, JSON, and a ZIP of the originals."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.cells import as_cell
from multimodal.retrieval.export import export
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture

NAMES = ["海滩.png", "=1+1.png", "a/b.png", "海滩.png", "con.png", "x" * 240 + ".png", "A.PNG", "a.png", "missing.txt"]


def more(picture: Picture) -> dict[str, object]:
    return {"number": picture.id * 10}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """With a picture for each of NAMES, the first of which has captions. Whoever changes it puts it right again."""
    folder = tmp_path_factory.mktemp("export")
    library = Library(folder / "library", "", "cpu", Limits())
    library.open(encoder=False, watch=False)
    files = []
    for number, name in enumerate(NAMES):
        path = folder / f"{number}.png"
        Image.new("RGB", (20 + number, 30), "teal").save(path)
        files.append((path, name))
    taken = library.take(files, [["=HYPERLINK(1)", '第二句, "quoted"'], *[[]] * (len(NAMES) - 1)])
    assert len(taken.ids) == len(NAMES)
    yield library
    library.close()


def ids(library: Library) -> list[int]:
    return sorted(library.store.ids().tolist())


def test_a_table_is_one_that_spreadsheets_read_and_do_not_compute(library: Library, tmp_path: Path) -> None:
    export(library, ids(library), "csv", tmp_path / "图.csv", more)
    content = (tmp_path / "图.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["image_name"] for row in rows] == ["海滩.png", "'=1+1.png", *NAMES[2:]]
    assert rows[0]["captions"] == '\'=HYPERLINK(1)\n第二句, "quoted"'
    assert [int(row["number"]) for row in rows] == [id * 10 for id in ids(library)]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_begins_a_formula(text: str) -> None:
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["cat", "", "a=1", -5, 0.5, None])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert as_cell(value) == value


def test_json_has_everything_that_is_known(library: Library, tmp_path: Path) -> None:
    export(library, ids(library)[::-1], "json", tmp_path / "x.json", more)
    images = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["images"]
    assert [image["image_name"] for image in images] == NAMES[::-1]
    assert images[-1]["captions"] == ["=HYPERLINK(1)", '第二句, "quoted"']
    assert {"id", "hash", "exif", "taken", "added", "number"} <= images[0].keys()
    export(library, [], "json", tmp_path / "x.json", more)
    assert json.loads((tmp_path / "x.json").read_text()) == {"images": []}


def test_a_zip_has_every_original_under_a_name_that_is_its_own(library: Library, tmp_path: Path) -> None:
    export(library, ids(library), "zip", tmp_path / "x.zip", more)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len({name.casefold() for name in names}) == len(NAMES)
        assert all(len(name.encode()) < 220 and not set('/\\:*?"<>|') & set(name) for name in names)
        assert {"海滩.png", "海滩 (2).png", "a_b.png", "_con.png", "A.PNG", "a (2).png", "missing.txt"} <= set(names)
        for name, id in zip(names, ids(library), strict=True):
            assert archive.read(name) == library.original(library.picture(id)).read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_a_missing_original_is_named_in_the_zip(library: Library, tmp_path: Path) -> None:
    first, *_, last = ids(library)
    original = library.original(library.picture(first))
    original.rename(tmp_path / "away")
    export(library, [first, last], "zip", tmp_path / "x.zip", more)
    (tmp_path / "away").rename(original)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.namelist() == ["missing.txt", "missing (2).txt"]  # the first is a picture
        assert f"{first}\t海滩.png" in archive.read("missing (2).txt").decode()


def test_what_was_taken_out_meanwhile_is_left_out(library: Library, tmp_path: Path) -> None:
    before = ids(library)
    removal = library.remove(before[:3])
    for form in ("csv", "json", "zip"):
        export(library, [*before, 999_999], form, tmp_path / f"x.{form}", more)
    library.undo(removal)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert len(archive.namelist()) == len(NAMES) - 3
    assert len(json.loads((tmp_path / "x.json").read_text())["images"]) == len(NAMES) - 3


def test_a_zip_is_bounded(library: Library, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        export(library, ids(library), "zip", tmp_path / "x.zip", more, most_bytes=100)
    assert raised.value.code == "export_too_large"
    assert not list(tmp_path.glob("x.zip*"))


@pytest.mark.parametrize("form", ["csv", "json", "zip"])
def test_where_nothing_can_be_written_what_was_there_stays(library: Library, tmp_path: Path, form: str) -> None:
    for target in (tmp_path / "nowhere" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(UserError) as raised:
            export(library, ids(library), form, target, more)
        assert raised.value.code == "export_refused"
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UserError):
        export(library, ids(library), form, folder, more)
    assert os.listdir(tmp_path) == ["folder"]


def test_an_export_that_fails_halfway_leaves_what_was_there(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")

    def broken(picture: Picture) -> dict[str, object]:
        if picture.id > 3:
            raise OSError(28, "No space left on device")
        return {}

    with pytest.raises(UserError, match="No space left on device"):
        export(library, ids(library), "json", path, broken)
    assert path.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))
