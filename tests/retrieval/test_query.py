"""What is typed into the search, as terms, and what cannot be asked."""

from __future__ import annotations

import sqlite3
import unicodedata
from datetime import datetime

import pytest

from multimodal.errors import UserError
from multimodal.retrieval.query import Query, Term, read_date, read_terms
from multimodal.retrieval.records import Filter
from multimodal.retrieval.words import match, tokens


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("two red circles", [("two red circles", 1)]),
        ("beach -people", [("beach", 1), ("people", -1)]),
        ('beach -"two dogs" -snow^0.5', [("beach", 1), ("two dogs", -1), ("snow", -0.5)]),
        ("beach + sunset^2", [("beach", 1), ("sunset", 2)]),
        ("海滩 -人", [("海滩", 1), ("人", -1)]),
        ("海滩 ＋ 日落 －“两个人”", [("海滩", 1), ("日落", 1), ("两个人", -1)]),
        ("a well-known black-and-white photo", [("a well-known black-and-white photo", 1)]),
        ("c++ code", [("c++ code", 1)]),
        ("  \t ", []),
        ("x^", [("x^", 1)]),
    ],
)
def test_terms_with_weights_and_minus_are_read(text, terms):
    assert [(term.content, term.weight) for term in read_terms(text)] == terms


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({}, "search_empty"),
        ({"terms": (Term("people", -1.0),)}, "search_only_minus"),
        ({"terms": (Term("x"),), "count": 0}, "search_count"),
        ({"terms": (Term("x"),), "count": 1_000_000}, "search_count"),
        ({"terms": (Term("x"),), "sort": "'; DROP TABLE pictures"}, "search_sort"),
        ({"terms": (Term("x"),), "at_least": float("nan")}, "search_threshold"),
        ({"terms": (Term("x"),) * 17}, "search_terms"),
        ({"filter": Filter(name="x" * 1001)}, "search_too_long"),
    ],
)
def test_what_cannot_be_asked_is_said(how, code):
    with pytest.raises(UserError) as refused:
        Query(**how)
    assert refused.value.code == code


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(UserError) as refused:
        read_terms("x" * 1001)
    assert refused.value.code == "search_too_long"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        ("2024年5月31日", (2024, 5, 31), (2024, 6, 1)),
        ("2024/5", (2024, 5, 1), (2024, 6, 1)),
    ],
)
def test_a_date_is_a_span_of_this_machines_time(text, start, end):
    assert read_date(text) == datetime(*start).timestamp()
    assert read_date(text, end=True) == datetime(*end).timestamp()


@pytest.mark.parametrize("text", ["yesterday", "2024-13", "2023-02-29", "0000", "9999", "12", "2024-1-1; --", "٢٠٢٤x"])
def test_what_is_no_date_is_said(text):
    with pytest.raises(UserError) as refused:
        read_date(text, end=True)
    assert refused.value.code == "bad_date"


def test_no_date_is_none():
    assert read_date("  ") is None


@pytest.mark.parametrize("text", ['" OR 1=1', "name:x", "NEAR(a b)", "a*", "-x", "%_'", "红色 OR", "()", ""])
def test_a_query_of_words_has_nothing_of_fts5s_language(text):
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5(name, captions)")
    database.execute("INSERT INTO words VALUES (?, ?)", (tokens("海滩.jpg"), tokens("两个红色的圆形")))
    query = match(text)
    found = database.execute("SELECT count(*) FROM words WHERE words MATCH ?", (query,)).fetchone()[0] if query else 0
    assert found == 0


@pytest.mark.parametrize("text", ["cafés", "がぎ", "한국"])
def test_a_letter_in_several_signs_is_the_same_letter(text: str):
    one, other = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert one != other
    assert (tokens(one), match(one)) == (tokens(other), match(other))


def test_any_part_of_a_chinese_sentence_and_the_beginning_of_a_word_is_found():
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE words USING fts5(name, captions)")
    database.execute("INSERT INTO words VALUES (?, ?)", (tokens("IMG_2041-beach.jpg"), tokens("两个红色的圆形\nTwo Dogs, one café")))
    for text in ("红色", "圆形 两个", "beach", "2041", "dog", "CAFE", "cafés"[:4]):
        assert database.execute("SELECT count(*) FROM words WHERE words MATCH ?", (match(text),)).fetchone()[0] == 1, text
