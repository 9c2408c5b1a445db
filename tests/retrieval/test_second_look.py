"""The best pictures of a search are put in order by a cross-attention model, and the rest is left as it was found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval import reranker as reranker_module
from multimodal.retrieval import second_look as second_look_module
from multimodal.retrieval.answers import of_found
from multimodal.retrieval.library import Library
from multimodal.retrieval.query import Query, Term, read_terms
from multimodal.retrieval.records import Filter, Picture
from multimodal.retrieval.search import Found, Hit
from multimodal.retrieval.second_look import RERANKED, SecondLook
from tests.retrieval.brightness import Brightness
from tests.retrieval.tiny_encoders import write_tiny_encoder

WORDS = Query(read_terms("a bright picture"), count=RERANKED + 5, rerank=True)


def picture(id: int) -> Picture:
    return Picture(id, f"{id}", f"{id}.png", 1, 8, 8, 0.0, 0.0, {}, False, False, (), ())


def image_of(picture: Picture, side: int) -> Image.Image:
    """The brighter the larger its id."""
    return Image.new("RGB", (side, side), (picture.id,) * 3)


def found(query: Query) -> Found:
    """As many as are asked for, of a hundred: the likest are the darkest."""
    return Found(tuple(Hit(picture(id), round(1 - id / 100, 4)) for id in range(min(100, query.count))), 0.0, 1.0)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Brightness]:
    """The stand-ins that were loaded."""
    made: list[Brightness] = []

    def load(path: str, device: str) -> Brightness:
        assert (path, device) == ("somewhere", "cpu")
        made.append(Brightness())
        return made[-1]

    monkeypatch.setattr(reranker_module, "load_reranker", load)
    return made


@pytest.fixture
def look(loads: list[Brightness]) -> SecondLook:
    return SecondLook("somewhere", "cpu", image_of)


def order(answer: Found) -> list[int]:
    return [hit.picture.id for hit in answer.hits]


def test_the_best_are_ordered_by_their_match_and_the_others_follow(look: SecondLook, loads: list[Brightness]):
    answer = look.find(WORDS, found)
    assert order(answer) == [*range(RERANKED - 1, -1, -1), *range(RERANKED, RERANKED + 5)]
    first, last = answer.hits[0], answer.hits[-1]
    assert (first.score, first.match) == (1 - (RERANKED - 1) / 100, pytest.approx((RERANKED - 1) / 255, abs=1e-4))
    assert (last.score, last.match) == (pytest.approx(1 - (RERANKED + 4) / 100), None)
    assert (answer.at_least, answer.nearest) == (0.0, 1.0)
    assert loads[0].asked == ["a bright picture"]


def test_of_fewer_the_best_of_all_that_were_looked_at_are_told(look: SecondLook):
    assert order(look.find(replace(WORDS, count=3), found)) == [RERANKED - 1, RERANKED - 2, RERANKED - 3]


def test_the_model_reads_the_words_that_are_wanted_without_their_weights(look: SecondLook, loads: list[Brightness]):
    look.find(replace(WORDS, terms=read_terms("beach + sunset^2 + dog^0")), found)
    assert loads[0].asked == ["beach, sunset"]


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": read_terms("beach -people")},
        {"terms": (Term(1),)},
        {"terms": (Term("beach"), Term(Image.new("RGB", (9, 9))))},
        {"sort": "newest"},
        {"sort": "name"},
    ],
)
def test_what_is_no_matter_of_words_stays_as_it_was_found(look: SecondLook, loads: list[Brightness], changes: dict):
    query = replace(WORDS, **changes)
    assert look.find(query, found) == found(query)
    assert loads == []


@pytest.mark.parametrize("error", [UserError("original_gone", name="3.png"), OSError("damaged")])
def test_pictures_that_cannot_be_seen_any_more_follow_those_that_can(loads: list[Brightness], error: Exception):
    def image(picture: Picture, side: int) -> Image.Image:
        if picture.id in (3, 5):
            raise error
        return image_of(picture, side)

    answer = SecondLook("somewhere", "cpu", image).find(replace(WORDS, count=8), lambda query: Found(found(query).hits[:8]))
    assert order(answer) == [7, 6, 4, 2, 1, 0, 3, 5]
    assert [hit.match is None for hit in answer.hits] == [False] * 6 + [True] * 2


def test_nothing_found_is_nothing_to_look_at(look: SecondLook):
    assert look.find(WORDS, lambda query: Found((), 0.5, 0.2)) == Found((), 0.5, 0.2)


def test_the_model_is_loaded_once_and_at_the_first_look(look: SecondLook, loads: list[Brightness]):
    assert loads == []
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: look.find(WORDS, found), range(8)))
    assert len(loads) == 1
    assert all(answer == answers[0] for answer in answers)
    look.close()
    assert loads[0].closed


def test_what_is_wrong_with_the_model_is_told_each_time_and_tried_once(look: SecondLook, monkeypatch: pytest.MonkeyPatch):
    tried = []

    def load(path: str, device: str) -> None:
        tried.append(path)
        raise UserError("cross_not_found", path=path)

    monkeypatch.setattr(reranker_module, "load_reranker", load)
    for _ in range(2):
        with pytest.raises(UserError) as refused:
            look.find(WORDS, found)
        assert refused.value.code == "cross_not_found"
    assert len(tried) == 1


def test_while_it_loads_others_are_told_and_one_that_comes_after_closing_is_let_go_of(look: SecondLook, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(second_look_module, "PATIENCE_SECONDS", 0.01)
    made, begun, go = Brightness(), threading.Event(), threading.Event()

    def load(path: str, device: str) -> Brightness:
        begun.set()
        go.wait(60)
        return made

    monkeypatch.setattr(reranker_module, "load_reranker", load)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(look.find, WORDS, found)
        assert begun.wait(60)
        with pytest.raises(UserError) as refused:
            look.find(WORDS, found)
        assert refused.value.code == "cross_loading"
        look.close()
        go.set()
        with pytest.raises(UserError) as refused:
            first.result(60)
        assert refused.value.code == "library_closed"
    assert made.closed


# in a library


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", matches_from=-1.0)


@pytest.fixture
def make(tmp_path: Path, encoder: Path) -> Iterator[Callable[[str | None], Library]]:
    """make(cross): an open library."""
    made: list[Library] = []

    def make_(cross: str | None) -> Library:
        made.append(Library(tmp_path / "library", str(encoder), "cpu", Limits(), cross))
        made[-1].open(wait=True, watch=False)
        return made[-1]

    yield make_
    for library in made:
        library.close()


def painted(path: Path, brightness: int, size: tuple[int, int] = (60, 40)) -> tuple[Path, str]:
    Image.new("RGB", size, (brightness,) * 3).save(path)
    return path, path.name


def test_a_library_looks_twice_at_what_words_find(make: Callable, loads: list[Brightness], tmp_path: Path):
    library = make("somewhere")
    library.take([painted(tmp_path / f"{brightness}.png", brightness) for brightness in (90, 200, 10, 150)])
    answer = library.find(Query(read_terms("words"), count=3, rerank=True))
    assert [hit.picture.name for hit in answer.hits] == ["200.png", "150.png", "90.png"]
    results = of_found(answer, lambda picture: {})["results"]
    assert [result["match"] for result in results] == [pytest.approx(value / 255, abs=0.01) for value in (200, 150, 90)]
    assert all(-1 <= result["score"] <= 1 for result in results)
    plain = of_found(library.find(Query(read_terms("words"), count=3)), lambda picture: {})["results"]
    assert not [result for result in plain if "match" in result]
    assert library.find(Query(filter=Filter(name="200"), rerank=True)).hits[0].match is None
    library.close()
    assert loads[0].closed


def test_without_a_model_it_is_said_which_setting_wants_one(make: Callable):
    library = make(None)
    for query in (Query(read_terms("words"), rerank=True), Query(filter=Filter(name="x"), rerank=True)):
        with pytest.raises(UserError) as refused:
            library.find(query)
        assert refused.value.code == "no_cross_model"
        assert "CROSS_MODEL" in refused.value.say("zh")


def test_pictures_are_seen_as_thumbnails_where_those_are_large_enough(make: Callable, tmp_path: Path):
    library = make(None)
    sizes = {"small": (60, 40), "square": (1600, 1600), "wide": (1600, 400)}
    paths = {name: painted(tmp_path / f"{name}.png", 90 + len(name), size) for name, size in sizes.items()}
    ids = dict(zip(paths, library.take(list(paths.values())).ids, strict=True))
    pictures = {name: library.picture(id) for name, id in ids.items()}
    assert library.image(pictures["small"], 384).size == (60, 40)
    assert library.image(pictures["square"], 384).size == (384, 384)
    assert library.image(pictures["wide"], 96).size == (384, 96)
    assert library.image(pictures["wide"], 200).size == (1600, 400)  # at its thumbnail's 96 pixels it would be seen badly
    Path(pictures["wide"].places[0].path).unlink()
    assert library.image(pictures["wide"], 200).size == (384, 96)
    library.thumbnails.drop(pictures["wide"].hash)
    with pytest.raises(UserError) as refused:
        library.image(pictures["wide"], 200)
    assert refused.value.code == "original_gone"
    library.thumbnails.drop(pictures["square"].hash)
    assert library.image(pictures["square"], 384).size == (384, 384)
