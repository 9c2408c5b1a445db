"""Words and pictures into the library's pictures and captions, by the vectors of one encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from multimodal.errors import UserError
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.query import MOST_RESULTS, Query, Term
from multimodal.retrieval.records import Caption, Picture
from multimodal.retrieval.store import Store
from multimodal.retrieval.words import match

if TYPE_CHECKING:  # it brings torch
    from multimodal.retrieval.encoder import Encoder


@dataclass(frozen=True)
class Hit:
    """A picture that was found.

    `score`: the weighted mean cosine to what was asked, less what was to be away; None where only a filter was given. `by_words`: its name
    or a caption has every word of the query. `match`: how likely the words describe it, from 0 to 1; None where it was not looked at twice.
    """

    picture: Picture
    score: float | None
    by_words: bool = False
    match: float | None = None


@dataclass(frozen=True)
class CaptionHit:
    """A caption that was found, and its cosine to the picture."""

    caption: Caption
    score: float


@dataclass(frozen=True)
class Found:
    """What a search came to. `at_least`: the likeness it took. `nearest`: the best there was, also where it was not enough.

    What a minus takes away is never the nearest.
    """

    hits: tuple[Hit, ...]
    at_least: float | None = None
    nearest: float | None = None


class Search:
    """Over one store, with one encoder and the keepers of its two kinds of vectors."""

    def __init__(self, store: Store, encoder: Encoder, pictures: Keeper, captions: Keeper):
        self.store, self.encoder, self.pictures, self.captions = store, encoder, pictures, captions

    def find(self, query: Query) -> Found:
        """The pictures that `query` asks for. Raises UserError."""
        allowed = self.store.ids(query.filter) if query.filter else None
        if allowed is not None and not len(allowed):
            return Found(())
        plus = self._sum(query, 1)
        minus = self._sum(query, -1)
        towards = plus - minus
        length = float(np.linalg.norm(towards))
        at_least = self._at_least(query)
        if not length:  # all was taken away again
            return Found((), at_least)
        # by date or name: whatever is alike enough, then sorted; by likeness: the first ones, and more where some will be left out
        wide = query.count if query.sort == "likeness" and not minus.any() else MOST_RESULTS
        own = {term.content for term in query.terms if isinstance(term.content, int) and term.weight > 0}
        _, near = self.pictures.search(towards[None] / length, wide + len(own), allowed)
        ids = np.setdiff1d(near[near >= 0], np.array(list(own), np.int64))
        by_words = np.setdiff1d(self._by_words(query), np.array(list(own), np.int64))
        ids, vectors = self.pictures.source.vectors(np.union1d(ids, by_words))
        if not len(ids):
            return Found((), at_least)
        vectors = vectors.astype(np.float32)
        likeness, unlike = vectors @ plus, vectors @ minus
        # whatever is more like what is to be away than like what was asked for has it
        wanted = likeness > unlike if minus.any() else np.ones(len(ids), bool)
        kept = wanted & ((likeness >= at_least) | np.isin(ids, by_words))
        score = dict(zip(ids[kept].tolist(), (likeness - unlike)[kept].tolist(), strict=True))
        named = set(by_words.tolist())
        pictures = [picture for picture in self.store.pictures(sorted(score, key=lambda id: -score[id])) if not picture.removed]
        hits = [Hit(picture, round(score[picture.id], 4), picture.id in named) for picture in pictures]
        nearest = round(float(likeness[wanted].max()), 4) if wanted.any() else None
        return Found(tuple(sort_hits(hits, query.sort)[: query.count]), at_least, nearest)

    def captions_of(self, picture: Term, count: int) -> list[CaptionHit]:
        """The `count` captions in the library that are nearest to a picture, each wording once."""
        # the same words often stand under several pictures
        scores, ids = self.captions.search(self._vector(picture)[None], min(MOST_RESULTS, 8 * count))
        found, seen = [], set()
        score_of = {int(id): float(score) for id, score in zip(ids[0], scores[0], strict=True) if id >= 0}
        for caption in self.store.captions(score_of):
            if caption.text not in seen:
                seen.add(caption.text)
                found.append(CaptionHit(caption, round(score_of[caption.id], 4)))
        return found[:count]

    def _vector(self, term: Term) -> np.ndarray:
        """Unit vector, float32 [dimension]."""
        if isinstance(term.content, str):
            return self.encoder.encode_texts([term.content])[0]
        if isinstance(term.content, int):
            found, vectors = self.pictures.source.vectors(np.array([term.content]))
            if not len(found):
                picture = self.store.picture(term.content)
                raise UserError("picture_gone" if picture is None or picture.removed else "picture_waiting", id=term.content)
            return vectors[0].astype(np.float32)
        return self.encoder.encode_pictures([term.content])[0]

    def _at_least(self, query: Query) -> float:
        if query.at_least is not None:
            return query.at_least
        shares = [
            (term.weight, self.encoder.matches_from if isinstance(term.content, str) else self.encoder.alike_from)
            for term in query.terms
            if term.weight > 0
        ]
        return sum(weight * least for weight, least in shares) / sum(weight for weight, _ in shares)

    def _by_words(self, query: Query) -> np.ndarray:
        """int64 [n]: the pictures whose name or captions have every word that was typed, of those the filter leaves."""
        # whoever knows the words means these
        terms = [term for term in query.terms if term.weight > 0]
        words = " ".join(term.content for term in terms if isinstance(term.content, str))
        if query.at_least is not None or not match(words) or any(not isinstance(term.content, str) for term in terms):
            return np.empty(0, np.int64)
        return self.store.ids(replace(query.filter, text=f"{query.filter.text} {words}"), limit=MOST_RESULTS)

    def _sum(self, query: Query, sign: int) -> np.ndarray:
        """float32 [dimension]: the terms of one sign by their weights, in parts of all that is asked for."""
        total = np.zeros(self.encoder.dimension, np.float32)
        for term in query.terms:
            if term.weight * sign > 0:
                total += abs(term.weight) * self._vector(term)
        return total / sum(term.weight for term in query.terms if term.weight > 0)


def sort_hits(hits: list[Hit], sort: str) -> list[Hit]:
    """`hits` in the order of 'likeness', 'newest', 'oldest' or 'name'."""
    if sort == "likeness":
        return sorted(hits, key=lambda hit: -(hit.score or 0))
    if sort == "name":
        return sorted(hits, key=lambda hit: hit.picture.name.casefold())
    return sorted(hits, key=lambda hit: hit.picture.taken, reverse=sort == "newest")
