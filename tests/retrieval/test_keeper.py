"""The keeper: right at every moment, whatever happened to the index, to the store, and to the process."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from multimodal.retrieval import index_file, keeper, vectors
from multimodal.retrieval.keeper import Discrepancy, Keeper
from multimodal.retrieval.records import NewPicture, Place
from multimodal.retrieval.store import Store, open_store
from multimodal.retrieval.vectors import VectorTable
from tests.conftest import ROOT

SPACE, DIMENSION, COUNT, CLUSTERS = "a space", 32, 2000, 50
KINDS = ["exact", "ivf", "ivfpq"]


def made_vectors(count: int, seed: int) -> np.ndarray:
    """Unit vectors in clusters, float32 [count, DIMENSION]."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, DIMENSION))
    rng = np.random.default_rng(seed)
    found = centres[rng.integers(0, CLUSTERS, count)] + 0.5 * rng.normal(size=(count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


QUERIES = made_vectors(20, 99)


def put(store: Store, count: int, seed: int) -> np.ndarray:
    """Pictures with vectors into the store, in one transaction; returns their ids."""
    new = [
        NewPicture(f"{seed}-{row}", "x.jpg", Place(f"/{seed}/{row}.jpg", 1, 1), 1, 1, 0.0, b"", vector=vector)
        for row, vector in enumerate(made_vectors(count, seed))
    ]
    return np.array(store.add(new, SPACE), np.int64)


def truth(source: VectorTable, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What a search for QUERIES should find: (scores, ids)."""
    ids, found = source.vectors(np.concatenate([ids for ids, _ in source.blocks(1000)]) if allowed is None else allowed)
    scores = QUERIES @ found.astype(np.float32).T
    order = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), ids[order]


def assert_right(kept: Keeper, allowed: np.ndarray | None = None, k: int = 10, recall: float = 0.99) -> None:
    """It finds what is nearest in the store, and scores it exactly."""
    scores, ids = kept.search(QUERIES, k, allowed)
    wanted_scores, wanted = truth(kept.source, k, allowed)
    assert np.mean([np.isin(row, own).mean() for row, own in zip(wanted, ids, strict=True)]) >= recall
    for row in range(len(QUERIES)):
        known = dict(zip(wanted[row].tolist(), wanted_scores[row].tolist(), strict=True))
        for id, score in zip(ids[row].tolist(), scores[row].tolist(), strict=True):
            assert score == pytest.approx(known.get(id, score), abs=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with COUNT pictures, of the ids 1 to COUNT."""
    store = open_store(tmp_path_factory.mktemp("filled"))
    assert put(store, COUNT, 1).tolist() == list(range(1, COUNT + 1))
    store.database.close()
    return store.database.path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    """One like it, in `tmp_path`."""
    shutil.copy(filled, tmp_path)
    store = open_store(tmp_path)
    yield store
    store.database.close()


@pytest.fixture
def source(store: Store) -> VectorTable:
    return store.vectors(SPACE, "picture", DIMENSION)


@pytest.fixture
def keep(source: VectorTable, tmp_path: Path) -> Iterator[Callable[..., Keeper]]:
    """keep(): a keeper, opened and with its index built; `of` and `wait` may say otherwise."""
    kept: list[Keeper] = []

    def make(of: VectorTable = source, wait: bool = True, **options: object) -> Keeper:
        kept.append(Keeper(of, tmp_path / "index", **options))
        kept[-1].open()
        if wait:
            assert kept[-1].wait(60)
            assert kept[-1].state == "ready"
        return kept[-1]

    yield make
    for one in kept:
        one.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def built(keep: Callable[..., Keeper], monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Every index is built only once this is set: the store alone answers until then."""
    go = threading.Event()
    build = keeper.Index.build
    monkeypatch.setattr(keeper.Index, "build", lambda *arguments: go.wait(60) and build(*arguments))
    return go


def test_at_first_the_store_answers_then_an_index(keep: Callable[..., Keeper], built: threading.Event, kind: str):
    kept = keep(wait=False, kind=kind)
    assert (kept.state, kept.index) == ("building", None)
    assert_right(kept, recall=1)
    assert_right(kept, allowed=np.arange(5, 900), recall=1)
    built.set()
    assert kept.wait(60)
    assert (kept.state, kept.progress, kept.index.kind) == ("ready", 1, kind)
    assert_right(kept)
    assert kept.path.is_file()


def test_what_a_walk_through_the_store_finds_does_not_depend_on_its_blocks(
    keep: Callable[..., Keeper], built: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    kept = keep(wait=False)
    monkeypatch.setattr(keeper, "BLOCK", 7)
    monkeypatch.setattr(keeper, "ALLOWED_FEW", 3)
    for allowed in (None, np.arange(3, COUNT, 5)[::-1]):
        assert_right(kept, allowed, recall=1)
    built.set()


def test_the_file_is_read_and_what_happened_since_is_followed(keep: Callable[..., Keeper], store: Store, built: threading.Event, kind: str):
    built.set()
    keep(kind=kind).close()
    built.clear()  # from now on nothing is built
    added = put(store, 30, 2)
    removal = store.remove([1, 2, 3])
    store.remove(added[:5].tolist())
    kept = keep(wait=False, kind=kind)
    assert kept.state == "ready"
    assert_right(kept)
    assert kept.check() == []
    store.undo(removal)
    assert_right(kept)
    assert sorted(kept.index.ids()) == [*range(1, COUNT + 1), *added[5:]]


def test_every_change_counts_in_the_next_search(keep: Callable[..., Keeper], store: Store, source: VectorTable, kind: str):
    kept = keep(kind=kind)
    nearest = kept.search(QUERIES, 1)[1][:, 0]
    removal = store.remove(nearest.tolist())
    assert not np.isin(kept.search(QUERIES, 10)[1], nearest).any()
    store.undo(removal)
    assert (kept.search(QUERIES, 1)[1][:, 0] == nearest).all()
    source.put([7, 8], QUERIES[:2])  # an id may get another vector
    assert kept.search(QUERIES[:2], 1)[1].tolist() == [[7], [8]]
    new = put(store, 5, 3)
    assert kept.search(made_vectors(5, 3), 1)[1][:, 0].tolist() == new.tolist()
    assert kept.check() == []


def test_other_vectors_in_the_store_change_nothing(keep: Callable[..., Keeper], store: Store):
    kept = keep()
    before = kept.path.stat().st_mtime_ns
    store.set_captions(1, [("a dog", "person")])
    store.vectors("another space", "picture", 8).put([1], np.eye(1, 8))
    kept.catch_up()
    kept.save()
    assert kept.path.stat().st_mtime_ns == before
    assert kept.check() == []


def test_it_saves_what_changed_once(keep: Callable[..., Keeper], store: Store):
    kept = keep()
    times = [kept.path.stat().st_mtime_ns]
    store.remove([1])
    kept.catch_up()
    for _ in range(2):
        kept.save()
        times.append(kept.path.stat().st_mtime_ns)
    assert times[0] < times[1] == times[2]


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "foreign", "ahead", "behind", "less", "other kind"])
def test_a_file_that_cannot_be_used_is_made_anew(
    keep: Callable[..., Keeper], store: Store, built: threading.Event, damage: str, monkeypatch: pytest.MonkeyPatch
):
    built.set()
    kept = keep(kind="ivf")
    path, index = kept.path, kept.index
    kept.close()
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 4]) + content[5001:])
    elif damage == "foreign":
        index_file.write(path, index, "another space", "picture", 1)
    elif damage == "ahead":  # the store is an older copy
        index_file.write(path, index, SPACE, "picture", 10**6)
    elif damage == "less":
        index.remove(np.array([5]))
        index_file.write(path, index, SPACE, "picture", kept.source.sequence())
    elif damage == "behind":  # by more than the log reaches back
        monkeypatch.setattr(vectors, "LOG_LENGTH", 2)
        monkeypatch.setattr(vectors, "CUT_EVERY", 1)
        for id in range(1, 6):
            store.remove([id])
    built.clear()
    kept = keep(wait=False, kind="ivfpq" if damage == "other kind" else "ivf")
    assert (kept.state, kept.index) == ("building", None)
    assert_right(kept, recall=1)
    built.set()
    assert kept.wait(60)
    assert_right(kept)
    assert kept.check() == []
    again = keep(kind=kept.kind, wait=False)
    assert again.state == "ready"


def test_a_store_that_forgot_its_changes_while_it_was_open_is_walked_through(
    keep: Callable[..., Keeper], store: Store, built: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    built.set()
    kept = keep(kind="ivf")
    built.clear()
    monkeypatch.setattr(vectors, "LOG_LENGTH", 2)
    monkeypatch.setattr(vectors, "CUT_EVERY", 1)
    for id in range(1, 6):
        store.remove([id])
    assert_right(kept, recall=1)
    assert kept.state == "building"
    built.set()
    assert kept.wait(60)
    assert_right(kept)


@pytest.mark.parametrize("share", [0.9, 0.2, 0.01])
def test_only_what_is_allowed_comes_back(keep: Callable[..., Keeper], kind: str, share: float):
    kept = keep(kind=kind)
    allowed = np.random.default_rng(0).permutation(np.arange(1, COUNT + 1))[: int(share * COUNT)]
    assert np.isin(kept.search(QUERIES, 10, allowed)[1], allowed).all()
    assert_right(kept, allowed)
    few = kept.search(QUERIES, 10, np.array([5, 6, COUNT + 100]))
    assert all(set(row) == {5, 6, -1} for row in few[1])
    assert np.isneginf(few[0][:, 2:]).all()
    assert (kept.search(QUERIES, 10, np.empty(0, np.int64))[1] == -1).all()


def test_as_many_as_there_are_can_be_had(keep: Callable[..., Keeper], kind: str):
    kept = keep(kind=kind)
    for k in (500, COUNT, COUNT + 50):
        scores, ids = kept.search(QUERIES[:2], k)
        assert ((ids >= 0).sum(axis=1) == min(k, COUNT)).all()
        assert len(set(ids[0])) == min(k, COUNT + 1)
        assert (np.diff(scores[:, :COUNT], axis=1) <= 0).all()


def test_many_queries_are_answered_as_one_is(keep: Callable[..., Keeper], kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keeper, "QUERIES", 7)
    kept = keep(kind=kind)
    scores, ids = kept.search(QUERIES, 5)
    for row, query in enumerate(QUERIES):
        alone = kept.search(query[None], 5)
        np.testing.assert_allclose(alone[0][0], scores[row], atol=1e-5)
        assert (alone[1][0] == ids[row]).all()


def test_a_second_process_reads_and_never_writes(keep: Callable[..., Keeper], store: Store, tmp_path: Path):
    writer = keep(kind="ivf")
    other = open_store(tmp_path, read_only=True)
    reader = keep(of=other.vectors(SPACE, "picture", DIMENSION), read_only=True, kind="ivf", wait=False)
    assert reader.state == "ready"
    before = writer.path.read_bytes()
    new = put(store, 5, 3)
    assert reader.search(made_vectors(5, 3), 1)[1][:, 0].tolist() == new.tolist()
    store.remove(new.tolist())
    assert not np.isin(reader.search(made_vectors(5, 3), 5)[1], new).any()
    reader.save()
    reader.close()
    assert writer.path.read_bytes() == before
    writer.path.unlink()
    reader = keep(of=reader.source, read_only=True)  # it makes one for itself
    assert_right(reader)
    reader.close()
    assert not writer.path.exists()
    other.database.close()


class Busy(VectorTable):
    """Something is committed whenever the vectors are walked through."""

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, block in enumerate(super().blocks(500)):
            self.meanwhile(number)
            yield block


def test_what_happens_while_an_index_is_built_is_in_it(keep: Callable[..., Keeper], store: Store, kind: str):
    source = Busy(store.database, SPACE, "picture", DIMENSION)
    seeds = iter(range(100, 200))

    def meanwhile(number: int) -> None:
        if number < 4:
            added = put(store, 20, next(seeds))
            store.remove([*added[:3].tolist(), 1 + number, COUNT - number])
            source.put([50 + number, 1950 + number], made_vectors(2, next(seeds)))

    source.meanwhile = meanwhile
    kept = keep(of=source, kind=kind)
    source.meanwhile = lambda number: None
    assert kept.check() == []
    assert_right(kept)


def test_an_index_that_was_outgrown_is_replaced_while_it_goes_on_answering(
    keep: Callable[..., Keeper], store: Store, built: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("multimodal.retrieval.index.EXACT_MOST", COUNT + 10)
    built.set()
    kept = keep()
    built.clear()
    assert kept.index.kind == "exact"
    put(store, 20, 2)
    kept.catch_up()
    assert (kept.state, kept.index.kind) == ("building", "exact")
    put(store, 20, 3)
    assert_right(kept, recall=1)
    built.set()
    assert kept.wait(60)
    assert kept.index.kind == "ivf"
    assert_right(kept)
    assert kept.check() == []
    assert keep(wait=False).index.kind == "ivf"  # it has been saved


def test_searches_from_many_threads_are_right_beside_adding_removing_saving_and_building(
    keep: Callable[..., Keeper], store: Store, kind: str
):
    kept = keep(kind=kind)
    ended, gone, lock, turns = threading.Event(), set(), threading.Lock(), []
    own = made_vectors(COUNT, 1)

    def search() -> None:
        rng = np.random.default_rng()
        while not ended.is_set():
            row = int(rng.integers(0, 1000))  # these stay
            with lock:
                before = set(gone)
            ids = kept.search(own[row : row + 1], 10)[1][0].tolist()
            assert ids[0] == row + 1
            assert not before & set(ids)
            turns.append(row)
            time.sleep(0.002)  # the others want the processor, too

    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(search) for _ in range(3)]
        try:
            for turn in range(8):
                ids = [*range(1001 + 20 * turn, 1021 + 20 * turn), *put(store, 30, 100 + turn)[:10].tolist()]
                kept.catch_up()
                store.remove(ids)
                with lock:
                    gone.update(ids)
                if turn % 3 == 0:
                    kept.rebuild()
                kept.save()
            kept.wait(60)
        finally:
            ended.set()
        for one in searches:
            one.result()
    assert len(turns) > 10
    assert kept.check() == []


def test_check_finds_what_is_wrong_and_building_anew_mends_it(keep: Callable[..., Keeper], kind: str, monkeypatch: pytest.MonkeyPatch):
    kept = keep(kind=kind)
    assert kept.check() == []
    kept.index.remove(np.array([4, 9]))
    kept.index.add(np.array([COUNT + 7]), QUERIES[:1])
    kept.index.add(np.array([11]), -made_vectors(COUNT, 1)[10:11])
    with monkeypatch.context() as patch:
        patch.setattr(keeper, "CHECKED", 10 * COUNT)  # all of them
        assert kept.check() == [Discrepancy("missing", (4, 9)), Discrepancy("surplus", (COUNT + 7,)), Discrepancy("different", (11,))]
    kept.rebuild()
    assert kept.wait(60)
    assert kept.check() == []


def test_closing_ends_the_building(keep: Callable[..., Keeper], built: threading.Event):
    kept = keep(wait=False, kind="ivf")
    threading.Timer(0.2, built.set).start()
    kept.close()
    assert (kept.state, kept.index) == ("exact", None)
    assert not kept.path.exists()


def test_building_that_fails_leaves_the_store_to_answer(
    keep: Callable[..., Keeper], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(*arguments: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(keeper.Index, "build", fail)
    kept = keep(wait=False)
    assert kept.wait(60)
    assert kept.state == "exact"
    assert_right(kept, recall=1)
    assert "no room" in caplog.text


def test_where_the_disk_takes_nothing_the_log_says_so_and_searching_goes_on(
    keep: Callable[..., Keeper], store: Store, caplog: pytest.LogCaptureFixture
):
    resource = pytest.importorskip("resource")
    kept = keep()
    before, limits = kept.path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    store.remove([1])
    kept.catch_up()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        kept.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "could not be written" in caplog.text
    assert kept.path.read_bytes() == before
    assert_right(kept)
    kept.save()  # there is room again
    assert kept.path.read_bytes() != before


CHANGING = """
import sys
from pathlib import Path
import numpy as np
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.store import open_store

store = open_store(Path(sys.argv[1]))
source = store.vectors(sys.argv[2], "picture", int(sys.argv[3]))
kept = Keeper(source, Path(sys.argv[1]) / "index", kind="ivf")
kept.open()
kept.wait()
rng = np.random.default_rng()
removals = []
while True:
    ids = rng.permutation(np.arange(1, 1000))[:5].tolist()
    found, vectors = source.vectors(ids)
    source.put(found.tolist(), vectors[::-1])  # other vectors for some
    removals.append(store.remove(ids[:3]))
    store.undo(removals[rng.integers(len(removals))])
    kept.catch_up()
    kept.save()
    print(len(removals), flush=True)
"""


def test_a_process_that_is_killed_while_it_saves_leaves_an_index_that_agrees(keep: Callable[..., Keeper], store: Store, tmp_path: Path):
    rng = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGING, str(tmp_path), SPACE, str(DIMENSION)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "1\n"
        time.sleep(rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = keep(kind="ivf")
        assert sorted(kept.index.ids()) == np.concatenate([ids for ids, _ in kept.source.blocks(1000)]).tolist()
        assert kept.check() == []
        kept.close()
