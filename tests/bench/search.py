"""The library's index beside raw faiss of the same kind: one query's time, recall, memory, opening, adding and removing.

Vectors like an encoder's, of 512 numbers: 2,000 clusters, which overlap, with centres in a random subspace of 64 dimensions, where the
variances fall as 1, 1/2, 1/3 ... 1/64; around each centre a Gaussian of 0.8 times that shape; noise in all 512 dimensions, 0.4 long; a
mean that all share; brought to unit length and rounded to float16. The cosine of two random ones is 0.3 to 0.4, of one to its nearest in a
million 0.83. The queries are further ones of the same kind, that is pictures: words lie elsewhere, and no claim is made for them.

The store is stood in for by a file of float16 in memory's cache: SQLite would add what 64 rows by their keys take, 0.3 ms. Both sides run
on one thread and are asked in turn, query by query.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import psutil

from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.records import Changes

DIMENSION, SUBSPACE, CLUSTERS, SPREAD, NOISE = 512, 64, 2_000, 0.8, 0.4
BLOCK = 20_000
K, CHANGED, WARM = 10, 1_000, 30
FACTORY = {"exact": "IDMap,SQfp16", "ivf": "IVF{lists},SQ8", "ivfpq": "IVF{lists},PQ64np"}
PER_LIST = 64  # vectors that raw faiss is trained with


def made(count: int, seed: int) -> np.ndarray:
    """`count` vectors, float16 [count, DIMENSION], of the one world."""
    world = np.random.default_rng(0)
    shape = np.sqrt(1 / np.arange(1, SUBSPACE + 1))
    shape = (shape / np.linalg.norm(shape)).astype(np.float32)
    axes = np.linalg.qr(world.standard_normal((DIMENSION, SUBSPACE)))[0].T.astype(np.float32)
    mean = world.standard_normal(SUBSPACE, np.float32) * shape
    centres = world.standard_normal((CLUSTERS, SUBSPACE), np.float32) * shape + mean
    rng = np.random.default_rng((1, seed))
    inner = centres[rng.integers(0, CLUSTERS, count)] + SPREAD * rng.standard_normal((count, SUBSPACE), np.float32) * shape
    vectors = inner @ axes + rng.standard_normal((count, DIMENSION), np.float32) * np.float32(NOISE / DIMENSION**0.5)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


class Stored:
    """A `keeper.Source`: rows of a file by their numbers, the first `count` of them at first."""

    space, kind, dimension = "bench", "picture", DIMENSION

    def __init__(self, folder: Path, count: int):
        self.rows = np.asarray(np.load(folder / "vectors.npy", mmap_mode="r"))
        self.there = np.zeros(len(self.rows), bool)
        self.there[:count] = True
        self.log: list[Changes] = []

    def change(self, added: np.ndarray, removed: np.ndarray) -> None:
        self.there[added], self.there[removed] = True, False
        self.log.append(Changes(added, removed, len(self.log) + 1))

    def sequence(self) -> int:
        return len(self.log)

    def count(self) -> int:
        return int(self.there.sum())

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        ids = np.flatnonzero(self.there)
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            yield part, self.rows[part[0] : part[-1] + 1][part - part[0]]

    def vectors(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = np.sort(ids[self.there[ids]])
        return found, self.rows[found]

    def changes(self, since: int) -> Changes:
        if since == len(self.log):
            return Changes(np.empty(0, np.int64), np.empty(0, np.int64), since)
        (last,) = self.log[since:]
        return last


def memory() -> int:
    """Bytes of this process, without what it maps from files."""
    now = psutil.Process().memory_info()
    return now.rss - getattr(now, "shared", 0)


def prepare(folder: Path, count: int, queries: int) -> None:
    """vectors.npy with CHANGED more than `count`, queries.npy, and nearest.npy, by comparing all."""
    asked = made(queries, seed=0).astype(np.float32)
    rows = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count + CHANGED, DIMENSION))
    rows[count:] = made(CHANGED, seed=1)
    scores, nearest = np.empty((queries, 0), np.float32), np.empty((queries, 0), np.int64)
    for number, start in enumerate(range(0, count, BLOCK)):
        block = made(min(BLOCK, count - start), seed=2 + number)
        rows[start : start + len(block)] = block
        scores = np.concatenate([scores, asked @ block.astype(np.float32).T], 1)
        nearest = np.concatenate([nearest, np.broadcast_to(np.arange(start, start + len(block)), (queries, len(block)))], 1)
        best = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        scores, nearest = np.take_along_axis(scores, best, 1), np.take_along_axis(nearest, best, 1)
    rows.flush()
    np.save(folder / "queries.npy", asked)
    np.save(folder / "nearest.npy", nearest)


def build(folder: Path, count: int, kind: str | None) -> float:
    """Seconds until our index is built and saved."""
    keeper = Keeper(Stored(folder, count), folder, kind=kind)
    began = time.monotonic()
    keeper.open()
    keeper.wait()
    seconds = time.monotonic() - began
    keeper.close()
    return seconds


def build_raw(folder: Path, count: int, kind: str, lists: int) -> float:
    """Seconds until faiss alone has trained and filled one of the same kind, which lies in raw.faiss then."""
    rows = np.load(folder / "vectors.npy", mmap_mode="r")
    began = time.monotonic()
    index = faiss.index_factory(DIMENSION, FACTORY[kind].format(lists=lists), faiss.METRIC_INNER_PRODUCT)
    if lists:
        sample = np.random.default_rng(0).choice(count, min(count, PER_LIST * lists), replace=False)
        index.train(rows[np.sort(sample)].astype(np.float32))
    for start in range(0, count, BLOCK):
        ids = np.arange(start, min(start + BLOCK, count))
        index.add_with_ids(rows[ids].astype(np.float32), ids)
    seconds = time.monotonic() - began
    faiss.write_index(index, str(folder / "raw.faiss"))
    return seconds


def open_ours(folder: Path, count: int, kind: str | None) -> tuple[Keeper, dict]:
    """The keeper on the index that was built, and what opening took."""
    source = Stored(folder, count)
    source.rows.sum(dtype=np.float32)  # into memory's cache
    before, began = memory(), time.monotonic()
    keeper = Keeper(source, folder, read_only=True, kind=kind)
    keeper.open()
    figures = {"open_s": time.monotonic() - began, "memory_bytes": memory() - before}
    assert keeper.state == "ready"
    return keeper, figures


def look(folder: Path, count: int, kind: str | None) -> dict[str, object]:
    """What kind of index was built, and its figures but for those of raw faiss."""
    keeper, figures = open_ours(folder, count, kind)
    figures |= {"kind": keeper.index.kind, "lists": keeper.index.lists, "probes": keeper.index.probes(K), "index_bytes": keeper.index.bytes}
    new = np.arange(count, count + CHANGED)
    old = np.random.default_rng(0).choice(count, CHANGED, replace=False)
    for name, added, removed in (("add_s", new, new[:0]), ("remove_s", old[:0], old)):
        keeper.source.change(added, removed)
        began = time.monotonic()
        keeper.catch_up()
        figures[name] = time.monotonic() - began
    assert keeper.check() == []
    return figures


def ask(folder: Path, count: int, kind: str | None) -> dict[str, float]:
    """Ours and raw faiss in turn, query by query."""
    keeper, _ = open_ours(folder, count, kind)
    raw = faiss.read_index(str(folder / "raw.faiss"))
    if isinstance(raw, faiss.IndexIVF):
        raw.nprobe = keeper.index.probes(K)
    faiss.omp_set_num_threads(1)
    asked, nearest = np.load(folder / "queries.npy"), np.load(folder / "nearest.npy")
    times: dict[str, list[float]] = {"ours": [], "raw": []}
    found: dict[str, list[np.ndarray]] = {"ours": [], "raw": []}
    for number in range(-WARM, len(asked)):
        query = asked[number : number + 1] if number >= 0 else asked[-number : 1 - number]
        for name, search in (("ours", keeper.search), ("raw", raw.search)):
            began = time.perf_counter()
            _, ids = search(query, K)
            seconds = time.perf_counter() - began
            if number >= 0:
                times[name].append(seconds)
                found[name].append(ids[0])
    figures: dict[str, float] = {"ratio": statistics.median(times["ours"]) / statistics.median(times["raw"])}
    for name in times:
        figures[f"{name}_p50_ms"] = 1000 * float(np.percentile(times[name], 50))
        figures[f"{name}_p95_ms"] = 1000 * float(np.percentile(times[name], 95))
        figures[f"{name}_recall"] = float(np.mean([np.isin(*both).mean() for both in zip(nearest, found[name], strict=True)]))
    return figures


def alone(step, *arguments):
    """The step in a process of its own, so that no other's memory counts in it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(step, *arguments).result()


