"""A second look at the best pictures of a search: the cross-attention model puts them into its own order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from multimodal.errors import UserError
from multimodal.retrieval.query import Query
from multimodal.retrieval.records import Picture
from multimodal.retrieval.search import Found, Hit

if TYPE_CHECKING:  # it brings torch
    from multimodal.retrieval.reranker import Reranker

log = logging.getLogger(__name__)

# Pictures that are looked at twice. At 384 pixels BLIP's base model takes half a second for each on two cores that multiply bfloat16, and a
# second on others: 10 to 20 seconds in all are as long as anybody waits for a search.
RERANKED = 20
PATIENCE_SECONDS = 120.0  # for a model that another thread is loading


class SecondLook:
    """The model is loaded at the first look; where that failed, each later look is told why. Any thread may look."""

    def __init__(self, path: str, device: str, image: Callable[[Picture, int], Image.Image]):
        """`path`: a model's folder or hub name, which computes on `device`. `image`: a picture in RGB, with so many pixels on its shorter
        side where it has them; raises UserError or OSError where it cannot be had."""
        self.path, self.device = path, device
        self._image = image
        self._reranker: Reranker | None = None
        self._failure: UserError | None = None
        self._closed = False
        self._loading = threading.Lock()  # held as long as loading takes
        self._changing = threading.Lock()  # the model, and whether all is closed, change within it

    def find(self, query: Query, find: Callable[[Query], Found]) -> Found:
        """What `find` finds, but the RERANKED best by how likely the words describe them; those that cannot be seen any more follow them.

        Only words are read so, without their weights: with a picture or a minus among the terms, or sorted by anything but likeness, all
        stays as it was found. Raises UserError.
        """
        if query.sort != "likeness" or any(not isinstance(term.content, str) or term.weight < 0 for term in query.terms):
            return find(query)
        reranker = self._loaded()
        found = find(replace(query, count=max(query.count, RERANKED)))
        words = ", ".join(term.content for term in query.terms if term.weight > 0)
        best = self._ordered(reranker, words, found.hits[:RERANKED])
        return replace(found, hits=(*best, *found.hits[RERANKED:])[: query.count])

    def close(self) -> None:
        """Let go of the model. One that is still being loaded is let go of then."""
        with self._changing:
            self._closed = True
            reranker, self._reranker = self._reranker, None
        if reranker:
            reranker.close()

    def _ordered(self, reranker: Reranker, words: str, hits: Sequence[Hit]) -> list[Hit]:
        seen, unseen, prepared = [], [], []
        for hit in hits:
            try:
                prepared.append(reranker.prepare(self._image(hit.picture, reranker.side)))
                seen.append(hit)
            except (UserError, OSError):
                unseen.append(hit)
        likely = reranker.scores([words], prepared)[0].tolist()
        order = sorted(range(len(seen)), key=lambda place: -likely[place])
        return [*(replace(seen[place], match=round(likely[place], 4)) for place in order), *unseen]

    def _loaded(self) -> Reranker:
        if not self._loading.acquire(timeout=PATIENCE_SECONDS):
            raise UserError("cross_loading")
        try:
            if self._failure:
                raise self._failure.anew()
            reranker = self._reranker
            return self._load() if reranker is None else reranker
        finally:
            self._loading.release()

    def _load(self) -> Reranker:
        from multimodal.retrieval.reranker import load_reranker

        began = time.monotonic()
        try:
            reranker = load_reranker(self.path, self.device)
        except UserError as error:
            self._failure = error
            log.error("%s", error)
            raise
        with self._changing:
            if not self._closed:
                self._reranker = reranker
                log.info("The cross-attention model %s is ready after %.1f s", reranker.name, time.monotonic() - began)
                return reranker
        reranker.close()
        raise UserError("library_closed")
