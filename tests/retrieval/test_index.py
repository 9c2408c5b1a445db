"""The index: what it finds, what it forgets, and that no file but its own is taken for it."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from multimodal.retrieval import index as index_module
from multimodal.retrieval import index_file
from multimodal.retrieval.index import Index
from multimodal.retrieval.index_file import IndexUnusable

COUNT, DIMENSION, CLUSTERS = 3000, 64, 60
KINDS = ["exact", "ivf", "ivfpq"]


def made_points(count: int, seed: int) -> np.ndarray:
    """Unit vectors in clusters, float16 [count, DIMENSION]."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, DIMENSION))
    rng = np.random.default_rng(seed)
    points = centres[rng.integers(0, CLUSTERS, count)] + 0.5 * rng.normal(size=(count, DIMENSION))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float16)


POINTS, QUERIES = made_points(COUNT, 1), made_points(50, 2).astype(np.float32)
IDS = np.arange(1, COUNT + 1)


def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, COUNT, size):
        yield IDS[start : start + size], POINTS[start : start + size]


def nearest(queries: np.ndarray, ids: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """By comparing all: (scores, ids)."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    order = np.argsort(-scores, axis=1)[:, :k]
    return np.take_along_axis(scores, order, 1), ids[order]


def recall(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean([np.isin(row, own).mean() for row, own in zip(wanted, found, strict=True)]))


def few_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """With so few vectors all lists would be looked at."""
    monkeypatch.setattr(index_module, "PROBES", 1)
    monkeypatch.setattr(index_module, "COMPARED", 1)


@pytest.fixture(scope="module")
def built() -> dict[str, Index]:
    """One of each kind, which no test changes."""
    return {kind: Index.build(kind, COUNT, DIMENSION, blocks) for kind in KINDS}


@pytest.fixture
def exact(built: dict[str, Index]) -> Index:
    """It is not changed either."""
    return built["exact"]


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, built: dict[str, Index]) -> Index:
    """One of each kind in turn, of the test's own."""
    file = io.BytesIO()
    built[request.param].dump(file.write)
    file.seek(0)
    return Index.load(file.read, request.param, built[request.param].most)


def test_the_nearest_are_found(index: Index):
    wanted, scores = nearest(QUERIES, IDS, POINTS, 10)[::-1]
    found = index.search(QUERIES, 10)
    assert found[0].dtype == np.float32
    assert found[1].dtype == np.int64
    assert len(index) == COUNT
    assert (np.diff(found[0], axis=1) <= 0).all()
    if index.kind == "exact":
        assert (found[1] == wanted).all()
        np.testing.assert_allclose(found[0], scores, atol=1e-5)
    else:
        assert recall(found[1], wanted) > {"ivf": 0.95, "ivfpq": 0.5}[index.kind]
        assert recall(index.search(QUERIES, 100)[1], wanted) > 0.98  # what a shortlist is for
        np.testing.assert_allclose(found[0], scores, atol={"ivf": 0.02, "ivfpq": 0.2}[index.kind])


def test_one_query_gets_what_many_get(index: Index):
    together = index.search(QUERIES, 5)
    alone = [index.search(query[None], 5) for query in QUERIES]
    np.testing.assert_allclose(together[0], np.concatenate([scores for scores, _ in alone]), atol=1e-5)
    assert recall(np.concatenate([ids for _, ids in alone]), together[1]) > 0.99


def test_what_was_removed_does_not_come_back(index: Index):
    gone = np.append(nearest(QUERIES, IDS, POINTS, 3)[1], COUNT)
    assert index.remove(np.concatenate([gone, [COUNT + 5, -7, 2**60]])) == len(np.unique(gone))
    assert not np.isin(index.search(QUERIES, 100)[1], gone).any()
    assert len(index) == COUNT - len(np.unique(gone))
    assert sorted(index.ids()) == sorted(set(IDS) - set(gone))


def test_an_id_that_is_added_again_stands_for_its_new_vector(index: Index):
    index.add(np.array([7, COUNT + 1]), np.stack([POINTS[8], POINTS[9]]))
    assert len(index) == COUNT + 1
    ids = index.search(POINTS[8:9].astype(np.float32), 2)[1]
    assert set(ids[0]) == {7, 9}
    ids = index.search(POINTS[6:7].astype(np.float32), 1)[1]
    assert ids[0, 0] != 7
    assert index.search(POINTS[9:10].astype(np.float32), 1, np.array([COUNT + 1]))[0][0, 0] == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("share", [1, 0.5, 0.05, 0.001])
def test_only_what_is_allowed_comes_back_and_the_best_of_it(index: Index, share: float, monkeypatch: pytest.MonkeyPatch):
    few_lists(monkeypatch)
    allowed = np.random.default_rng(3).permutation(IDS)[: int(share * COUNT)]
    wanted = nearest(QUERIES, allowed, POINTS[allowed - 1], 10)[1]
    scores, ids = index.search(QUERIES, 10, allowed)
    found = ids >= 0
    assert found.sum(axis=1).tolist() == [min(10, len(allowed))] * len(QUERIES)
    assert np.isin(ids[found], allowed).all()
    assert np.isneginf(scores[~found]).all()
    least = {"exact": 0.9999, "ivf": 0.95, "ivfpq": 0.5}[index.kind]
    assert recall(ids, wanted) > least
    if index.kind != "ivfpq":
        assert recall(index.search(QUERIES, 1, allowed)[1], wanted[:, :1]) > least  # not only the best of the nearest list


def test_what_is_allowed_is_found_however_far_away_it_lies(monkeypatch: pytest.MonkeyPatch):
    few_lists(monkeypatch)
    monkeypatch.setattr(index_module, "COMPARED_ALLOWED", 1)
    far = made_points(400, 5)
    far[:, :32] = 0
    near = made_points(3600, 6)
    near[:, 32:] = 0
    ids = np.arange(4000)
    index = Index.build("ivf", 4000, DIMENSION, lambda size: iter([(ids[:400], far), (ids[400:], near)]))
    assert (index.search(near[:1].astype(np.float32), 400, ids[:400])[1] >= 0).all()


def test_ids_may_be_any_whole_number():
    ids = np.array([-5, 0, 3, 2**40, 2**62])
    index = Index.build(None, 5, DIMENSION, lambda size: iter([(ids, POINTS[:5])]))
    query = POINTS[3:4].astype(np.float32)
    assert index.search(query, 1)[1].tolist() == [[2**40]]
    assert set(index.search(query, 5, np.array([2**40, -5]))[1][0]) == {2**40, -5, -1}
    assert index.remove(np.array([2**40, -5])) == 2
    assert sorted(index.ids()) == [0, 3, 2**62]


def test_where_nothing_is_nothing_is_found_and_else_as_many_as_there_are(index: Index, monkeypatch: pytest.MonkeyPatch):
    few_lists(monkeypatch)
    empty = Index.build(None, 0, DIMENSION, lambda size: iter(()))
    for scores, ids in (empty.search(QUERIES, 3), index.search(QUERIES, 3, np.empty(0, np.int64))):
        assert ids.tolist() == [[-1] * 3] * len(QUERIES)
        assert np.isneginf(scores).all()
    scores, ids = index.search(QUERIES, COUNT + 2)
    assert (ids[:, -2:] == -1).all()
    assert (ids[:, :-2] >= 0).all()


def test_the_kind_follows_the_number(monkeypatch: pytest.MonkeyPatch):
    def build(kind: str | None = None) -> Index:
        return Index.build(kind, COUNT, DIMENSION, blocks)

    assert build().kind == "exact"
    monkeypatch.setattr(index_module, "EXACT_MOST", COUNT - 1)
    index = build()
    assert (index.kind, index.outgrown) == ("ivf", False)
    assert index.most == index_module.GROWTH * COUNT
    monkeypatch.setattr(index_module, "LISTS_MOST", COUNT - 1)
    assert build().kind == "ivfpq"
    assert build("ivf").kind == "ivf"
    assert build("exact").kind == "exact"
    few = Index.build("ivf", 10, DIMENSION, lambda size: iter([(IDS[:10], POINTS[:10])]))
    assert (few.kind, few.outgrown) == ("exact", False)
    few.add(IDS, POINTS)
    assert few.outgrown


def test_more_lists_are_looked_at_for_more_neighbours(built: dict[str, Index], monkeypatch: pytest.MonkeyPatch):
    index = built["ivf"]
    assert index.probes(10) == index.lists == 256
    assert built["exact"].lists == 0
    monkeypatch.setattr(index_module, "COMPARED", 100)
    assert (index.probes(10), index.probes(200), index.probes(10**6)) == (48, 85, 256)


def test_lists_take_less_memory_than_comparing_all(built: dict[str, Index]):
    sizes = [built[kind].bytes for kind in KINDS]
    assert sizes[0] >= COUNT * DIMENSION * 2
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_building_tells_how_far_it_is_and_can_be_stopped(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_module, "BLOCK", 500)
    seen: list[float] = []
    assert len(Index.build(kind, COUNT, DIMENSION, blocks, seen.append)) == COUNT
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.2
    assert seen[-1] == 1
    for least in (0.0, 0.6):  # while it trains, while it fills
        stop, done = threading.Event(), []

        def watch(part: float, stop=stop, done=done, least=least) -> None:
            done.append(part)
            if part > least:
                stop.set()

        assert Index.build(kind, COUNT, DIMENSION, blocks, watch, stop) is None
        assert done[-1] < 1


def test_searches_beside_changes_find_what_stays(index: Index):
    ended, found = threading.Event(), []

    def search() -> None:
        rng = np.random.default_rng()
        while not ended.is_set():
            row = int(rng.integers(0, 1000))  # these stay
            found.append(index.search(POINTS[row : row + 1].astype(np.float32), 20, None)[1][0].tolist().count(row + 1))

    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(search) for _ in range(3)]
        try:
            for turn in range(30):
                index.remove(IDS[1000 + turn * 50 : 1100 + turn * 50])
                index.add(np.arange(turn * 100, turn * 100 + 100) + COUNT + 1, POINTS[2000:2100])
        finally:
            ended.set()
        for search in searches:
            search.result()
    assert np.mean(found) > (0.9 if index.kind == "ivfpq" else 0.999)
    assert len(index) == COUNT - 1550 + 3000


