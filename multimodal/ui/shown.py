"""What the gallery shows at the moment, and what it is told about in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html import escape

from multimodal.retrieval.library import Library
from multimodal.retrieval.query import MOST_RESULTS, Query, Term
from multimodal.retrieval.records import Filter
from multimodal.retrieval.words import CHARACTER
from multimodal.ui.gallery import Tile, score_text
from multimodal.ui.library_head import encoder_name
from multimodal.ui.phrases import phrase

PAGE = 60  # pictures shown at once before anything was asked for
NEAREST = 12  # shown where nothing matches and one wants to see what comes nearest


@dataclass(frozen=True)
class Wanted:
    """What was asked for. As a Query, but that nothing asked for means every picture."""

    terms: tuple[Term, ...] = ()
    filter: Filter = field(default_factory=Filter)
    sort: str = "newest"
    count: int = PAGE
    at_least: float | None = None
    rerank: bool = False

    def __bool__(self) -> bool:
        return bool(self.terms or self.filter)

    def query(self) -> Query:
        """Raises UserError for what cannot be asked."""
        return Query(self.terms, self.filter, self.sort, self.count, self.at_least, self.rerank)


@dataclass(frozen=True)
class Shown:
    """What came of it: `hits` are (id, score, by words, match); `total` is how many pictures there are, where no likeness was asked for;
    `full`: as many came as were asked for."""

    wanted: Wanted = field(default_factory=Wanted)
    hits: tuple[tuple[int, float | None, bool, float | None], ...] = ()
    total: int | None = None
    full: bool = False
    at_least: float | None = None
    nearest: float | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        """The pictures, in their order."""
        return tuple(id for id, *_ in self.hits)

    @property
    def has_more(self) -> bool:
        """Whether more pictures could come."""
        if self.total is not None:
            return len(self.hits) < self.total
        return self.full and self.wanted.count < MOST_RESULTS

    def more(self) -> Wanted:
        """The same and a page more."""
        count = self.wanted.count + PAGE
        return replace(self.wanted, count=min(count, MOST_RESULTS) if self.wanted.terms else count)

    def anyway(self) -> Wanted:
        """The same, however unlike."""
        return replace(self.wanted, at_least=-1.0, count=NEAREST)

    def score(self, id: int) -> float | None:
        """That of one of the pictures; None where it has none."""
        return next((score for hit, score, *_ in self.hits if hit == id), None)

    def without(self, ids: set[int]) -> Shown:
        """The same, these pictures gone."""
        left = tuple(hit for hit in self.hits if hit[0] not in ids)
        gone = len(self.hits) - len(left)
        return replace(self, hits=left, total=None if self.total is None else self.total - gone)

    def tiles(self, library: Library) -> list[Tile]:
        """Its pictures as they are now. Raises UserError."""
        there = {picture.id: picture for picture in library.store.pictures(self.ids) if not picture.removed}
        return [Tile(there[id], *said) for id, *said in self.hits if id in there]


def look_up(library: Library, wanted: Wanted) -> Shown:
    """The pictures that are wanted. Raises UserError."""
    if not wanted.terms:
        sort = "newest" if wanted.sort == "likeness" else wanted.sort
        pictures = library.page(wanted.filter, sort, wanted.count)
        hits = tuple((picture.id, None, False, None) for picture in pictures)
        return Shown(replace(wanted, sort=sort), hits, library.store.count(wanted.filter))
    found = library.find(wanted.query())
    hits = tuple((hit.picture.id, hit.score, hit.by_words, hit.match) for hit in found.hits)
    return Shown(wanted, hits, None, len(hits) == wanted.count, found.at_least, found.nearest)


def found_html(shown: Shown, library: Library, language: str) -> str:
    """What was found, or that nothing was, and why that may be. Raises UserError."""
    wanted = shown.wanted
    if not shown.hits and not wanted:
        return _says("library_invites", language, phrase("library_invites_how", language))
    hint = language_hint(wanted, library, language)
    if shown.hits:
        return _says("", language, hint, _headline(shown, library, language))
    if shown.nearest is not None:
        nearest = phrase("nearest_is", language, nearest=score_text(shown.nearest), at_least=score_text(shown.at_least))
        return _says("nothing_matches", language, f"{nearest} {hint}")
    return _says("nothing_left" if wanted.filter else "nothing_like_it", language, hint)


def _says(name: str, language: str, rest: str, headline: str = "") -> str:
    return f"<p><b>{escape(headline or phrase(name, language))}</b> {escape(rest)}</p>"


def _headline(shown: Shown, library: Library, language: str) -> str:
    wanted, count = shown.wanted, len(shown.hits)
    order = phrase(f"order_{wanted.sort}", language)
    if shown.total is not None:
        name = "found_some" if count < shown.total else "found_one" if count == 1 else "found_all"
        return phrase(name, language, count=count, total=f"{shown.total:,}", order=order)
    if wanted.at_least == -1:
        name = "found_anyway"
    else:
        name = "found_most" if shown.has_more else "found_hit" if count == 1 else "found_hits"
    found = phrase(name, language, count=count, order=order)
    # also one that has been taken out meanwhile
    like = next((library.store.picture(term.content) for term in wanted.terms if isinstance(term.content, int)), None)
    return phrase("found_like", language, name=like.name, found=found) if like else found[0].upper() + found[1:]


def language_hint(wanted: Wanted, library: Library, language: str) -> str:
    """That the encoder was not made for the language of the words, where that is so."""
    encoder = library.encoder
    words = " ".join(term.content for term in wanted.terms if isinstance(term.content, str))
    if encoder is None or not words:
        return ""
    spoken = "zh" if re.search(CHARACTER, words) else "en"
    if spoken in encoder.languages:
        return ""
    return phrase("not_its_language", language, encoder=encoder_name(library, language), spoken=phrase(f"language_{spoken}", language))
