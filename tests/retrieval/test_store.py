"""The store: what was said to be kept is kept, and found by what people ask for."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from multimodal.errors import UserError
from multimodal.retrieval import vectors as vectors_module
from multimodal.retrieval.database import MIGRATIONS
from multimodal.retrieval.records import Filter, NewPicture, Place
from multimodal.retrieval.removals import LOST
from multimodal.retrieval.store import Store, open_store
from multimodal.retrieval.vectors import VectorTable
from multimodal.retrieval.words import match

SPACE, DIMENSION = "space", 8
FAR = 9e12  # seconds since the epoch


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def new(number: int, path: str | None = None, vector: bool = True, **values: object) -> NewPicture:
    """Picture `number`, in the file /photos/NUMBER.jpg if no other is named."""
    path = path or f"/photos/{number}.jpg"
    made = NewPicture(
        f"hash {number}", os.path.basename(path), Place(path, 10, 5), 40, 30, float(number), b"s", vector=unit(number) if vector else None
    )
    return replace(made, **values)


def put(store: Store, *pictures: NewPicture, **options: object) -> list[int]:
    return store.add(pictures, SPACE, **options)


def table(store: Store, kind: str = "picture") -> VectorTable:
    return store.vectors(SPACE, kind, DIMENSION)


def found(store: Store, **filters: object) -> set[str]:
    return {picture.name for picture in store.pictures(store.ids(Filter(**filters)))}


def test_what_was_put_in_comes_out_as_it_was(store: Store):
    wanted = new(1, "/照片/海 滩.jpg", exif={"camera": "A"}, captions=(("两个红色的圆形", "file"), ("two red circles", "person")))
    (id,) = put(store, wanted)
    picture = store.picture(id)
    assert (picture.hash, picture.name, picture.width, picture.height, picture.taken) == ("hash 1", "海 滩.jpg", 40, 30, 1.0)
    assert (picture.places, dict(picture.exif), picture.removed) == ((wanted.place,), {"camera": "A"}, False)
    assert [(caption.text, caption.origin) for caption in picture.captions] == list(wanted.captions)
    ((ids, stored),) = table(store).blocks(10)
    assert ids.tolist() == [id]
    assert stored.dtype == np.float16
    assert np.abs(stored[0] - unit(1)).max() < 1e-3


def test_the_same_bytes_twice_are_one_picture_with_two_places(store: Store):
    ids = put(store, new(1, "/a/x.jpg"), new(1, "/b/y.jpg"))
    assert ids[0] == ids[1]
    assert put(store, new(1, "/b/y.jpg")) == ids[:1]
    assert store.count() == table(store).count() == 1
    assert [place.path for place in store.picture(ids[0]).places] == ["/a/x.jpg", "/b/y.jpg"]


def test_a_picture_that_is_there_gets_the_captions_that_it_lacks(store: Store):
    (id,) = put(store, new(1, captions=(("one", "file"),)))
    put(store, new(1, captions=(("one", "file"), ("zwei", "file"))))
    assert [caption.text for caption in store.picture(id).captions] == ["one", "zwei"]
    assert found(store, text="zwei") == {"1.jpg"}


def test_what_a_file_held_before_it_changed_is_lost_with_its_last_place(store: Store):
    first, second = put(store, new(1, "/a.jpg"), new(2, "/b.jpg"))
    put(store, new(2, "/copy of b.jpg"))
    put(store, new(3, "/a.jpg"), new(4, "/b.jpg"))
    assert store.picture(first).removed
    assert not store.picture(second).removed
    assert put(store, new(1, "/c.jpg"), restore=False) == [first]
    assert not store.picture(first).removed


def test_a_removal_and_its_undo(store: Store):
    ids = put(store, *(new(number) for number in range(1, 6)))
    before = table(store).sequence()
    removal = store.remove(ids[:2])
    assert store.count() == table(store).count() == 3
    assert store.ids().tolist() == [5, 4, 3]
    assert table(store).changes(before).removed.tolist() == ids[:2]
    assert table(store).vectors(np.array(ids))[0].tolist() == ids[2:]
    assert store.picture(ids[0]).removed
    assert store.undo(removal) == ids[:2]
    assert store.undo(removal) == []
    assert store.count() == table(store).count() == 5
    changes = table(store).changes(before)
    assert (changes.added.tolist(), changes.removed.tolist()) == (ids[:2], [])


def test_undo_brings_back_only_what_that_removal_took(store: Store):
    ids = put(store, new(1), new(2))
    first = store.remove(ids[:1])
    store.remove(ids)
    assert store.undo(first) == ids[:1]
    assert store.ids().tolist() == ids[:1]


def test_a_picture_that_was_taken_out_comes_back_only_where_that_is_wished(store: Store):
    (id,) = put(store, new(1))
    store.remove(np.array([id]))
    put(store, new(1, "/elsewhere.jpg"), restore=False)
    assert store.count() == 0
    put(store, new(1), restore=True)
    assert store.count() == table(store).count() == 1


def test_what_is_lost_and_found_again_keeps_its_vector_and_its_captions(store: Store):
    (id,) = put(store, new(1, captions=(("a beach", "person"),)))
    store.forget(["/photos/1.jpg"])
    assert store.count() == 0
    before = table(store).sequence()
    assert store.known("hash 1", Place("/moved.jpg", 10, 5), SPACE).name == "1.jpg"
    put(store, new(1, "/moved.jpg", vector=False), restore=False)
    assert table(store).count() == 1
    assert table(store).changes(before).added.tolist() == [id]
    assert found(store, text="beach") == {"1.jpg"}
    assert [place.path for place in store.picture(id).places] == ["/moved.jpg"]


def test_a_picture_is_not_lost_while_another_file_holds_it(store: Store):
    put(store, new(1, "/a.jpg"), new(1, "/b.jpg"))
    store.forget(["/a.jpg", "/no such file.jpg"])
    assert store.count() == 1


def test_what_is_known_of_a_file_depends_on_the_space(store: Store):
    place = Place("/x.jpg", 1, 2)
    put(store, new(1), new(2, vector=False))
    assert store.known("hash 1", place, SPACE).place == place
    assert store.known("hash 1", place, "other") is None
    assert store.known("hash 2", place, SPACE) is None
    assert store.known("hash 2", place, None).width == 40
    assert store.known("hash 3", place, None) is None


@pytest.mark.parametrize("folder", ["/100%", "/a_b", "/it's", '/say "cheese"', "/图片", "/[x]*?", "/a\\b", "/; DROP TABLE pictures"])
def test_a_folder_is_meant_by_its_name_whatever_signs_are_in_it(store: Store, folder: str):
    put(
        store, new(1, f"{folder}/1.jpg"), new(2, f"{folder}/deep/2.jpg"), new(3, f"{folder}x/3.jpg"), new(4, "/aXb/4.jpg"), new(5, "/5.jpg")
    )
    for asked in (folder, folder + "/"):
        assert found(store, folder=asked) == {"1.jpg", "2.jpg"}
    assert set(store.known_below(folder)) == {f"{folder}/1.jpg", f"{folder}/deep/2.jpg"}
    store.add_folder(folder)
    assert [(each.path, each.pictures) for each in store.folders()] == [(folder, 2)]
    store.undo(store.drop_folder(folder))
    assert store.count() == 5


def test_the_folders_of_windows_are_meant_as_well(store: Store):
    put(store, new(1, "C:\\Bilder\\1.jpg", name="1.jpg"), new(2, "C:\\Bilder\\tief\\2.jpg", name="2.jpg"), new(3, "C:\\Bilder2\\3.jpg"))
    assert found(store, folder="C:\\Bilder") == found(store, folder="C:\\Bilder\\") == {"1.jpg", "2.jpg"}


def test_a_name_is_found_whichever_way_its_accents_are_written(store: Store):
    one, two = "caf\u00e9.jpg", "cafe\u0301.jpg"
    ids = put(store, new(1, f"/a/{two}"), new(2, f"/b/{one}"), new(3, "/c/old.jpg"))
    store.database.connection.execute("UPDATE pictures SET name = ? WHERE id = ?", (two, ids[2]))  # from before they were normalised
    assert store.picture(ids[0]).name == one
    for asked in (one, two, "CAF\u00e9", "f\u00e9", "fe\u0301"):
        assert sorted(store.ids(Filter(name=asked)).tolist()) == ids
    assert store.picture(ids[0]).places[0].path == f"/a/{two}"  # the file's own


def test_dates_and_names_restrict(store: Store):
    put(store, new(1, "/IMG_1.JPG"), new(2, "/img%2.jpg"), new(3, "/其他.jpg"))
    assert found(store, since=2.0, until=3.0) == {"img%2.jpg"}
    assert found(store, name="img") == {"IMG_1.JPG", "img%2.jpg"}
    assert found(store, name="%") == {"img%2.jpg"}
    assert found(store, name="_") == {"IMG_1.JPG"}
    assert found(store, name="其") == {"其他.jpg"}
    assert found(store, name="'; DELETE FROM pictures; --") == set()
    assert store.ids(sort="oldest", limit=2).tolist() == [1, 2]
    assert store.ids(sort="newest", limit=1, offset=1).tolist() == [2]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("red", {"1.jpg"}),
        ("RED circ", {"1.jpg"}),
        ("circles red", {"1.jpg"}),
        ("ircles", set()),
        ("红色", {"1.jpg"}),
        ("圆形 两个", {"1.jpg"}),
        ("色红", set()),
        ("沙滩", {"海滩和沙滩_2.png"}),
        ("海滩 png", {"海滩和沙滩_2.png"}),
        ("café", {"海滩和沙滩_2.png"}),
        ('circles" OR "café', set()),
        ("red OR café", set()),
        ("name:red", set()),
        ("red*", {"1.jpg"}),
        ("NEAR(red circles)", set()),
        ("'; DROP TABLE words; --", set()),
        ('"', set()),
        ("* ( ) ^ - :", set()),
        ("", {"1.jpg", "海滩和沙滩_2.png"}),
        ("%", set()),
    ],
)
def test_words_are_found_and_no_sign_is_an_order(store: Store, text: str, wanted: set[str]):
    put(store, new(1, captions=(("两个红色的圆形", "file"), ("two red circles", "file"))))
    put(store, new(2, "/海滩和沙滩_2.png", captions=(("the café's door", "person"),)))
    assert found(store, text=text) == wanted
    assert store.count() == 2


def test_a_query_of_words_is_all_quoted():
    assert match('red "or* 红色x') == '"red"* "or"* "红 色" "x"*'
    assert match("- * ?") is None


def test_captions_that_stay_keep_their_vectors(store: Store):
    (id,) = put(store, new(1, captions=(("one", "file"), ("two", "file"))))
    one, two = (caption.id for caption in store.picture(id).captions)
    captions = table(store, "caption")
    captions.put([one, two], np.stack([unit(1), unit(2)]))
    before = captions.sequence()
    assert store.set_captions(id, [("two", "file"), ("three", "person")])[0] == two
    assert captions.count() == 1
    assert captions.changes(before).removed.tolist() == [one]
    assert [caption.text for caption in store.captions([two, one, 99])] == ["two"]
    assert found(store, text="one") == set()
    assert found(store, text="three") == {"1.jpg"}
    assert store.missing(SPACE, "caption", 10) == [caption.id for caption in store.picture(id).captions if caption.text == "three"]


def test_the_same_caption_twice_is_one(store: Store):
    (id,) = put(store, new(1, captions=(("one", "file"), ("one", "person"))))
    assert [(caption.text, caption.origin) for caption in store.picture(id).captions] == [("one", "file")]
    ids = store.set_captions(id, [("one", "file"), ("two", "person"), ("two", "person")])
    assert ids == [caption.id for caption in store.picture(id).captions]
    assert [caption.text for caption in store.picture(id).captions] == ["one", "two"]


def test_captions_that_were_stored_twice_go_together(store: Store):
    (id,) = put(store, new(1, captions=(("one", "file"),)))
    store.database.connection.execute("INSERT INTO captions(picture, text, origin) VALUES (?, 'one', 'file')", (id,))
    assert store.set_captions(id, [("one", "file")]) == [1]
    assert len(store.picture(id).captions) == 1
    store.database.connection.execute("INSERT INTO captions(picture, text, origin) VALUES (?, 'one', 'file')", (id,))
    store.set_captions(id, [])
    assert store.picture(id).captions == ()


def test_captions_come_and_go_with_their_picture(store: Store):
    (id,) = put(store, new(1, captions=(("one", "file"),)))
    captions = table(store, "caption")
    captions.put([caption.id for caption in store.picture(id).captions], unit(1)[None])
    before = captions.sequence()
    removal = store.remove([id])
    assert captions.count() == 0
    assert len(captions.changes(before).removed) == 1
    store.undo(removal)
    assert captions.count() == len(captions.changes(before).added) == 1


def test_what_is_missing_is_told_for_each_space(store: Store):
    ids = put(store, new(1), new(2, vector=False), new(3, vector=False), new(4))
    store.remove(ids[2:3])
    assert store.missing(SPACE, "picture", 10) == [2]
    assert store.missing("other", "picture", 2) == [1, 2]
    assert store.missing("other", "picture", 2, after=2) == [4]
    assert store.without_caption(2, after=1) == [2, 4]


def test_other_spaces_are_let_go(store: Store):
    (id,) = put(store, new(1))
    other = store.vectors("other", "picture", 4)
    other.put([id], np.eye(4, dtype=np.float32)[:1])
    store.drop_other_spaces("other")
    assert table(store).count() == 0
    assert other.count() == 1


def test_the_log_of_changes_reaches_back_so_far_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vectors_module, "LOG_LENGTH", 5)
    monkeypatch.setattr(vectors_module, "CUT_EVERY", 4)
    start = table(store).sequence()
    steps = []
    for number in range(1, 21):
        put(store, new(number))
        steps.append(table(store).sequence())
    assert table(store).changes(start) is None
    assert table(store).changes(steps[-3]).added.tolist() == [19, 20]
    assert table(store).changes(steps[-1] + 1) is None  # of another store
    logged = store.database.connection.execute("SELECT count(*) FROM changes").fetchone()[0]
    assert logged <= 5 + 4


def test_the_log_is_cut_of_every_space_whoever_s_turn_it_is(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vectors_module, "LOG_LENGTH", 5)
    monkeypatch.setattr(vectors_module, "CUT_EVERY", 2)
    put(store, new(1, captions=(("one", "file"),)))
    (caption,) = (caption.id for caption in store.picture(1).captions)
    for _ in range(20):  # the pictures' changes always have odd numbers, the captions' even ones
        table(store).put([1], unit(1)[None])
        table(store, "caption").put([caption], unit(1)[None])
    assert store.database.connection.execute("SELECT max(n) FROM (SELECT count(*) n FROM changes GROUP BY space)").fetchone()[0] <= 7


def test_purge_forgets_what_was_removed_long_ago_and_names_the_files(store: Store, tmp_path: Path):
    copy = str(tmp_path / "library" / "originals" / "1.jpg")
    ids = put(
        store,
        new(1, place=Place(copy, 10, 5, stored=True)),
        new(2, "/own/2.jpg"),
        new(3, "/lost/3.jpg"),
        new(4, "/kept/4.jpg"),
        new(5, "/dropped/5.jpg"),
    )
    store.remove(ids[:2])
    store.forget(["/lost/3.jpg"])
    store.drop_folder("/dropped")
    assert store.purge(time.time() - 60) == ([], [])
    hashes, copies = store.purge(FAR)
    assert sorted(hashes) == ["hash 1", "hash 3", "hash 5"]
    assert copies == [copy]
    assert store.known("hash 2", Place("/own/2.jpg", 10, 5), None)  # or the next look would bring it back
    assert store.known("hash 2", Place("/own/2.jpg", 10, 5), SPACE) is None
    assert store.picture(ids[0]) is None
    put(store, new(2, "/own/2.jpg", vector=False), restore=False)
    assert store.ids().tolist() == ids[3:4]
    assert store.purge(FAR) == ([], [])


def test_a_copy_s_place_moves_with_the_library(store: Store, tmp_path: Path):
    inside = tmp_path / "library" / "originals" / "ab" / "1.jpg"
    put(store, new(1, place=Place(str(inside), 10, 5, stored=True)))
    assert store.copies() == {str(inside)}
    assert store.known_below(str(tmp_path)) == {}
    store.database.close()
    os.rename(tmp_path / "library", tmp_path / "moved")
    moved = open_store(tmp_path / "moved")
    assert moved.copies() == {place.path for place in moved.picture(1).places} == {str(tmp_path / "moved" / "originals" / "ab" / "1.jpg")}
    moved.database.close()


def test_a_dropped_folder_takes_only_what_lies_in_no_other(store: Store):
    ids = put(store, new(1, "/a/1.jpg"), new(2, "/a/b/2.jpg"), new(3, "/a/3.jpg"), new(4, "/a/4.jpg"))
    put(store, new(3, "/c/3.jpg"))
    store.fail("/a/broken.jpg", 1, 1, "picture_broken", {"name": "broken.jpg"})
    store.remove(ids[3:])
    for folder in ("/a", "/a/b", "/c"):
        store.add_folder(folder)
    removal = store.drop_folder("/a")
    assert found(store) == {"2.jpg", "3.jpg"}
    assert store.failures() == []
    assert set(store.known_below("/a")) == {"/a/b/2.jpg", "/a/3.jpg", "/a/4.jpg"}
    assert [folder.path for folder in store.folders()] == ["/a/b", "/c"]
    assert store.undo(removal) == ids[:1]
    store.drop_folder("/a/b")
    put(store, new(2, "/a/b/2.jpg"), new(4, "/a/4.jpg"), restore=False)
    assert found(store) == {"1.jpg", "2.jpg", "3.jpg"}


@pytest.mark.parametrize("watched", [False, True])
def test_a_folder_that_was_dropped_comes_back_as_it_was(store: Store, watched: bool):
    (id,) = put(store, new(1, "/a/1.jpg"))
    for folder in ("/a", "/empty"):
        store.add_folder(folder, watched)
    full, empty, other = store.drop_folder("/a"), store.drop_folder("/empty"), store.drop_folder("/never added")
    assert [store.dropped_folder(removal) for removal in (full, empty, other, 99)] == ["/a", "/empty", None, None]
    assert [store.undo(removal) for removal in (full, empty, other, 99)] == [[id], [], [], []]
    assert [(folder.path, folder.watched, folder.pictures) for folder in store.folders()] == [("/a", watched, 1), ("/empty", watched, 0)]
    assert store.dropped_folder(full) is None
    store.drop_folder("/a")
    assert store.undo(full) == []  # it is the second removal's to undo
    assert [folder.path for folder in store.folders()] == ["/empty"]


def test_a_folder_that_was_added_again_stays_as_it_is_now(store: Store):
    store.add_folder("/a", watched=True)
    removal = store.drop_folder("/a")
    store.add_folder("/a")
    assert store.dropped_folder(removal) is None
    store.undo(removal)
    assert [folder.watched for folder in store.folders()] == [False]


def test_a_failure_s_pairs_come_back_as_pairs(store: Store):
    facts = {"name": "a", "reason": ("why", "为何"), "wanted": ["one", "two", "three"]}
    store.fail("/a.jpg", 1, 2, "picture_broken", facts)
    assert store.failures()[0].facts == facts


def test_failures_are_listed_until_the_file_is_well_or_gone(store: Store):
    for name in ("a", "b", "c"):
        store.fail(f"/{name}.jpg", 1, 2, "picture_broken", {"name": name})
    assert store.known_below("/") == {f"/{name}.jpg": (1, 2, True) for name in "abc"}
    put(store, new(1, "/a.jpg"))
    store.forget(["/b.jpg"])
    assert [(failure.path, failure.code, dict(failure.facts)) for failure in store.failures()] == [
        ("/c.jpg", "picture_broken", {"name": "c"})
    ]


def test_a_transaction_that_fails_leaves_nothing(store: Store):
    put(store, new(1))
    before = table(store).sequence()
    with pytest.raises(ValueError, match="zip"):
        store.vectors(SPACE, "picture", DIMENSION).put([1, 2], unit(1)[None])
    with pytest.raises(UserError):
        store.add([new(2), replace(new(3), hash=None)], SPACE)
    assert store.count() == 1
    assert table(store).sequence() == before


def test_a_store_of_a_newer_version_is_left_alone(store: Store):
    put(store, new(1))
    store.database.connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    store.database.close()
    for read_only in (False, True):
        with pytest.raises(UserError) as caught:
            open_store(store.database.path.parent, read_only)
        assert caught.value.code == "library_newer"
    store.database.connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
    assert store.count() == 1


def test_a_store_of_the_first_version_is_brought_to_the_present_one(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "library.db")) as connection:
        connection.executescript(f"{MIGRATIONS[0]} PRAGMA user_version=1;")
        connection.execute("INSERT INTO folders VALUES ('/a', 1)")
        connection.execute("INSERT INTO removals(at, reason) VALUES (1, 'dropped')")
        connection.commit()
    with pytest.raises(UserError) as caught:
        open_store(tmp_path, read_only=True)
    assert caught.value.code == "library_older"
    store = open_store(tmp_path)
    assert store.undo(1) == []
    removal = store.drop_folder("/a")
    store.undo(removal)
    assert [(folder.path, folder.watched) for folder in store.folders()] == [("/a", True)]
    store.database.close()


def test_a_file_that_is_no_store_is_told_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "library.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(UserError) as caught:
        open_store(tmp_path)
    assert caught.value.code == "library_broken"
    assert (tmp_path / "library.db").read_bytes() == b"something else entirely" * 100


def test_a_store_that_is_only_read_sees_what_comes_and_takes_nothing(store: Store):
    put(store, new(1))
    reader = open_store(store.database.path.parent, read_only=True)
    assert reader.count() == 1
    put(store, new(2))
    assert reader.count() == table(reader).count() == 2
    for wish in (lambda: reader.remove([1]), lambda: put(reader, new(3)), lambda: reader.fail("/x", 1, 1, "picture_broken", {})):
        with pytest.raises(UserError) as caught:
            wish()
        assert caught.value.code == "library_read_only"
    reader.database.close()


def test_what_was_put_in_is_there_after_opening_again(store: Store):
    put(store, new(1, captions=(("one", "file"),)))
    store.remove(put(store, new(2)))
    store.database.close()
    again = open_store(store.database.path.parent)
    assert found(again) == {"1.jpg"}
    assert found(again, text="one") == {"1.jpg"}
    assert again.was_used()
    assert again.database.damage() == []
    again.database.close()


def test_readers_see_whole_transactions_while_one_writes(store: Store):
    """Every picture comes with its vector and its partner, or not at all."""
    put(store, new(1), new(2))
    end, torn = threading.Event(), []

    def look() -> None:
        while not end.is_set():
            with store.database.reading():
                count, vectors = store.count(), table(store).count()
                if count % 2 or count != vectors or sum(len(ids) for ids, _ in table(store).blocks(7)) != count:
                    torn.append((count, vectors))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(3, 121, 2):
        put(store, new(number), new(number + 1))
        if number % 20 == 1:
            store.remove([number, number + 1])
    end.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert store.count() == 110


def test_what_threads_left_open_is_closed_when_another_comes(store: Store):
    for _ in range(50):
        thread = threading.Thread(target=store.count)
        thread.start()
        thread.join()
    assert len(store.database._opened) == 2  # this thread's, and the last one's
    assert store.count() == 0


def test_a_thread_that_cannot_connect_is_told(store: Store, tmp_path: Path):
    store.database.path = tmp_path / "nowhere" / "library.db"
    with ThreadPoolExecutor(1) as pool, pytest.raises(UserError) as caught:
        pool.submit(store.count).result()
    assert caught.value.code == "library_disk_refuses"


READS = {
    "sample_ids": (),
    "was_used": (),
    "signatures": (),
    "dropped_folder": (1,),
    "copies": (),
    "known_below": ("/",),
    "has_folder": ("/",),
    "folders": (),
    "failures": (),
    "captions": ([1],),
    "without_caption": (1,),
    "count_without_caption": (),
    "spaces": ("picture",),
    "missing": (SPACE, "picture", 1),
    "pictures": ([1],),
    "ids": (),
}


@pytest.mark.parametrize("read", [*READS, "sequence"])
def test_what_cannot_be_read_is_told(store: Store, read: str):
    put(store, *(new(number) for number in range(1, 9)))
    store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.close()
    size = store.database.path.stat().st_size
    with store.database.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(UserError) as caught:
        store.database.sequence() if read == "sequence" else getattr(store, read)(*READS[read])
    assert caught.value.code == "library_broken"


def test_a_second_writer_waits_its_turn(store: Store):
    def write(numbers: range) -> None:
        for number in numbers:
            put(store, new(number))

    writers = [threading.Thread(target=write, args=(range(start, start + 20),)) for start in (100, 200, 300)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert store.count() == table(store).count() == 60
    sequences = store.database.connection.execute("SELECT sequence FROM changes").fetchall()
    assert len(set(sequences)) == 60


def test_a_lost_picture_is_no_person_s_wish(store: Store):
    (id,) = put(store, new(1))
    store.remove([id])
    store.forget(["/photos/1.jpg"])
    put(store, new(1), restore=False)
    assert store.count() == 0  # it was taken out before its file went
    reasons = store.database.connection.execute("SELECT r.reason FROM pictures p JOIN removals r ON r.id = p.removal").fetchall()
    assert reasons != [(LOST,)]


def test_a_damaged_page_is_seen(store: Store):
    put(store, *(new(number) for number in range(1, 400)))
    store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.close()
    with store.database.path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096 * 4)
    again = open_store(store.database.path.parent)
    assert again.database.damage()
    again.database.close()
