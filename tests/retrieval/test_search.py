"""Words and pictures, with weights, minus and filters, find what they ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pytest

from multimodal.errors import UserError
from multimodal.retrieval import search as search_module
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.query import Query, Term, read_filter, read_terms
from multimodal.retrieval.records import Filter, NewPicture, Place
from multimodal.retrieval.search import Search
from multimodal.retrieval.store import Store

SPACE = "axes"
AXES = np.eye(4, dtype=np.float32)


class Axes:
    """A stand-in for an encoder: each of some words is an axis."""

    space, dimension, matches_from, alike_from = SPACE, 4, 0.5, 0.5

    def __init__(self) -> None:
        self.words = dict(zip(("sea", "dog", "beach", "!!!"), AXES, strict=True))

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """float32 [len(texts), 4]."""
        return np.stack([self.words[text] for text in texts])


Put = Callable[..., int]


@pytest.fixture
def put(store: Store) -> Put:
    """put(path, vector): a picture's id; each one is newer than the last."""

    def put_(path: str, vector: np.ndarray | None) -> int:
        count = store.count()
        new = NewPicture(f"hash {count}", path.rpartition("/")[2], Place(path, 1, 1), 1, 1, float(count), b"", vector=vector)
        return store.add([new], SPACE)[0]

    return put_


@pytest.fixture
def search(store: Store) -> Search:
    keepers = [Keeper(store.vectors(SPACE, kind, 4), None) for kind in ("picture", "caption")]
    return Search(store, Axes(), *keepers)


def found(search: Search, *terms: Term, **more: object) -> list[int]:
    return [hit.picture.id for hit in search.find(Query(terms, **more)).hits]


def test_names_are_looked_for_within_the_filter_alone(put: Put, search: Search, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search_module, "MOST_RESULTS", 3)
    old = put("/here/beach.jpg", AXES[3])
    for number in range(5):
        put(f"/elsewhere/beach {number}.jpg", AXES[3])
    assert found(search, Term("beach"), filter=Filter(folder="/here")) == [old]


def test_words_of_the_filter_and_of_the_query_both_count(put: Put, search: Search):
    both, _ = put("/dog at the beach.jpg", AXES[3]), put("/dog.jpg", AXES[3])
    assert found(search, Term("beach"), filter=Filter(text="dog")) == [both]
    hits = search.find(Query((Term("!!!"),), Filter(text="dog"))).hits
    assert [hit.by_words for hit in hits] == [False, False]  # they are alike, and no word was typed


def test_what_a_minus_takes_away_is_not_the_nearest(put: Put, search: Search):
    put("/1.jpg", (AXES[0] + 2 * AXES[1]) / np.sqrt(5))
    terms = (Term("sea"), Term("dog", -1))
    answer = search.find(Query(terms))
    assert (answer.hits, answer.nearest) == ((), None)
    put("/2.jpg", (AXES[0] + 2 * AXES[3]) / np.sqrt(5))
    answer = search.find(Query(terms))
    assert (answer.hits, answer.nearest) == ((), pytest.approx(1 / np.sqrt(5), abs=1e-3))


def test_a_picture_whose_vector_is_still_to_come_is_not_said_to_be_gone(put: Put, search: Search, store: Store):
    waiting, gone = put("/1.jpg", None), put("/2.jpg", None)
    store.remove([gone])
    for id, code in ((waiting, "picture_waiting"), (gone, "picture_gone"), (99, "picture_gone")):
        for ask in (lambda term: search.find(Query((term,))), lambda term: search.captions_of(term, 3)):
            with pytest.raises(UserError) as refused:
                ask(Term(id))
            assert refused.value.code == code


@pytest.mark.parametrize("text", ["café", "がぎ", "한국"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_in_several_signs_are_found_however_they_are_typed(put: Put, search: Search, store: Store, text: str, form: str):
    ids = [put(f"/{unicodedata.normalize(stored, text)}s 1.jpg", AXES[3]) for stored in ("NFC", "NFD")]
    typed = unicodedata.normalize(form, f"{text}s")
    search.encoder.words[typed] = AXES[0]
    assert sorted(found(search, *read_terms(typed))) == ids
    assert read_filter(name=typed).name == unicodedata.normalize("NFC", typed)
    assert sorted(store.ids(read_filter(name=typed))) == ids