def test_what_is_added_waits_for_whoever_reads(index: Index):
    reads, go = threading.Event(), threading.Event()

    def write(piece: bytes) -> None:
        reads.set()
        assert go.wait(30)

    with ThreadPoolExecutor(3) as pool:
        dumped = pool.submit(index.dump, write)
        assert reads.wait(30)
        assert index.search(QUERIES[:1], 1)[1] >= 0  # two may read
        added = pool.submit(index.add, np.array([COUNT + 1]), POINTS[:1])
        time.sleep(0.1)
        late = pool.submit(index.search, POINTS[:1], 2)
        time.sleep(0.1)
        assert not added.done()
        assert not late.done()  # whoever comes after a change sees it
        go.set()
        assert dumped.result() == COUNT
        assert set(late.result()[1][0]) == {1, COUNT + 1}


def test_the_threads_of_whoever_searches_are_left_as_they_were(exact: Index):
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    exact.search(QUERIES[:1], 1)
    assert faiss.omp_get_max_threads() == 3
    faiss.omp_set_num_threads(before)


def test_a_gpu_is_asked_until_something_changes(monkeypatch: pytest.MonkeyPatch):
    """As far as that can be tried without one: its copy is one in memory, with a vector less."""
    index = Index.build("ivf", COUNT, DIMENSION, blocks)

    def copy(resources: object, device: int, original: faiss.Index) -> faiss.Index:
        copied = faiss.clone_index(original)
        copied.remove_ids(np.array([1]))
        return copied

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", copy, raising=False)
    first = POINTS[:1].astype(np.float32)
    assert index.search(first, 1)[1] == 1
    index.accelerate()
    assert index.search(first, 1)[1] != 1
    assert index.search(first, 1, IDS)[1] == 1  # not every kind takes a selector there
    assert 1 in index.search(first, 2049)[1]  # nor so many
    index.add(np.array([COUNT + 1]), POINTS[1:2])
    assert index.search(first, 1)[1] == 1


