"""Nearest neighbours of unit vectors by inner product, which is their cosine, with FAISS. Derived from the store, and lost without harm."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import faiss
import numpy as np

log = logging.getLogger(__name__)

Blocks = Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]  # of at most so many: ids int64 [n], vectors [n, dimension]

# Comparing 50,000 vectors of 512 numbers takes 2 ms of one core (4 as float32), and more in step with their number; lists take 0.3 ms then.
EXACT_MOST = 50_000
# From here on bytes matter more than what a longer shortlist costs: 520 a vector of 512 numbers in lists, 72 with product quantization.
LISTS_MOST = 4_000_000
TRAINED_LEAST = 1_000  # fewer vectors make no lists worth the name
GROWTH = 4  # lists that hold so many times what they were made for are too long
# For one query so many lists are looked at, at least, and so many vectors compared: a millisecond of one core. For more neighbours than
# USUAL they have to be more; of an allowed set, which may lie anywhere, they can be, as passing over the others is cheap.
PROBES, COMPARED, USUAL, COMPARED_ALLOWED = 48, 12_000, 64, 100_000
SAMPLE_PER_LIST, SAMPLE_MOST = 64, 262_144  # vectors to train with
ROUNDS = 10  # of k-means
TRAINING = 0.5  # of the time that building takes
BLOCK = 16_384  # vectors read at once
GPU_MOST = 2_048  # neighbours and lists that faiss's kernels take
BITMAP_MOST = 2**26  # ids up to here are looked up in a bitmap


class Index:
    """Ids (int64) and their vectors. Searches run at once, a change alone: faiss itself guards neither against the other.

    kind 'exact': every vector is compared, as float16, which is what the store holds. 'ivf': in lists by k-means, a byte a number.
    'ivfpq': in lists, eight numbers a byte. The scores of the last two are estimates.
    """

    def __init__(self, built: faiss.Index, kind: str, most: int):
        """`built`: an IndexIDMap for 'exact', an IndexIVF else. `most`: from more vectors than this on, it has been outgrown."""
        self.kind, self.most, self.dimension = kind, most, built.d
        self.version = 0  # counts its changes
        self._index = built
        self._copy: tuple[faiss.Index, object] | None = None  # on a GPU, and the resources it needs
        self._guard = _Guard()
        self._highest = int(self.ids().max(initial=-1))

    @classmethod
    def build(
        cls,
        kind: str | None,
        count: int,
        dimension: int,
        blocks: Blocks,
        progress: Callable[[float], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Index | None:
        """An index of all that `blocks` gives, three times over for lists; None if `stop` was set meanwhile.

        `kind` None chooses by `count`, about how many vectors there are. Besides itself it takes at most 800 MB, while it trains.
        `progress` is called with the part that is done, 0 to 1.
        """
        progress, stop = progress or (lambda part: None), stop or threading.Event()
        chosen, most = _choose(kind, count)
        built = _empty(chosen, count, dimension)
        if chosen == "exact":
            for ids, vectors in blocks(BLOCK):
                if stop.is_set():
                    break
                built.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids)
                progress(min(1.0, built.ntotal / max(count, 1)))
        else:
            sample = _sample(blocks, count, min(SAMPLE_PER_LIST * built.nlist, SAMPLE_MOST), dimension, stop)
            _train(built, sample, lambda part: progress(part * TRAINING), stop)
            del sample
            _fill(built, blocks, count, lambda part: progress(TRAINING + part * (1 - TRAINING)), stop)
        return None if stop.is_set() else cls(built, chosen, most)

    @classmethod
    def load(cls, read: Callable[[int], bytes], kind: str, most: int) -> Index:
        """What `dump` wrote; `read` gives the next so many bytes. Raises RuntimeError for bytes that are no index, and what `read` does."""
        return cls(faiss.read_index(faiss.PyCallbackIOReader(read)), kind, most)

    def dump(self, write: Callable[[bytes], object]) -> int:
        """Hand all of it to `write`, piece by piece; returns how many vectors that were. Raises what `write` does."""
        with self._guard.reading():
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(write))
            return len(self)

    def __len__(self) -> int:
        return self._index.ntotal

    @property
    def bytes(self) -> int:
        """The memory it takes, less what faiss keeps in reserve."""
        if self.kind == "exact":
            return len(self) * (2 * self.dimension + 8)
        return len(self) * (self._index.code_size + 8) + self.lists * self.dimension * 4

    @property
    def lists(self) -> int:
        """How many it has; 0 for 'exact'."""
        return 0 if self.kind == "exact" else self._index.nlist

    def probes(self, k: int) -> int:
        """How many lists are looked at for `k` neighbours of one query."""
        usual = max(PROBES, COMPARED * self.lists / max(1, len(self)))
        return min(self.lists, math.ceil(usual * math.sqrt(max(1.0, k / USUAL))))

    @property
    def outgrown(self) -> bool:
        """Whether it holds so many vectors that one made anew would be better."""
        return len(self) > self.most

    def ids(self) -> np.ndarray:
        """int64 [n]: every id, in no order."""
        with self._guard.reading():
            if self.kind == "exact":
                return faiss.vector_to_array(self._index.id_map)
            lists = self._index.invlists
            sizes = [(number, lists.list_size(number)) for number in range(lists.nlist)]
            parts = [faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in sizes if size]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Put `vectors` [n, dimension] in under `ids` (int64 [n], each once); what an id stood for before is replaced."""
        if not len(ids):
            return
        ids, vectors = np.ascontiguousarray(ids, np.int64), np.ascontiguousarray(vectors, np.float32)
        with self._guard.writing():
            known = ids[ids <= self._highest]  # looking for an id takes a walk through all of them, and a new row has a new number
            if len(known):
                self._index.remove_ids(known)
            self._index.add_with_ids(vectors, ids)
            self._highest = max(self._highest, int(ids.max()))
            self._changed()

    def remove(self, ids: np.ndarray) -> int:
        """Take `ids` out; returns how many were there."""
        known = np.ascontiguousarray(ids, np.int64)
        with self._guard.writing():
            known = known[known <= self._highest]
            removed = self._index.remove_ids(known) if len(known) else 0
            if removed:
                self._changed()
        return removed

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(scores float32 [q, k], best first; their ids int64 [q, k]); -inf and -1 where there are fewer than `k`.

        queries: [q, dimension], of unit length. `allowed`: int64 ids, the only ones that may come back.
        """
        queries = np.ascontiguousarray(queries, np.float32)
        if not len(self) or (allowed is not None and not len(allowed)):
            return np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1, np.int64)
        selector = None if allowed is None else _selector(allowed)
        # For one query threads cost more than they bring, above all where the machine is busy: all wait for the one that waits for a core.
        with self._guard.reading(), _threads(1 if len(queries) == 1 else faiss.omp_get_max_threads()):
            if self.kind == "exact":
                scores, ids = self._index.search(queries, k, params=faiss.SearchParameters(sel=selector))
            else:
                scores, ids = self._search_lists(queries, k, selector, len(self) if allowed is None else len(allowed))
        scores[ids < 0] = -np.inf
        return scores, ids

    def _search_lists(self, queries: np.ndarray, k: int, selector: faiss.IDSelector | None, count: int) -> tuple[np.ndarray, np.ndarray]:
        probes = self.probes(k)
        if selector is not None:
            probes = min(self.lists, max(probes, math.ceil(self.lists * COMPARED_ALLOWED / count)))
        on_gpu = self._copy and selector is None and max(k, probes) <= GPU_MOST
        index = self._copy[0] if on_gpu else self._index
        parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
        scores, ids = index.search(queries, k, params=parameters)
        if probes < self.lists and (ids < 0).any():
            parameters.nprobe = self.lists
            scores, ids = index.search(queries, k, params=parameters)
        return scores, ids

    def _changed(self) -> None:
        self.version += 1
        self._copy = None

    def accelerate(self) -> None:
        """Search lists on the first GPU from now on, where this faiss was built for one. The next change ends it."""
        if self.kind == "exact" or not faiss.get_num_gpus():
            return
        with self._guard.writing():
            try:
                resources = faiss.StandardGpuResources()
                self._copy = faiss.index_cpu_to_gpu(resources, 0, self._index), resources
            except RuntimeError as error:  # no memory left there, or a shape its kernels do not know
                log.warning("the index is searched on the CPU: %s", error)


def _choose(kind: str | None, count: int) -> tuple[str, int]:
    """(the kind for `count` vectors, the number from which on it has been outgrown)."""
    if kind == "exact":
        return kind, 2**62
    exact = TRAINED_LEAST if kind else EXACT_MOST
    if count <= exact:
        return "exact", exact
    if kind is None and count <= LISTS_MOST:
        return "ivf", min(GROWTH * count, LISTS_MOST)
    return kind or "ivfpq", GROWTH * count


def _empty(kind: str, count: int, dimension: int) -> faiss.Index:
    if kind == "exact":
        return faiss.index_factory(dimension, "IDMap,SQfp16", faiss.METRIC_INNER_PRODUCT)
    lists = 2 ** round(math.log2(4 * math.sqrt(count)))
    pieces = max(number for number in range(1, max(1, dimension // 8) + 1) if dimension % number == 0)
    codes = "SQ8" if kind == "ivf" else f"PQ{pieces}np"  # np: no minutes of training for Hamming distances, which nobody asks for
    return faiss.index_factory(dimension, f"IVF{lists},{codes}", faiss.METRIC_INNER_PRODUCT)


def _sample(blocks: Blocks, count: int, size: int, dimension: int, stop: threading.Event) -> np.ndarray:
    """About `size` of `count` vectors, float32, from everywhere."""
    rng = np.random.default_rng(0)
    sample, filled = np.empty((min(size, count), dimension), np.float32), 0
    for _, vectors in blocks(BLOCK):
        if stop.is_set() or filled == len(sample):
            break
        taken = min(len(sample) - filled, math.ceil(len(vectors) * size / count), len(vectors))
        sample[filled : filled + taken] = vectors[np.sort(rng.choice(len(vectors), taken, replace=False))]
        filled += taken
    return sample[:filled]


def _train(index: faiss.IndexIVF, sample: np.ndarray, progress: Callable[[float], None], stop: threading.Event) -> None:
    """k-means, then the quantizer. Each round is a call of its own, as faiss heeds nobody within one."""
    parameters = faiss.ClusteringParameters()
    parameters.niter = 1
    parameters.spherical = True  # for inner products
    parameters.min_points_per_centroid = 1  # no warning
    parameters.max_points_per_centroid = len(sample)  # none left out
    if isinstance(index, faiss.IndexIVFPQ):
        index.pq.cp.min_points_per_centroid = 1
    clustering = faiss.Clustering(index.d, index.nlist, parameters)
    for turn in range(ROUNDS):
        if stop.is_set():
            return
        clustering.train(sample, index.quantizer)
        progress((turn + 1) / (ROUNDS + 1))
    index.train(sample)


def _fill(index: faiss.IndexIVF, blocks: Blocks, count: int, progress: Callable[[float], None], stop: threading.Event) -> None:
    """Put all in, once it is known how long each list will be: one that grows keeps up to as much again in reserve."""
    seen, belongs, done = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for ids, vectors in blocks(BLOCK):
        if stop.is_set():
            return
        seen.append(ids)
        belongs.append(index.quantizer.assign(np.ascontiguousarray(vectors, np.float32), 1)[:, 0])
        done += len(ids)
        progress(min(1.0, 0.8 * done / count))
    known, lists = np.concatenate(seen), np.concatenate(belongs)
    for number, size in enumerate(np.bincount(lists, minlength=index.nlist)):
        index.invlists.resize(number, int(size))
        index.invlists.resize(number, 0)
    for ids, vectors in blocks(BLOCK):
        if stop.is_set():
            return
        places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        there = known[places] == ids  # what came in between the two walks is left to whoever follows the changes
        own, rows = np.ascontiguousarray(ids[there]), np.ascontiguousarray(vectors[there], np.float32)
        place = np.ascontiguousarray(lists[places[there]])
        index.add_core(len(own), faiss.swig_ptr(rows), faiss.swig_ptr(own), faiss.swig_ptr(place))
        progress(0.8 + 0.2 * min(1.0, index.ntotal / count))


def _selector(allowed: np.ndarray) -> faiss.IDSelector:
    """A bit for each id where ids are small, as the rows of a table are: quicker made and read than a set."""
    if allowed.min() < 0 or allowed.max() >= BITMAP_MOST:
        return faiss.IDSelectorBatch(np.ascontiguousarray(allowed, np.int64))
    marks = np.zeros(int(allowed.max()) + 1, bool)
    marks[allowed] = True
    return faiss.IDSelectorBitmap(np.packbits(marks, bitorder="little"))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


class _Guard:
    """Any number of readers, or one writer."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._readers, self._writers = 0, 0  # writers: at work or waiting
        self._turn = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._free:
            while self._writers:  # also one that waits, or searches that overlap would keep it out
                self._free.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._free:
                self._readers -= 1
                self._free.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._free:
            self._writers += 1
        try:
            with self._turn:
                with self._free:
                    while self._readers:
                        self._free.wait()
                yield
        finally:
            with self._free:
                self._writers -= 1
                self._free.notify_all()
