"""A library that something happened to: it is found, said in one sentence, and mended where that can be."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval import index_file
from multimodal.retrieval.check import Report, check
from multimodal.retrieval.findings import SENTENCES
from multimodal.retrieval.library import Library
from multimodal.retrieval.query import Query, read_terms
from multimodal.retrieval.records import Filter
from tests.retrieval.tiny_encoders import write_tiny_encoder

Open = Callable[..., Library]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", matches_from=-1.0)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """A folder with a sound library: three pictures of its own with captions, and three in a person's folder."""
    top = tmp_path_factory.mktemp("grown")
    for number in range(6):
        path = top / ("photos" if number < 3 else "given") / f"{number} 图.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    library = Library(top / "library", str(encoder), "cpu", Limits())
    library.open(wait=True, watch=False)
    library.adding.add_folder(top / "photos")
    library.adding.wait()  # the folder's are 1 to 3, those that are given 4 to 6
    library.take([(path, path.name) for path in sorted((top / "given").iterdir())], [["a red circle"], ["一只猫", "a cat"], []])
    library.adding.wait()
    library.close()
    shutil.rmtree(top / "given")
    return top


@pytest.fixture
def open_library(grown: Path, encoder: Path, tmp_path: Path) -> Iterator[Open]:
    """open_library(): a copy of that library, after whatever was done to its files in `tmp_path`."""
    shutil.copytree(grown / "library", tmp_path / "library")
    shutil.copytree(grown / "photos", tmp_path / "photos")
    with edited(tmp_path) as rows:
        rows.execute("UPDATE places SET path = replace(path, ?, ?)", (str(grown), str(tmp_path)))
        rows.execute("UPDATE folders SET path = replace(path, ?, ?)", (str(grown), str(tmp_path)))
    opened: list[Library] = []

    def start(with_encoder: bool = False) -> Library:
        opened.append(Library(tmp_path / "library", str(encoder), "cpu", Limits()))
        opened[-1].open(wait=True, encoder=with_encoder, watch=False)
        return opened[-1]

    yield start
    for library in opened:
        library.close()


class edited:
    """The rows of the library in a folder, behind its back."""

    def __init__(self, folder: Path):
        self.connection = sqlite3.connect(folder / "library" / "library.db")

    def __enter__(self) -> sqlite3.Connection:
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.commit()
        self.connection.close()


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def mended(library: Library, *expected: str, deep: bool = False, encoder: bool = False) -> None:
    """The check finds `expected`, repairs it, and finds nothing any more."""
    found = check(library, deep=deep, encoder=encoder)
    assert (codes(found), found.sound) == (list(expected), False)
    repaired = check(library, repair=True, deep=deep, encoder=encoder)
    assert (codes(repaired), repaired.sound) == (list(expected), True)
    again = check(library, deep=deep, encoder=encoder)
    assert (again.findings, again.sound) == ((), True)


def test_a_sound_library_is_sound(open_library: Open) -> None:
    library = open_library()
    report = check(library, deep=True)
    assert (report.pictures, report.findings, report.sound) == (6, (), True)
    assert check(library, repair=True, deep=True).findings == ()


def test_a_file_that_has_gone_is_forgotten_until_it_turns_up(open_library: Open, tmp_path: Path) -> None:
    shutil.move(tmp_path / "photos" / "1 图.png", tmp_path / "elsewhere.png")
    (copy,) = list((tmp_path / "library" / "originals").rglob("*.png"))[:1]
    copy.unlink()
    library = open_library()
    before = {picture.name: picture.id for picture in library.store.pictures(library.store.ids())}
    mended(library, "files_gone")
    assert library.store.count() == 4
    assert library.undo(1) == []  # that they were lost is no removal that anybody wished
    library.adding.add_files([tmp_path / "elsewhere.png"])
    library.adding.wait()
    assert library.picture(before["1 图.png"]).places[0].path == str(tmp_path / "elsewhere.png")
    assert check(library).sound  # its vector has come back with it


def test_a_folder_that_is_away_is_not_forgotten(open_library: Open, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "not connected")
    library = open_library()
    report = check(library, repair=True, encoder=False)
    assert (codes(report), report.sound) == (["folder_away"], False)
    assert str(tmp_path / "photos") in report.findings[0].say("en")
    (tmp_path / "not connected").rename(tmp_path / "photos")
    assert check(library, encoder=False).findings == ()
    assert library.store.count() == 6


def test_a_folder_that_is_there_but_empty_is_not_forgotten_either(open_library: Open, tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "not connected")
    (tmp_path / "photos").mkdir()  # as a mount point is
    library = open_library()
    report = check(library, repair=True, encoder=False)
    assert (codes(report), report.sound) == (["folder_away"], False)
    assert library.store.count() == 6


