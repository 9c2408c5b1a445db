"""A process that changes a library until it is killed, and what must then be true of the library.

The process says on a pipe what it has been told is done. Whatever was said before the kill has to be there afterwards; the one deed that
was under way may have happened or not.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from multimodal.media import Limits
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.keeper import Keeper
from multimodal.retrieval.store import Store, open_store
from tests.retrieval.projection import Projection

BATCH = 6
MOST_SAID, LONGEST = 8, 0.1  # the kill comes after so many messages and so many seconds more, at most
CONTEXT = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")


def change(folder: Path, seed: int, said: Connection) -> None:
    """Add, take out, bring back, forget for good, write and rebuild the index, at random, for ever."""
    chance, encoder = random.Random(seed), Projection()
    store = open_store(folder)
    keeper = Keeper(store.vectors(encoder.space, "picture", encoder.dimension), folder / "index")
    keeper.open()
    adding = Adding(store, folder, Limits(), lambda: encoder, keeper.catch_up)
    uploads, removals = folder.parent / f"uploads-{seed}", []
    uploads.mkdir()
    said.send(("ready",))
    while True:
        present = store.ids().tolist()
        deed = chance.choice(("add", "add", "add", "remove", "undo", "purge", "save", "rebuild"))
        if deed == "add":
            files = [(_draw(uploads, chance), f"{place}.png") for place in range(BATCH)]
            said.send(("added", adding.take(files).ids))
        elif deed == "remove" and present:
            ids = chance.sample(present, min(len(present), 3))
            said.send(("begin", ids))
            removals.append(store.remove(ids))
            keeper.catch_up()
            said.send(("removed", ids))
        elif deed == "undo" and removals:
            said.send(("added", store.undo(removals.pop())))
            keeper.catch_up()
        elif deed == "purge":
            _, copies = store.purge(time.time())
            for copy in copies:
                Path(copy).unlink(missing_ok=True)
            removals.clear()
        elif deed == "save":
            keeper.save()
        elif deed == "rebuild":
            keeper.rebuild()
            store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _draw(folder: Path, chance: random.Random) -> Path:
    path = folder / f"{chance.getrandbits(64):x}.png"
    Image.frombytes("RGB", (24, 24), chance.randbytes(24 * 24 * 3)).save(path)
    return path


def kill_once(folder: Path, seed: int, present: set[int]) -> set[int]:
    """Let it change the library in `folder` for a while, kill it, and look. `present`: what has to be in it before.

    Returns what is in it then; AssertionError says what was lost.
    """
    CONTEXT.set_forkserver_preload(["tests.retrieval.killing"])
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=change, args=(folder, seed, theirs), daemon=True)
    process.start()
    theirs.close()
    chance = random.Random(f"kill {seed}")
    said = []
    for _ in range(1 + chance.randint(0, MOST_SAID)):
        assert ours.poll(60), "it does nothing"
        said.append(ours.recv())
    time.sleep(chance.uniform(0, LONGEST))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it ended by itself"
    with ours, suppress(EOFError, OSError):
        while True:
            said.append(ours.recv())
    uncertain: set[int] = set()
    present = set(present)
    for deed, *ids in said:
        uncertain = set()
        if deed == "added":
            present |= set(ids[0])
        elif deed == "begin":
            uncertain = set(ids[0])
        elif deed == "removed":
            present -= set(ids[0])
    shutil.rmtree(folder.parent / f"uploads-{seed}", ignore_errors=True)
    return _look(folder, present, uncertain)


def _look(folder: Path, present: set[int], uncertain: set[int]) -> set[int]:
    encoder = Projection()
    store: Store = open_store(folder)
    try:
        assert not store.database.damage()
        there = set(store.ids().tolist())
        assert there >= present - uncertain, f"lost: {present - uncertain - there}"
        for picture in store.pictures(sorted(there)):
            assert all(Path(place.path).is_file() for place in picture.places), f"{picture.id} has no file"
        vectors = store.vectors(encoder.space, "picture", encoder.dimension)
        with_vectors, values = vectors.vectors(np.array(sorted(there), np.int64))
        assert set(with_vectors.tolist()) == there - set(store.missing(encoder.space, "picture", 10_000))
        keeper = Keeper(vectors, folder / "index")
        keeper.open()
        keeper.wait(60)
        assert keeper.check() == []
        if len(with_vectors):
            _, found = keeper.search(values[-1:].astype(np.float32), 1)
            assert found[0, 0] in there
        keeper.close()
        return there
    finally:
        store.database.close()
