"""What a person asks the library for: words and pictures with weights and minus, filters, how many, from which likeness on."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from PIL import Image

from multimodal.errors import UserError
from multimodal.retrieval.records import Filter

LONGEST_TEXT = 1000  # characters of a query; encoders read some 50 to 80 tokens of it
MOST_TERMS = 16
MOST_RESULTS = 1000
SORTS = ("likeness", "newest", "oldest", "name")

PLUS = re.compile(r"\s+[+＋]\s+")
MINUS = re.compile(r"(?:^|(?<=\s))[-－−](\"[^\"]+\"|“[^”]+”|[^\s\-－−]\S*)")
WEIGHT = re.compile(r"\^(\d{1,3}(?:\.\d{1,3})?)$")


@dataclass(frozen=True)
class Term:
    """One part of a query: words, a picture (RGB), or the id of one in the library. A negative weight is a minus."""

    content: str | Image.Image | int
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """`at_least`: the score from which on a picture counts; None is the encoder's own, -1 takes everything. `rerank`: the best are to be
    put in order by the cross-attention model, where there are words alone and no minus, sorted by likeness."""

    terms: tuple[Term, ...] = ()
    filter: Filter = field(default_factory=Filter)
    sort: str = "likeness"
    count: int = 20
    at_least: float | None = None
    rerank: bool = False

    def __post_init__(self) -> None:
        """Raises UserError for what cannot be asked."""
        if not 1 <= self.count <= MOST_RESULTS:
            raise UserError("search_count", count=self.count, limit=MOST_RESULTS)
        if self.sort not in SORTS:
            raise UserError("search_sort", sort=self.sort[:40], sorts=", ".join(SORTS))
        if self.at_least is not None and not (math.isfinite(self.at_least) and -1 <= self.at_least <= 1):
            raise UserError("search_threshold", value=self.at_least)
        if len(self.terms) > MOST_TERMS:
            raise UserError("search_terms", count=len(self.terms), limit=MOST_TERMS)
        for words in (self.filter.name, self.filter.text):
            if len(words) > LONGEST_TEXT:
                raise UserError("search_too_long", count=len(words), limit=LONGEST_TEXT)
        if not self.terms and not self.filter:
            raise UserError("search_empty")
        if self.terms and not any(term.weight > 0 for term in self.terms):
            raise UserError("search_only_minus")


def read_terms(text: str) -> tuple[Term, ...]:
    """The terms of what was typed: `beach + sunset^2 -people -"two dogs"`.

    A plus between spaces parts terms, `^2` after one is its weight, a minus before a word or a quotation takes away. Raises UserError.
    """
    if len(text) > LONGEST_TEXT:
        raise UserError("search_too_long", count=len(text), limit=LONGEST_TEXT)
    minus = [Term(words, -weight) for words, weight in map(_weighed, MINUS.findall(text)) if words]
    plus = [Term(words, weight) for words, weight in map(_weighed, PLUS.split(MINUS.sub(" ", text))) if words]
    return tuple(plus + minus)


def _weighed(text: str) -> tuple[str, float]:
    text = text.strip()
    weight = WEIGHT.search(text)
    words = WEIGHT.sub("", text).strip().strip('"“”').strip()
    return words, float(weight[1]) if weight else 1.0


def read_date(text: str, end: bool = False) -> float | None:
    """A day as `2024-05-31`, a month as `2024-05` or a year as `2024`, in this machine's time.

    Returns seconds since the epoch at its start, or with `end` at the end of it; None for an empty text. Raises UserError.
    """
    text = text.strip()
    if not text:
        return None
    found = re.fullmatch(r"(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?|年)?", text)
    try:
        if not found:
            raise ValueError
        year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
        first = date(year, month, day)
        if end:
            if found[3]:
                first += timedelta(days=1)
            elif found[2]:
                first = date(year + month // 12, month % 12 + 1, 1)
            else:
                first = date(year + 1, 1, 1)
        return datetime.combine(first, time()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UserError("bad_date", value=text[:40]) from error


def read_filter(folder: str = "", since: str = "", until: str = "", name: str = "", caption: str = "") -> Filter:
    """A filter as it was typed: `since` and `until` are dates, the second one included. Raises UserError."""
    for text in (folder, name, caption):
        if len(text) > LONGEST_TEXT:
            raise UserError("search_too_long", count=len(text), limit=LONGEST_TEXT)
    name = unicodedata.normalize("NFC", name.strip())  # as names are stored
    return Filter(folder.strip(), read_date(since), read_date(until, end=True), name, caption.strip())