def test_copies_that_an_older_store_does_not_know_stay_and_can_be_added_again(open_library: Open, tmp_path: Path) -> None:
    copies = sorted((tmp_path / "library" / "originals").glob("*/*"))
    with edited(tmp_path) as rows:  # as it was before pictures were given to it
        rows.execute("DELETE FROM places WHERE stored")
        for table, column in (("captions", "picture"), ("pictures", "id"), ("words", "rowid"), ("vectors_1", "item")):
            rows.execute(f"DELETE FROM {table} WHERE {column} > 3")
        rows.execute("DELETE FROM vectors_2")
    library = open_library()
    report = check(library, repair=True, encoder=False)
    assert "copies_unnamed" in codes(report)
    assert not report.sound
    assert sorted((tmp_path / "library" / "originals").glob("*/*")) == copies
    library.adding.add_folder(tmp_path / "library" / "originals")
    library.adding.wait()
    assert library.store.count() == 6
    assert check(library, encoder=False).findings == ()


@pytest.mark.parametrize("repair", [False, True])
def test_a_file_that_goes_while_it_is_looked_at_ends_no_look(
    open_library: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repair: bool
) -> None:
    def stat(path: Path, **options: object) -> object:
        if path.name.startswith("going"):
            path.unlink(missing_ok=True)  # another process takes it away just then
        return look(path, **options)

    look = Path.stat
    monkeypatch.setattr(Path, "stat", stat)
    library = open_library()
    for name in ("originals/ab/going.png", "thumbnails/cd/going.webp", "index/going.faiss"):
        path = tmp_path / "library" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(2000))
    assert check(library, repair=repair, encoder=False).findings == ()


def test_a_copy_that_goes_before_it_is_read_ends_no_look(open_library: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, *arguments: object, **options: object) -> IO:
        if path == copy:
            raise FileNotFoundError(copy)
        return open_file(path, *arguments, **options)

    copy = next((tmp_path / "library" / "originals").rglob("*.png"))
    library, open_file = open_library(), Path.open
    monkeypatch.setattr(Path, "open", opened)
    assert check(library, deep=True, encoder=False).findings == ()


def test_what_a_crash_left_is_swept_and_nothing_else(open_library: Open, tmp_path: Path) -> None:
    kept = sorted(path for path in (tmp_path / "library").rglob("*") if path.parent.parent.name in ("originals", "thumbnails"))
    assert len(kept) == 3 + 6
    for name in (
        "originals/ab/abcd.png.12-34.part",
        "thumbnails/cd/cdef.webp",
        f"thumbnails/{kept[-1].parent.name}/x",
    ):
        path = tmp_path / "library" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left")
    (tmp_path / "library" / "index" / "picture-of-another-encoder.faiss").write_bytes(bytes(2000))
    mended(open_library(), "left_over")
    assert kept == sorted(path for path in (tmp_path / "library").rglob("*") if path.parent.parent.name in ("originals", "thumbnails"))
    assert len(list((tmp_path / "library" / "index").iterdir())) == 2


def test_a_copy_that_changed_is_seen_by_a_deep_look(open_library: Open, tmp_path: Path) -> None:
    copy = next((tmp_path / "library" / "originals").rglob("*.png"))
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    library = open_library()
    assert check(library, encoder=False).findings == ()
    report = check(library, repair=True, deep=True, encoder=False)
    assert (codes(report), report.sound) == (["copies_damaged"], False)
    assert str(copy) in report.findings[0].say("en")


@pytest.mark.parametrize("vector", [b"short", b"", np.zeros(24, np.float16).tobytes(), np.full(24, np.nan, np.float16).tobytes()])
def test_a_damaged_vector_is_made_anew(open_library: Open, tmp_path: Path, vector: bytes) -> None:
    with edited(tmp_path) as rows:
        rows.execute("UPDATE vectors_1 SET vector = ? WHERE item = 2", (vector,))
    library = open_library()
    assert codes(check(library, deep=True))[0] == "vectors_wrong"
    repaired = check(library, repair=True, deep=True)
    assert (codes(repaired), repaired.sound) == (["vectors_wrong", "vectors_missing"], True)
    assert check(library, deep=True).findings == ()
    assert len(library.find(Query(read_terms("circle"), at_least=-1)).hits) == 6


def test_vectors_that_are_missing_are_made(open_library: Open, tmp_path: Path) -> None:
    with edited(tmp_path) as rows:
        rows.execute("INSERT INTO captions(picture, text, origin) VALUES (1, 'new', 'person')")
        rows.execute("UPDATE words SET captions = 'new' WHERE rowid = 1")
    library = open_library()
    assert check(library, encoder=False).findings == ()
    mended(library, "vectors_missing", encoder=True)


