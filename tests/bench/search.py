"""The library's index beside raw faiss of the same kind: one query's time, recall, memory, opening, adding and removing.

Vectors like an encoder's, of 512 numbers: 2,000 clusters, which overlap, with centres in a random subspace of 64 dimensions, where the
variances fall as 1, 1/2, 1/3 ... 1/64; around each centre a Gaussian of 0.8 times that shape; noise in all 512 dimensions, 0.4 long; a
mean that all share; brought to unit length and rounded to float16. The cosine of two random ones is 0.3 to 0.4, of one to its nearest in a
million 0.83. The queries are further ones of the same kind, that is pictures: words lie elsewhere, and no claim is made for them.

The vectors of the shortlist are read from the library's own SQLite file, which lies in memory's cache; adding and removing count from the
call of the store to the index that follows. Raw faiss looks at a third more lists, with which it comes as near as it can to our recall.
Both sides run on one thread and are asked in turn, query by query.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import psutil

from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.records import NewPicture, Place
from multimodal.retrieval.store import Store, open_store
from multimodal.retrieval.vectors import VectorTable

DIMENSION, SUBSPACE, CLUSTERS, SPREAD, NOISE = 512, 64, 2_000, 0.8, 0.4
BLOCK = 20_000
K, CHANGED, WARM = 10, 1_000, 30
FACTORY = {"exact": "IDMap,SQfp16", "ivf": "IVF{lists},SQ8", "ivfpq": "IVF{lists},PQ64np"}
MORE_LISTS = 4 / 3  # for raw faiss
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


def source_in(folder: Path) -> VectorTable:
    """The library's vectors, numbered from 1 in the order of vectors.npy."""
    return open_store(folder).vectors("bench", "picture", DIMENSION)


def fill(folder: Path, rows: np.ndarray) -> None:
    """A library with a picture for each of `rows`. What else the store keeps of a picture is as little as can be."""
    store = open_store(folder)
    table = store.vectors("bench", "picture", DIMENSION)
    for start in range(0, len(rows), BLOCK):
        ids = range(start + 1, min(start + BLOCK, len(rows)) + 1)
        with store.database.writing() as connection:
            connection.executemany(
                "INSERT INTO pictures VALUES (?, ?, 'a.jpg', 1, 1, 1, 0, 0, '{}', x'', 0, NULL)", ((id, f"{id:064x}") for id in ids)
            )
            table.put(ids, rows[start : start + len(ids)])
    store.database.close()


def new_pictures(vectors: np.ndarray) -> list[NewPicture]:
    places = (Place(f"/new/{number}.jpg", 1, 1) for number in range(len(vectors)))
    return [
        NewPicture(f"new {number}", "a.jpg", place, 1, 1, 0.0, b"", vector=vector)
        for number, (place, vector) in enumerate(zip(places, vectors, strict=True))
    ]


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
    fill(folder, rows[:count])
    rows.flush()
    np.save(folder / "queries.npy", asked)
    np.save(folder / "nearest.npy", nearest + 1)


def build(folder: Path, kind: str | None) -> dict[str, object]:
    """What kind of index is built, and the seconds until it is saved."""
    keeper = Keeper(source_in(folder), folder, kind=kind)
    began = time.monotonic()
    keeper.open()
    keeper.wait()
    figures = {"build_s": time.monotonic() - began, "kind": keeper.index.kind, "lists": keeper.index.lists}
    figures |= {"probes": keeper.index.probes(K), "index_bytes": keeper.index.bytes}
    keeper.close()
    return figures


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
        index.add_with_ids(rows[ids].astype(np.float32), ids + 1)
    seconds = time.monotonic() - began
    faiss.write_index(index, str(folder / "raw.faiss"))
    return seconds


def open_ours(folder: Path, kind: str | None) -> tuple[Keeper, dict]:
    """The keeper on the index that was built, and what opening took."""
    (folder / "library.db").read_bytes()  # into memory's cache
    source = source_in(folder)
    before, began = memory(), time.monotonic()
    keeper = Keeper(source, folder, read_only=True, kind=kind)
    keeper.open()
    figures = {"open_s": time.monotonic() - began, "memory_bytes": memory() - before}
    assert keeper.state == "ready"
    return keeper, figures


def change(folder: Path, count: int, kind: str | None) -> dict[str, float]:
    """What opening takes, and adding and removing some, after which the library is another."""
    keeper, figures = open_ours(folder, kind)
    new = new_pictures(np.load(folder / "vectors.npy", mmap_mode="r")[count:])
    old = np.random.default_rng(0).choice(count, CHANGED, replace=False) + 1
    store = Store(keeper.source.database)
    for name, act in (("add_s", lambda: store.add(new, "bench")), ("remove_s", lambda: store.remove(old.tolist()))):
        began = time.monotonic()
        act()
        keeper.catch_up()
        figures[name] = time.monotonic() - began
    assert len(keeper.index) == count
    assert keeper.check() == []
    return figures


def ask(folder: Path, kind: str | None) -> dict[str, float]:
    """Ours and raw faiss in turn, query by query."""
    keeper, _ = open_ours(folder, kind)
    raw = faiss.read_index(str(folder / "raw.faiss"))
    if isinstance(raw, faiss.IndexIVF):
        raw.nprobe = min(raw.nlist, round(MORE_LISTS * keeper.index.probes(K)))
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
        figures = {"count": count} | alone(build, folder, kind)
        figures["raw_build_s"] = alone(build_raw, folder, count, figures["kind"], figures["lists"])
        return figures | alone(ask, folder, kind) | alone(change, folder, count, kind)


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
