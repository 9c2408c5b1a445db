"""What is done with an open library's pictures: originals, captions, removals, duplicates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.library import Library
from tests.conftest import EXAMPLES


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty one, without an encoder."""
    library = Library(tmp_path / "library", "", "cpu", Limits())
    library.open(encoder=False, watch=False)
    yield library
    library.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one picture, a.png."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (30, 20), "teal").save(folder / "a.png")
    return folder


def add(library: Library, *paths: Path) -> list[int]:
    library.adding.add_files(paths)
    assert library.adding.wait(30)
    return sorted(library.store.ids().tolist())


def test_the_original_is_a_file_that_still_holds_the_picture(library: Library, photos: Path):
    own = Path(shutil.copy2(photos / "a.png", photos / "b.png"))
    (id,) = add(library, photos / "a.png", own)
    content = own.read_bytes()
    (photos / "a.png").write_bytes(content[:-1] + b"x")  # the first by its path, and no longer the picture
    assert library.original(library.picture(id)) == own
    library.take([(own, "b.png")])
    own.unlink()
    assert library.original(library.picture(id)).read_bytes() == content
    library.original(library.picture(id)).unlink()
    with pytest.raises(UserError) as refused:
        library.original(library.picture(id))
    assert refused.value.code == "original_gone"


@pytest.mark.parametrize(
    ("texts", "code"), [(["x" * 1001], "caption_too_long"), ([f"{number}" for number in range(101)], "captions_too_many")]
)
def test_captions_are_bounded(library: Library, photos: Path, texts: list[str], code: str):
    (id,) = add(library, photos / "a.png")
    library.set_captions(id, ["a teal card"])
    with pytest.raises(UserError) as refused:
        library.set_captions(id, texts)
    assert refused.value.code == code
    assert [caption.text for caption in library.picture(id).captions] == ["a teal card"]
    library.set_captions(id, [texts[0][:1000], *texts[1:100]])
    assert len(library.picture(id).captions) == min(len(texts), 100)


def test_a_caption_that_was_there_before_there_was_a_bound_may_stay(library: Library, photos: Path):
    (id,) = add(library, photos / "a.png")
    library.store.set_captions(id, [("x" * 2000, "file")])
    library.set_captions(id, ["x" * 2000, "more"])
    assert len(library.picture(id).captions) == 2


def test_a_folder_that_was_brought_back_is_watched_again(library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch):
    library.adding.add_folder(photos)
    assert library.adding.wait(30)
    removal = library.drop_folder(str(photos))
    renewed = []
    monkeypatch.setattr(library._watch, "renew", lambda: renewed.append([folder.path for folder in library.store.folders()]))
    assert len(library.undo(removal)) == 1
    assert renewed == [[str(photos)]]


def test_a_picture_with_a_signature_of_another_version_is_no_duplicate(library: Library, tmp_path: Path):
    with Image.open(EXAMPLES / "shapes.png") as shapes:
        for size in (240, 200, 160):
            shapes.convert("RGB").resize((size, size * 3 // 4)).save(tmp_path / f"{size}.jpg", quality=90)
    ids = add(library, *(tmp_path / f"{size}.jpg" for size in (240, 200, 160)))
    for left in (2, 1, 0):
        with library.store.database.writing() as connection:
            connection.execute("UPDATE pictures SET signature = x'00' WHERE id = ?", (ids[left],))
        groups = [[member.id for member in group.members] for group in library.duplicates()]
        assert groups == ([ids[:2]] if left == 2 else [])