def test_a_gpu_that_refuses_leaves_it_to_the_cpu(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def refuse(*arguments: object) -> None:
        raise RuntimeError("out of memory")

    index = Index.build("ivf", COUNT, DIMENSION, blocks)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", refuse, raising=False)
    index.accelerate()
    assert index.search(POINTS[:1], 1)[1] == 1
    assert "out of memory" in caplog.text


# the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return index_file.path_of(tmp_path / "index", "a model/with: any * name", "picture")


def test_what_was_written_is_read(index: Index, path: Path):
    index.remove(np.array([5]))
    index_file.write(path, index, "space", "picture", 42)
    again, sequence = index_file.read(path, "space", "picture", DIMENSION)
    assert (sequence, len(again), again.kind, again.most) == (42, COUNT - 1, index.kind, index.most)
    for allowed in (None, IDS[:100]):
        for one, other in zip(index.search(QUERIES, 10, allowed), again.search(QUERIES, 10, allowed), strict=True):
            assert (one == other).all()
    again.add(np.array([5, 6]), POINTS[4:6])  # it is not only there to be read
    assert sorted(again.ids()) == IDS.tolist()


def test_every_space_and_kind_has_a_file_of_its_own(tmp_path: Path):
    paths = {index_file.path_of(tmp_path, space, kind) for space in ("a", "b", "a/b", "中文") for kind in ("picture", "caption")}
    assert len(paths) == 8
    assert {path.parent for path in paths} == {tmp_path}


@pytest.mark.parametrize(
    ("space", "kind", "dimension", "reason"),
    [("other", "picture", DIMENSION, "other"), ("space", "caption", DIMENSION, "kind"), ("space", "picture", 32, "dimension")],
)
def test_the_file_of_something_else_is_refused(exact: Index, path: Path, space: str, kind: str, dimension: int, reason: str):
    index_file.write(path, exact, "space", "picture", 1)
    with pytest.raises(IndexUnusable, match=reason):
        index_file.read(path, space, kind, dimension)


def test_the_file_of_another_version_is_refused(exact: Index, path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index_file, "VERSION", 2)
    index_file.write(path, exact, "space", "picture", 1)
    monkeypatch.undo()
    with pytest.raises(IndexUnusable, match="version"):
        index_file.read(path, "space", "picture", DIMENSION)


def test_the_files_of_spaces_that_were_let_go_are_taken_away(exact: Index, tmp_path: Path):
    paths = {space: [index_file.path_of(tmp_path, space, kind) for kind in index_file.KINDS] for space in ("kept", "other")}
    for path in (*paths["kept"], *paths["other"]):
        index_file.write(path, exact, "space", "picture", 1)
    (tmp_path / f"{paths['kept'][0].name}.part").write_bytes(b"unfinished")
    index_file.drop_others(tmp_path, ["kept", "not made yet"])
    assert sorted(tmp_path.iterdir()) == sorted(paths["kept"])
    index_file.drop_others(tmp_path / "nowhere", ["kept"])


def test_what_is_no_index_is_refused(path: Path):
    with pytest.raises(IndexUnusable, match="missing"):
        index_file.read(path, "space", "picture", DIMENSION)
    path.mkdir(parents=True)
    with pytest.raises(IndexUnusable):
        index_file.read(path, "space", "picture", DIMENSION)
    path.rmdir()
    for content in (b"", b"x", b"IwSq" + bytes(1000), random.Random(0).randbytes(5000), b"\xff" * 12 + index_file.MARK):
        path.write_bytes(content)
        with pytest.raises(IndexUnusable):
            index_file.read(path, "space", "picture", DIMENSION)


def test_a_bit_that_fell_over_is_noticed_wherever_it_lies(index: Index, path: Path):
    index_file.write(path, index, "space", "picture", 1)
    sound = path.read_bytes()
    rng = random.Random(1)
    places = [*range(80), *(len(sound) - 1 - place for place in range(60)), *(rng.randrange(len(sound)) for _ in range(100))]
    with path.open("r+b") as file:
        for place in places:
            for value in (sound[place] ^ (1 << rng.randrange(8)), sound[place]):
                file.seek(place)
                file.write(bytes([value]))
                file.flush()
                if value != sound[place]:
                    with pytest.raises(IndexUnusable):
                        index_file.read(path, "space", "picture", DIMENSION)
    index_file.read(path, "space", "picture", DIMENSION)


def test_a_file_that_was_cut_or_lengthened_is_noticed(exact: Index, path: Path):
    index_file.write(path, exact, "space", "picture", 1)
    sound = path.read_bytes()
    middle = len(sound) // 2
    for content in (
        *(sound[:size] for size in (1, 20, middle, len(sound) - 1)),
        sound + b"\0",
        sound[1:],
        sound[:middle] + sound[middle + 1 :],
    ):
        path.write_bytes(content)
        with pytest.raises(IndexUnusable):
            index_file.read(path, "space", "picture", DIMENSION)


def test_where_the_disk_is_full_the_old_file_stays(exact: Index, path: Path):
    resource = pytest.importorskip("resource")
    index_file.write(path, exact, "space", "picture", 1)
    sound, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(sound) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            index_file.write(path, exact, "space", "picture", 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == sound
    assert os.listdir(path.parent) == [path.name]
