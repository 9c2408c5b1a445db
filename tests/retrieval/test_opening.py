"""A library opens, changes its encoder, closes; what is under way meanwhile is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.library import Library
from tests.retrieval.tiny_encoders import write_tiny_encoder

COUNT = 200


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return [write_tiny_encoder(folder / f"{seed}", seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(COUNT):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def make(tmp_path: Path, encoders: list[Path]) -> Iterator[Callable[[], Library]]:
    """make(): one that is not open yet, with the first of the encoders."""
    made: list[Library] = []

    def make_() -> Library:
        made.append(Library(tmp_path / "library", str(encoders[0]), "cpu", Limits()))
        return made[-1]

    yield make_
    for library in made:
        library.close()


def vectors(library: Library, space: str) -> int:
    return library.store.count() - len(library.store.missing(space, "picture", -1))


def test_a_folder_that_is_being_read_is_read_to_its_end_by_another_encoder(make: Callable[[], Library], encoders: list[Path], photos: Path):
    library = make()
    library.open(wait=True, watch=False)
    first = library.search().encoder.space
    library.adding.add_folder(photos)
    while not library.store.count():
        assert not library.adding.wait(0.001)
    library.switch_encoder(str(encoders[1]))
    second = library.search().encoder.space
    assert library.adding.wait(60)
    assert first != second
    assert library.store.count() == vectors(library, second) == COUNT
    assert vectors(library, first) == 0  # let go of once all the new ones were there
    assert library.search().pictures.source.count() == COUNT


def test_what_was_closed_before_it_could_open_stays_closed(make: Callable[[], Library]):
    library = make()
    library.close()
    library.open(wait=True)
    assert not (library.folder / "library.db").exists()
    with pytest.raises(UserError) as caught:
        _ = library.store
    assert caught.value.code == "library_closed"


def test_one_that_is_closed_while_its_encoder_loads_can_be_opened_again(make: Callable[[], Library], photos: Path):
    first = make()
    first.open(watch=False)
    first.close()
    second = make()
    second.open(wait=True, watch=False)
    assert second.read_only is None
    second.take([(photos / "0.png", "0.png")])
    assert vectors(second, second.search().encoder.space) == 1