def test_what_cannot_get_its_vector_is_still_missing(open_library: Open, tmp_path: Path) -> None:
    with edited(tmp_path) as rows:
        rows.execute("DELETE FROM vectors_1")
        rows.execute("DELETE FROM changes")
    shutil.rmtree(tmp_path / "library" / "index")
    for path in (tmp_path / "photos").iterdir():
        path.write_bytes(b"no picture")
    report = check(open_library(), repair=True)
    assert (codes(report), report.sound) == (["vectors_missing", "vectors_missing"], False)
    assert [finding.facts["count"] for finding in report.findings] == [3, 3]


def test_vectors_of_nothing_are_taken_out(open_library: Open, tmp_path: Path) -> None:
    with edited(tmp_path) as rows:
        rows.execute("INSERT INTO vectors_1 SELECT 77, vector FROM vectors_1 LIMIT 1")
    mended(open_library(), "vectors_wrong", encoder=True)


@pytest.mark.parametrize("what", ["damaged", "cut short", "other ids", "one fewer"])
def test_an_index_that_is_wrong_is_made_anew(open_library: Open, tmp_path: Path, what: str) -> None:
    (path,) = (tmp_path / "library" / "index").glob("picture-*.faiss")
    content = path.read_bytes()
    if what == "damaged":
        path.write_bytes(content[:200] + bytes(8) + content[208:])
    elif what == "cut short":
        path.write_bytes(content[:-9])
    with edited(tmp_path) as rows:
        if what == "other ids":
            rows.execute("UPDATE pictures SET id = 66 WHERE id = 6")
            for table, column in (("vectors_1", "item"), ("places", "picture"), ("captions", "picture"), ("words", "rowid")):
                rows.execute(f"UPDATE {table} SET {column} = 66 WHERE {column} = 6")
        elif what == "one fewer":
            rows.execute("DELETE FROM vectors_1 WHERE item = 6")
    library = open_library()
    found = check(library, encoder=False)
    assert codes(found) == ["index_wrong"]
    if what == "other ids":
        assert "1 missing, 1 too many" in found.findings[0].say("en")
    mended(library, "index_wrong")
    index, _ = index_file.read(
        path, *library.store.database.connection.execute("SELECT name, kind, dimension FROM spaces WHERE id = 1").fetchone()
    )
    assert sorted(index.ids()) == {"other ids": [1, 2, 3, 4, 5, 66], "one fewer": [1, 2, 3, 4, 5]}.get(what, [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("what", ["row gone", "other words", "stray row", "damaged"])
def test_words_are_written_anew(open_library: Open, tmp_path: Path, what: str) -> None:
    with edited(tmp_path) as rows:
        rows.execute(
            {
                "row gone": "DELETE FROM words",
                "other words": "UPDATE words SET captions = 'nonsense'",
                "stray row": "INSERT INTO words(rowid, name, captions) VALUES (99, 'red circle', '')",
                "damaged": "DELETE FROM words_data WHERE id > 10",
            }[what]
        )
    library = open_library()
    mended(library, "words_wrong")
    assert [picture.name for picture in library.store.pictures(library.store.ids(Filter(text="red circle")))] == ["3 图.png"]
    assert library.store.count(Filter(text="一只猫")) == 1


def test_a_store_that_is_damaged_is_told_of_and_left_alone(open_library: Open, tmp_path: Path) -> None:
    path = tmp_path / "library" / "library.db"
    with edited(tmp_path) as rows:
        page = rows.execute("SELECT rootpage FROM sqlite_master WHERE name = 'captions_picture'").fetchone()[0]
        size = rows.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(path.read_bytes())
    content[page * size - 20 : page * size] = b"\xff" * 20
    path.write_bytes(content)
    library = open_library()
    report = check(library, repair=True)
    assert (codes(report), report.sound) == (["store_damaged"], False)


def test_an_encoder_that_cannot_be_loaded_leaves_the_rest_checked(open_library: Open, tmp_path: Path) -> None:
    (tmp_path / "photos" / "1 图.png").unlink()
    library = open_library()
    library.encoder_path = str(tmp_path / "nowhere")
    report = check(library)
    assert codes(report) == ["files_gone", "vectors_unchecked"]
    assert "nowhere" in report.findings[1].say("zh")


def test_whoever_only_reads_does_not_repair(open_library: Open) -> None:
    open_library()
    second = open_library()
    assert check(second, encoder=False).findings == ()
    with pytest.raises(UserError) as raised:
        check(second, repair=True)
    assert raised.value.code == "library_read_only"


@pytest.mark.parametrize("code", SENTENCES)
def test_a_finding_is_a_whole_sentence_in_both_languages(code: str) -> None:
    english, chinese, mended, mended_chinese = SENTENCES[code]
    assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))
    assert english.endswith(".")
    assert chinese.endswith("。")
    assert bool(mended) is bool(mended_chinese)
