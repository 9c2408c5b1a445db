"""Keeps an index in line with the store, and answers from both: the index is quick, the store is the truth."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from multimodal.retrieval import index_file
from multimodal.retrieval.index import BLOCK, TRAINED_LEAST, Index
from multimodal.retrieval.records import Changes

log = logging.getLogger(__name__)

# What lists and codes lose is found again in a shortlist whose vectors are compared as they are: (times k, at least).
SHORTLIST = {"ivf": (2, 32), "ivfpq": (8, 128)}
K_MOST = 2_000  # more results than this come from a walk through the store
ALLOWED_FEW = 20_000  # so many vectors are read from the store one by one sooner than by a walk through it
QUERIES = 256  # answered at once, which bounds what their shortlists take
CHECKED = 100  # vectors that `check` compares
OFF = {"exact": 0.001, "ivf": 0.1, "ivfpq": 0.4}  # a score of the index may be off by so much: by half of it, as measured, or less


class Source(Protocol):
    """The vectors of one kind in one space, in the store; unit length, float16."""

    space: str
    kind: str
    dimension: int

    def sequence(self) -> int:
        """The number of the last committed change."""

    def count(self) -> int:
        """How many vectors there are."""

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids int64 [n], vectors float16 [n, dimension]) of all, `size` at most at once, in ascending order of the ids."""

    def vectors(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(the ones of `ids` that are there, int64 [n], ascending; their vectors float16 [n, dimension])."""

    def changes(self, since: int) -> Changes | None:
        """What came and went after the sequence number `since`; None where that is no longer known."""


@dataclass(frozen=True)
class Discrepancy:
    """Ids (ascending) with which the index is wrong. what: 'missing' from it, 'surplus' in it, or 'different' vectors."""

    what: str
    ids: tuple[int, ...]


class Keeper:
    """Searches from any thread. What is committed in the store before a search begins counts in it."""

    def __init__(self, source: Source, folder: Path | None, read_only: bool = False, kind: str | None = None):
        """`folder`: of the index files; None keeps none. `read_only`: read them alone. `kind`: of the index, chosen by size for None."""
        self.source, self.read_only, self.kind = source, read_only, kind
        self.path = index_file.path_of(folder, source.space, source.kind) if folder else None
        self._lock = threading.RLock()  # over the three that follow
        self._index: Index | None = None
        self._sequence = -1  # up to which the index has followed the store
        self._saved: int | None = None  # the version of it that is in the file
        self._saving = threading.Lock()
        self._builder: threading.Thread | None = None
        self._stop = threading.Event()
        self._progress = 0.0

    def open(self) -> None:
        """Read the file and follow what happened since; where that cannot be, an index is made anew in the background."""
        with self._lock:
            try:
                if self.path is None:
                    raise index_file.IndexUnusable("none is kept")
                index, sequence = index_file.read(self.path, self.source.space, self.source.kind, self.source.dimension)
                if self.kind not in (None, index.kind) and len(index) > TRAINED_LEAST:
                    raise index_file.IndexUnusable(f"of kind {index.kind}, not {self.kind}")
                version = index.version
                reached = self._follow(index, sequence)
                agrees = len(index) == self.source.count()
                if reached is None or not (agrees or self.source.sequence() != reached):  # another process may just have committed
                    raise index_file.IndexUnusable("out of date")
            except index_file.IndexUnusable as error:
                log.info("the index of %s vectors is made anew: %s", self.source.kind, error)
                self.rebuild()
                return
            self._saved = version
            self._use(index, reached)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(cosines float32 [q, k], best first; their ids int64 [q, k]); -inf and -1 where there are fewer than `k`.

        queries: float32 [q, dimension], of unit length. `allowed`: int64 ids, the only ones that may come back. The cosines are exact;
        lists may miss a neighbour.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        self.catch_up()
        index = self._index
        if index and index.kind == "exact":
            return index.search(queries, k, allowed)
        times, least = SHORTLIST[index.kind] if index else (0, ALLOWED_FEW)
        size = max(times * k, least)
        if allowed is not None and len(allowed) <= size:
            return _best(queries, *self.source.vectors(allowed), k)
        if index is None or k > K_MOST:
            return self._walk(queries, k, allowed)
        if len(queries) == 1:
            candidates = index.search(queries, size, allowed)[1][0]
            return _best(queries, *self.source.vectors(candidates[candidates >= 0]), k)
        starts = range(0, len(queries), QUERIES)
        parts = [self._shortlisted(index, queries[start : start + QUERIES], k, size, allowed) for start in starts]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([ids for _, ids in parts])

    def catch_up(self) -> None:
        """Follow what was committed in the store since. Next to nothing where nothing was."""
        if self._index is None or self.source.sequence() == self._sequence:
            return
        with self._lock:
            index = self._index
            if index is None or self.source.sequence() == self._sequence:  # another thread was faster
                return
            reached = self._follow(index, self._sequence)
            if reached is None:
                self._index = None
                self.rebuild()
            else:
                self._use(index, reached)

    def rebuild(self) -> None:
        """Make the index anew in the background. The one that is there, if any, goes on answering."""
        self._start_building()

    def wait(self, seconds: float | None = None) -> bool:
        """Until no index is being built; False if it took longer than `seconds`."""
        builder = self._builder
        if builder:
            builder.join(seconds)
        return not self._building

    def save(self) -> None:
        """Write the file if the index changed since. Where that cannot be, the log says so: nothing is lost but the time to make it."""
        with self._saving:
            with self._lock:
                index, sequence = self._index, self._sequence
                if self.path is None or self.read_only or index is None or self._saved == index.version:
                    return
                version = index.version
            try:
                # What is added meanwhile may be in it already: following the store twice does no harm.
                index_file.write(self.path, index, self.source.space, self.source.kind, sequence)
            except OSError as error:
                log.warning("the index could not be written: %s", error)
                return
            with self._lock:
                if self._index is index:
                    self._saved = version
            index.accelerate()

    def close(self) -> None:
        """Give up building (within a few seconds, at millions), and save."""
        self._stop.set()
        self.wait()
        self.save()
        self._index = None

    @property
    def state(self) -> str:
        """'ready' (an index answers), 'building' (one is being made, while an older one answers, if any), 'exact' (there is none)."""
        return "building" if self._building else "ready" if self._index else "exact"

    @property
    def progress(self) -> float:
        """Of the building, 0 to 1."""
        return self._progress

    @property
    def index(self) -> Index | None:
        """What answers now; None while the store itself does."""
        return self._index

    def check(self) -> list[Discrepancy]:
        """What is wrong with the index, by every id and a sample of vectors; nothing, if there is none. Reads all of the store."""
        self.catch_up()
        with self._lock:
            index, sequence = self._index, self._sequence
            if index is None:
                return []
            held = index.ids()
        stored, different = [], []
        share = CHECKED / max(len(held), 1)
        rng = np.random.default_rng()
        for ids, vectors in self.source.blocks(BLOCK):
            stored.append(ids)
            for row in np.flatnonzero(rng.random(len(ids)) < share):
                vector = vectors[row].astype(np.float32)
                score = index.search(vector[None], 1, ids[row : row + 1])[0][0, 0]
                if np.isfinite(score) and abs(score - vector @ vector) > OFF[index.kind]:
                    different.append(ids[row])
        there = np.concatenate(stored) if stored else np.empty(0, np.int64)
        unique, times = np.unique(held, return_counts=True)
        found = {
            "missing": np.setdiff1d(there, held),
            "surplus": np.union1d(np.setdiff1d(held, there), unique[times > 1]),
            "different": np.array(different, np.int64),
        }
        changed = self.source.changes(sequence)  # these were at work meanwhile
        if changed is None:
            return []
        moved = np.concatenate([changed.added, changed.removed])
        left = {what: np.setdiff1d(ids, moved) for what, ids in found.items()}
        return [Discrepancy(what, tuple(ids.tolist())) for what, ids in left.items() if len(ids)]

    @property
    def _building(self) -> bool:
        return self._builder is not None and self._builder.is_alive()

    def _start_building(self) -> None:
        with self._lock:
            if self._builder is None or not self._builder.is_alive():
                self._progress = 0.0
                self._builder = threading.Thread(target=self._build, name=f"index of {self.source.kind} vectors", daemon=True)
                self._builder.start()

    def _use(self, index: Index, sequence: int) -> None:
        self._index, self._sequence = index, sequence
        if index.outgrown:  # which is nothing wrong with it
            self._start_building()

    def _follow(self, index: Index, since: int) -> int | None:
        """Bring `index` from one sequence number to the present one, which is returned; None where the log does not go back that far."""
        changes = self.source.changes(since)
        if changes is None:
            return None
        index.remove(changes.removed)
        for start in range(0, len(changes.added), BLOCK):
            index.add(*self.source.vectors(changes.added[start : start + BLOCK]))  # one that is gone again is among the next changes
        return changes.sequence

    def _build(self) -> None:
        try:
            while not self._stop.is_set():
                sequence = self.source.sequence()
                index = Index.build(self.kind, self.source.count(), self.source.dimension, self.source.blocks, self._report, self._stop)
                if index is None:
                    return
                reached = self._follow(index, sequence)  # the bulk of it, while others search
                with self._lock:
                    reached = None if reached is None else self._follow(index, reached)
                    if reached is None:
                        continue  # the log has been cut: again
                    self._saved = None
                    self._use(index, reached)
                index.accelerate()
                self.save()
                return
        except Exception:  # a thread has nobody to tell; searches go on, with the store itself
            log.exception("the index could not be made")

    def _report(self, part: float) -> None:
        self._progress = part

    def _shortlisted(
        self, index: Index, queries: np.ndarray, k: int, size: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best of `size` candidates for each, by their vectors in the store; what is no longer there drops out."""
        _, candidates = index.search(queries, size, allowed)
        ids, vectors = self.source.vectors(np.unique(candidates[candidates >= 0]))
        parts = []
        for query, own in zip(queries, candidates, strict=True):
            rows = np.flatnonzero(np.isin(ids, own))
            parts.append(_best(query[None], ids[rows], vectors[rows], k))
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([best for _, best in parts])

    def _walk(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Every vector in the store compared."""
        scores = np.full((len(queries), k), -np.inf, np.float32)
        best = np.full((len(queries), k), -1, np.int64)
        for ids, vectors in self.source.blocks(BLOCK):
            if allowed is not None:
                kept = np.isin(ids, allowed)
                ids, vectors = ids[kept], vectors[kept]
            more, new = _best(queries, ids, vectors, k)
            scores, best = np.concatenate([scores, more], 1), np.concatenate([best, new], 1)
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores, best = np.take_along_axis(scores, order, 1), np.take_along_axis(best, order, 1)
        return scores, best


def _best(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best of these for each of the queries: (scores float32 [q, k], ids int64 [q, k]), filled up with -inf and -1."""
    scores = np.full((len(queries), k), -np.inf, np.float32)
    best = np.full((len(queries), k), -1, np.int64)
    count = min(k, len(ids))
    for row, every in enumerate(queries @ vectors.astype(np.float32).T):
        if 10 * k < len(ids):
            top = np.argpartition(-every, k - 1)[:k]
            top = top[np.argsort(-every[top])]
        else:
            top = np.argsort(-every)[:k]
        scores[row, :count], best[row, :count] = every[top], ids[top]
    return scores, best
