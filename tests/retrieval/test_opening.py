"""A library opens, changes its encoder, closes; what is under way meanwhile is not lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval import index_file
from multimodal.retrieval import library as library_module
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Filter
from multimodal.retrieval.store import Store
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


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No encoder is there before this is set."""
    from multimodal.retrieval import encoder

    go, load = threading.Event(), encoder.load_encoder
    monkeypatch.setattr(encoder, "load_encoder", lambda *arguments: go.wait(60) and load(*arguments))
    yield go
    go.set()


def refused(deed: Callable[[], object]) -> str | None:
    """The code of the error that it raises."""
    try:
        deed()
    except UserError as error:
        return error.code
    return None


def test_an_encoder_may_take_longer_than_a_search_has_patience(
    make: Callable[[], Library], loading: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(library_module, "PATIENCE_SECONDS", 0.01)
    library = make()
    assert refused(library.wait_for_encoder) == "library_closed"
    library.open(watch=False)
    assert refused(library.search) == "encoder_loading"
    threading.Timer(0.5, loading.set).start()
    library.wait_for_encoder()
    assert library.encoder_status == "ready"


def test_waiting_for_an_encoder_that_is_none_ends(make: Callable[[], Library], tmp_path: Path):
    library = make()
    library.encoder_path = str(tmp_path)
    library.open(watch=False)
    assert refused(library.wait_for_encoder) == "encoder_not_found"


def test_closing_does_not_wait_for_a_download_and_what_comes_then_touches_nothing(
    make: Callable[[], Library], loading: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(library_module, "LEAVING_SECONDS", 0.05)
    library = make()
    library.open(watch=False)
    began = time.monotonic()
    library.close()
    assert time.monotonic() - began < 5
    loading.set()
    library._loading.join(30)
    assert (library.encoder, library._search, library.encoder_failure) == (None, None, None)
    assert refused(lambda: library.switch_encoder(library.encoder_path)) == "library_closed"


def test_of_two_changes_of_encoder_at_once_one_is_refused(
    make: Callable[[], Library], encoders: list[Path], loading: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    library = make()
    library.open(encoder=False, watch=False)
    let_go = []
    monkeypatch.setattr(library, "_let_go", lambda: (let_go.append(1), time.sleep(0.2)))  # it saves
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda path: refused(lambda: library.switch_encoder(str(path))), encoders))
    monkeypatch.undo()
    assert sorted(said, key=str) == [None, "encoder_loading"]
    assert len(let_go) == 1
    assert library.encoder_path == str(encoders[said.index(None)])


def test_the_index_may_be_let_go_of_while_its_state_is_asked(make: Callable[[], Library]):
    library = make()
    states = iter([SimpleNamespace(pictures=SimpleNamespace(state="ready"))])
    library.__class__ = type("Changing", (Library,), {"_search": property(lambda self: next(states, None))})
    try:
        assert library.index_state == "ready"
    finally:
        library.__class__ = Library


def test_what_comes_back_after_a_change_of_encoder_gets_its_vectors(make: Callable[[], Library], encoders: list[Path], photos: Path):
    library = make()
    library.open(wait=True, watch=False)
    library.take([(photos / f"{number}.png", f"{number}.png") for number in range(3)])
    removal = library.remove([1, 2])
    library.switch_encoder(str(encoders[1]))
    space = library.search().encoder.space
    assert library.adding.wait(60)
    assert vectors(library, space) == 1
    assert library.undo(removal) == [1, 2]
    assert library.adding.wait(60)
    assert vectors(library, space) == 3


def test_the_indexes_of_encoders_that_were_let_go_of_do_not_stay(make: Callable[[], Library], encoders: list[Path], photos: Path):
    first = make()
    first.open(wait=True, watch=False)
    first.take([(photos / "0.png", "0.png")])
    first.switch_encoder(str(encoders[1]))
    space = first.search().encoder.space
    assert first.adding.wait(60)
    first.close()
    folder = first.folder / "index"
    assert len(list(folder.iterdir())) == 4
    second = make()
    second.encoder_path = str(encoders[1])
    second.open(wait=True, watch=False)
    assert set(folder.iterdir()) <= {index_file.path_of(folder, space, kind) for kind in index_file.KINDS}


@pytest.mark.parametrize("fault", ["a file", "the store"])
def test_what_cannot_be_forgotten_today_stops_nothing(
    make: Callable[[], Library], photos: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    first = make()
    first.open(encoder=False, watch=False)
    first.take([(photos / f"{number}.png", f"{number}.png") for number in range(2)])
    copies = [first.original(picture) for picture in first.page(Filter(), "oldest")]
    first.remove([1, 2])
    first.close()

    def refuse(*_: object) -> None:
        raise UserError("library_busy")

    unlink = Path.unlink

    def unlink_others(path: Path, missing_ok: bool = False) -> None:
        if path == copies[0]:
            raise PermissionError(13, "in use", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(library_module, "KEPT_SECONDS", -60)
    if fault == "a file":
        monkeypatch.setattr(Path, "unlink", unlink_others)
    else:
        monkeypatch.setattr(Store, "purge", refuse)
    second = make()
    second.open(wait=True, watch=False)
    assert second.encoder_status == "ready"
    assert [copy.exists() for copy in copies] == ([True, False] if fault == "a file" else [True, True])