def measure(count: int, kind: str | None, queries: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as made_here:
        folder = Path(made_here)
        alone(prepare, folder, count, queries)
        figures = {"count": count, "build_s": alone(build, folder, count, kind)}
        figures |= alone(look, folder, count, kind)
        figures["raw_build_s"] = alone(build_raw, folder, count, figures["kind"], figures["lists"])
        return figures | alone(ask, folder, count, kind)


def row_of(figures: dict) -> str:
    cells = (
        f"{figures['count']:,}",
        figures["kind"] + (f", {figures['probes']} of {figures['lists']} lists" if figures["lists"] else ""),
        f"{figures['ours_p50_ms']:.2f} ms",
        f"{figures['ours_p95_ms']:.2f} ms",
        f"{figures['raw_p50_ms']:.2f} ms",
        f"{figures['ratio']:.2f}",
        f"{figures['ours_recall']:.3f}",
        f"{figures['raw_recall']:.3f}",
        f"{figures['memory_bytes'] / 1e6:.0f} MB",
        f"{figures['open_s']:.2f} s",
        f"{figures['add_s'] * 1000:.0f} ms",
        f"{figures['remove_s'] * 1000:.0f} ms",
        f"{figures['build_s']:.0f} s",
        f"{figures['raw_build_s']:.0f} s",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kind", choices=tuple(FACTORY), help="chosen by the count if not given")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(f"{DIMENSION} numbers a vector, {arguments.queries} queries, k {K}, {os.cpu_count()} cores\n")
    names = ("vectors", "index", "p50", "p95", "raw p50", "to raw", "recall@10", "raw recall", "memory", "open")
    names += (f"add {CHANGED:,}", f"remove {CHANGED:,}", "build", "raw build")
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    every = []
    for count in arguments.count:
        every.append(measure(count, arguments.kind, arguments.queries))
        print(row_of(every[-1]), flush=True)
    if arguments.json:
        print(json.dumps(every))


if __name__ == "__main__":
    main()
