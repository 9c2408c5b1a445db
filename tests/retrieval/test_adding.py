"""Files and folders into the store: what is read, what is kept, what is forgotten, and what may go wrong meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.records import Filter
from multimodal.retrieval.store import Store, open_store
from tests.retrieval.conftest import Desk
from tests.retrieval.projection import Projection


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture of its own, whatever the form that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(pixels).resize(size).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three pictures, one of them deeper."""
    for seed, name in enumerate(("a.jpg", "b.png", "deep/c.webp")):
        photo(tmp_path / "photos" / name, seed)
    return tmp_path / "photos"


def names(store: Store) -> list[str]:
    return [picture.name for picture in store.pictures(store.ids(sort="name"))]


def added(desk: Desk, folder: Path) -> Desk:
    desk.adding.add_folder(folder)
    desk.done()
    assert desk.adding.progress.error is None
    return desk


class Gate(Projection):
    """An encoder that waits where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.open = threading.Event(), threading.Event()

    def encode_prepared(self, batch: list[np.ndarray]) -> np.ndarray:
        self.reached.set()
        assert self.open.wait(30)
        return super().encode_prepared(batch)


def test_a_folder_s_pictures_come_in_with_vectors_and_thumbnails(desk: Desk, photos: Path):
    added(desk, photos)
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    assert desk.vectors() == 3
    assert desk.commits >= 1
    (folder,) = desk.store.folders()
    assert (folder.path, folder.pictures) == (str(photos), 3)
    for picture in desk.store.pictures(desk.store.ids()):
        (place,) = picture.places
        assert (Path(place.path).stat().st_size, Path(place.path).stat().st_mtime_ns, place.stored) == (place.bytes, place.modified, False)
        assert (desk.folder / "thumbnails" / picture.hash[:2] / f"{picture.hash}.webp").is_file()
        assert (picture.width, picture.height) == (64, 48)
    progress = desk.adding.progress
    assert (progress.state, progress.done, progress.total, progress.added) == ("idle", 3, 3, 3)


def test_a_person_s_files_are_never_written_to(desk: Desk, photos: Path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*.*")}
    added(desk, photos)
    desk.store.remove(desk.store.ids().tolist())
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in photos.rglob("*.*")} == before


def test_what_is_unchanged_is_not_read_again(desk: Desk, photos: Path):
    added(desk, photos)
    sequence = desk.store.database.sequence()
    added(desk, photos)
    progress = desk.adding.progress
    assert (progress.unchanged, progress.added, progress.done) == (3, 0, 3)
    assert desk.encoder.encoded == 3
    assert desk.store.database.sequence() == sequence


def test_the_same_bytes_twice_are_one_picture(desk: Desk, photos: Path):
    shutil.copy(photos / "a.jpg", photos / "deep" / "again.jpg")
    added(desk, photos)
    assert desk.store.count() == desk.vectors() == 3
    places = {len(picture.places) for picture in desk.store.pictures(desk.store.ids())}
    assert places == {1, 2}


def test_a_moved_file_keeps_its_picture_and_its_vector(desk: Desk, photos: Path):
    added(desk, photos)
    ids = set(desk.store.ids().tolist())
    thumbnails = {path: path.stat().st_mtime_ns for path in desk.folder.glob("thumbnails/*/*")}
    (photos / "elsewhere").mkdir()
    os.rename(photos / "a.jpg", photos / "elsewhere" / "renamed.jpg")
    added(desk, photos)
    assert {path: path.stat().st_mtime_ns for path in desk.folder.glob("thumbnails/*/*")} == thumbnails  # nor was it decoded
    assert set(desk.store.ids().tolist()) == ids
    assert desk.encoder.encoded == 3
    assert desk.vectors() == 3
    assert desk.store.count(Filter(folder=str(photos / "elsewhere"))) == 1


def test_a_file_that_went_is_lost_and_found_again_without_encoding(desk: Desk, photos: Path, tmp_path: Path):
    added(desk, photos)
    os.rename(photos / "a.jpg", tmp_path / "a.jpg")
    added(desk, photos)
    assert names(desk.store) == ["b.png", "c.webp"]
    os.rename(tmp_path / "a.jpg", photos / "a.jpg")
    added(desk, photos)
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    assert desk.encoder.encoded == 3


def test_a_changed_file_holds_its_new_picture_alone(desk: Desk, photos: Path):
    added(desk, photos)
    photo(photos / "a.jpg", seed=9, size=(80, 60))
    added(desk, photos)
    assert desk.store.count() == desk.vectors() == 3
    (picture,) = [picture for picture in desk.store.pictures(desk.store.ids()) if picture.name == "a.jpg"]
    assert (picture.width, picture.height) == (80, 60)


def test_what_a_person_took_out_stays_out_until_they_bring_it(desk: Desk, photos: Path):
    added(desk, photos)
    (id,) = [picture.id for picture in desk.store.pictures(desk.store.ids()) if picture.name == "a.jpg"]
    desk.store.remove([id])
    os.utime(photos / "a.jpg", (1, 1))
    added(desk, photos)
    assert names(desk.store) == ["b.png", "c.webp"]
    desk.adding.add_files([photos / "a.jpg"])
    desk.done()
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    assert desk.encoder.encoded == 3


def test_a_folder_that_was_dropped_brings_its_pictures_back(desk: Desk, photos: Path):
    added(desk, photos)
    desk.store.drop_folder(str(photos))
    assert desk.store.count() == 0
    added(desk, photos)
    assert desk.store.count() == desk.vectors() == 3
    assert desk.encoder.encoded == 3


def test_broken_files_are_listed_and_read_again_only_when_they_changed(desk: Desk, photos: Path, caplog: pytest.LogCaptureFixture):
    (photos / "broken.jpg").write_bytes((photos / "a.jpg").read_bytes()[:300])
    (photos / "words.png").write_text("hello")
    added(desk, photos)
    assert {(Path(failure.path).name, failure.code) for failure in desk.store.failures()} == {
        ("broken.jpg", "picture_broken"),
        ("words.png", "file_unknown"),
    }
    assert desk.store.count() == 3
    assert desk.adding.progress.failed == 2
    read: list[str] = []
    bring = desk.adding._bringing.read
    object.__setattr__(desk.adding._bringing, "read", lambda source: read.append(source.name) or bring(source))
    added(desk, photos)
    assert read == []
    assert desk.adding.progress.failed == 2
    photo(photos / "broken.jpg", seed=7)
    (photos / "words.png").unlink()
    added(desk, photos)
    assert read == ["broken.jpg"]
    assert desk.store.failures() == []
    assert desk.store.count() == 4
    assert "Traceback" not in caplog.text


def test_a_file_that_goes_between_the_look_and_the_reading_is_no_failure(desk: Desk, photos: Path):
    class Thief(Projection):
        def prepare(self, image: Image.Image) -> np.ndarray:
            (photos / "z.jpg").unlink(missing_ok=True)
            return super().prepare(image)

    photo(photos / "z.jpg", seed=99)
    added(desk, photos)
    for seed in range(100, 130):
        photo(photos / f"{seed}.jpg", seed)
    os.utime(photos / "z.jpg", (1, 1))
    desk.encoder = Thief()
    added(desk, photos)
    assert "z.jpg" not in names(desk.store)
    assert desk.store.failures() == []


def test_a_picture_that_became_broken_is_no_longer_shown(desk: Desk, photos: Path):
    added(desk, photos)
    (photos / "a.jpg").write_bytes(b"\xff\xd8\xff")
    added(desk, photos)
    assert names(desk.store) == ["b.png", "c.webp"]
    assert [failure.code for failure in desk.store.failures()] == ["picture_broken"]


def test_what_lies_in_a_folder_that_cannot_be_read_is_not_forgotten(
    desk: Desk, photos: Path, closed: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    added(desk, photos)
    closed(photos / "deep")
    added(desk, photos)
    assert [(failure.path, failure.code) for failure in desk.store.failures()] == [(str(photos / "deep"), "folder_unreadable")]
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    monkeypatch.undo()
    added(desk, photos)
    assert desk.store.failures() == []


def test_a_file_that_may_not_be_opened_keeps_its_picture_and_is_tried_again(
    desk: Desk, photos: Path, closed: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    added(desk, photos)
    os.utime(photos / "a.jpg", (1, 1))
    photo(photos / "new.jpg", seed=5)
    closed(photos / "new.jpg")
    closed(photos / "a.jpg")
    for _ in range(2):
        added(desk, photos)
        assert {(Path(failure.path).name, failure.code) for failure in desk.store.failures()} == {
            ("a.jpg", "file_unreadable"),
            ("new.jpg", "file_unreadable"),
        }
        assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    monkeypatch.undo()
    added(desk, photos)
    assert desk.store.failures() == []
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp", "new.jpg"]


def test_a_file_that_was_brought_by_itself_is_not_forgotten_by_a_look_that_passes_it_over(desk: Desk, photos: Path):
    hidden = photo(photos / ".hidden.png", seed=6)
    desk.adding.add_files([hidden])
    desk.done()
    added(desk, photos)
    assert ".hidden.png" in names(desk.store)
    hidden.unlink()
    added(desk, photos)
    assert ".hidden.png" not in names(desk.store)


def test_a_folder_that_is_not_there_is_told_at_once_and_forgets_nothing(desk: Desk, photos: Path):
    added(desk, photos)
    os.rename(photos, photos.with_name("away"))
    with pytest.raises(UserError) as caught:
        desk.adding.add_folder(photos)
    assert caught.value.code == "folder_missing"
    assert desk.store.count() == 3


def test_a_folder_that_is_there_but_empty_is_told_and_forgets_nothing(desk: Desk, photos: Path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    added(desk, photos)
    os.rename(photos, photos.with_name("away"))
    photos.mkdir()  # as a mount point is
    desk.adding.add_folder(photos)
    desk.done()
    error = desk.adding.progress.error
    assert (error.code, error.facts["count"]) == ("folder_empty", 3)
    assert desk.store.count() == 3
    assert len(desk.store.failures()) == 1
    photos.rmdir()
    os.rename(photos.with_name("away"), photos)
    desk.adding.resume()
    desk.done()
    assert (desk.adding.progress.error, desk.encoder.encoded) == (None, 3)


def test_an_empty_folder_of_which_nothing_is_known_is_no_fault(desk: Desk, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jpg").write_text("no picture")
    added(desk, tmp_path / "empty")
    (tmp_path / "empty" / "a.jpg").unlink()
    added(desk, tmp_path / "empty")
    assert desk.store.failures() == []


def test_a_folder_below_one_that_may_not_be_looked_into_is_told(desk: Desk, photos: Path, monkeypatch: pytest.MonkeyPatch):
    def is_dir(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", is_dir)  # as Python up to 3.12 has it
    monkeypatch.setattr("multimodal.retrieval.adding.os.path.isdir", lambda path: False)
    with pytest.raises(UserError) as caught:
        desk.adding.add_folder(photos)
    assert caught.value.code == "folder_missing"


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are text there")
def test_a_name_in_no_encoding_is_listed_and_stops_nothing(desk: Desk, photos: Path):
    odd = Path(os.fsdecode(os.fsencode(photos) + b"/\xff.jpg"))
    shutil.copy(photos / "a.jpg", odd)
    desk.adding.add_files([odd, photos / "b.png"])
    desk.done()
    assert desk.adding.progress.error is None
    assert names(desk.store) == ["b.png"]
    ((path, code),) = [(failure.path, failure.code) for failure in desk.store.failures()]
    assert (path, code) == (f"{photos}/\ufffd.jpg", "file_name_unreadable")
    with pytest.raises(UserError) as caught:
        desk.adding.add_folder(odd)
    assert caught.value.code == "file_name_unreadable"


@pytest.mark.parametrize("where", ["multimodal.retrieval.bringing.read_content", "multimodal.retrieval.reading.to_rgb"])
def test_a_file_for_which_memory_did_not_suffice_keeps_its_picture_and_is_tried_again(
    desk: Desk, photos: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    def run_out(*_: object) -> None:
        raise MemoryError

    added(desk, photos)
    os.utime(photos / "a.jpg", (1, 1))
    shutil.rmtree(desk.folder / "thumbnails")  # so that it is decoded again
    photo(photos / "new.jpg", seed=5)
    with monkeypatch.context() as patched:
        patched.setattr(where, run_out)
        added(desk, photos)
        assert {(Path(failure.path).name, failure.code) for failure in desk.store.failures()} == {
            ("a.jpg", "picture_no_memory"),
            ("new.jpg", "picture_no_memory"),
        }
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp"]
    added(desk, photos)
    assert desk.store.failures() == []
    assert names(desk.store) == ["a.jpg", "b.png", "c.webp", "new.jpg"]


def test_a_fault_of_the_store_is_none_of_the_file_s(desk: Desk, photos: Path, monkeypatch: pytest.MonkeyPatch):
    def known(*_: object) -> None:
        raise UserError("library_busy")

    added(desk, photos)
    os.utime(photos / "a.jpg", (1, 1))
    with monkeypatch.context() as patched:
        patched.setattr(desk.store, "known", known)
        desk.adding.add_folder(photos)
        desk.done()
    assert (desk.adding.progress.error.code, desk.store.failures(), desk.store.count()) == ("library_busy", [], 3)


def test_what_is_given_again_mends_a_copy_that_was_damaged(desk: Desk, photos: Path):
    (id,) = desk.adding.take([(photos / "a.jpg", "a.jpg")]).ids
    copy, whole = Path(desk.store.picture(id).places[0].path), (photos / "a.jpg").read_bytes()
    copy.write_bytes(whole[:-1] + b"x")
    os.utime(copy, (1, 1))
    desk.adding.take([(photos / "a.jpg", "a.jpg")])
    assert copy.read_bytes() == whole
    os.utime(copy, (1, 1))
    desk.adding.take([(photos / "a.jpg", "a.jpg")])
    assert copy.stat().st_mtime > 1  # that somebody needs it is seen by its time


def test_uploads_are_copied_and_are_there_at_once(desk: Desk, tmp_path: Path):
    upload = photo(tmp_path / "uploaded" / "0001.tmp.png", seed=3)
    (tmp_path / "uploaded" / "no.jpg").write_bytes(b"no picture")
    taken = desk.adding.take([(upload, "海滩.png"), (tmp_path / "uploaded" / "no.jpg", "no.jpg")], [["a beach", "沙滩"], []])
    shutil.rmtree(tmp_path / "uploaded")
    (id,) = taken.ids
    picture = desk.store.picture(id)
    (place,) = picture.places
    assert (picture.name, place.stored, Path(place.path)) == (
        "海滩.png",
        True,
        desk.folder / "originals" / picture.hash[:2] / f"{picture.hash}.png",
    )
    with Image.open(place.path) as image:
        assert image.size == (64, 48)
    assert [(failure.path, failure.code) for failure in taken.failures] == [("no.jpg", "file_unknown")]
    assert desk.store.failures() == []
    assert desk.vectors() == 1
    assert [caption.text for caption in picture.captions] == ["a beach", "沙滩"]
    desk.done()
    assert desk.vectors("caption") == 2


def test_an_upload_of_what_was_taken_out_brings_it_back(desk: Desk, photos: Path):
    first = desk.adding.take([(photos / "a.jpg", "a.jpg")])
    desk.store.remove(first.ids)
    assert desk.adding.take([(photos / "a.jpg", "other.jpg")]).ids == first.ids
    assert desk.store.count() == 1
    assert desk.encoder.encoded == 1


def test_copies_stay_the_library_s_own_when_it_is_moved(desk: Desk, photos: Path, tmp_path: Path):
    desk.adding.take([(photos / "a.jpg", "a.jpg")])
    desk.adding.close()
    desk.store.database.close()
    os.rename(desk.folder, tmp_path / "moved")
    store = open_store(tmp_path / "moved")
    ((place,),) = [picture.places for picture in store.pictures(store.ids())]
    assert Path(place.path).is_relative_to(tmp_path / "moved")
    assert Path(place.path).is_file()
    store.database.close()
    desk.folder.mkdir()  # for the fixture's end


def test_pictures_come_in_without_an_encoder_and_are_filled_in_later(desk: Desk, photos: Path):
    desk.encoder = None
    added(desk, photos)
    desk.adding.take([(photos / "a.jpg", "a.jpg")], [["one"]])
    assert desk.store.count() == 3
    desk.encoder = Projection()
    assert desk.vectors() == 0
    desk.adding.fill()
    desk.done()
    assert desk.vectors() == desk.encoder.encoded == 3
    assert desk.vectors("caption") == 1


def test_another_encoder_makes_only_what_is_missing_and_the_old_vectors_go_last(desk: Desk, photos: Path):
    added(desk, photos)
    old = desk.encoder
    desk.encoder = Gate()
    desk.encoder.space = "other"
    desk.adding.fill()
    assert desk.encoder.reached.wait(30)
    assert desk.store.vectors(old.space, "picture", old.dimension).count() == 3
    desk.encoder.open.set()
    desk.done()
    assert desk.vectors() == desk.encoder.encoded == 3
    assert desk.store.vectors(old.space, "picture", old.dimension).count() == 0
    desk.adding.fill()
    desk.done()
    assert desk.encoder.encoded == 3


def test_the_old_vectors_stay_where_the_new_ones_cannot_all_be_made(desk: Desk, photos: Path, tmp_path: Path):
    added(desk, photos)
    os.rename(photos / "a.jpg", tmp_path / "a.jpg")
    old, desk.encoder = desk.encoder, Projection("other")
    desk.adding.fill()
    desk.done()
    assert desk.vectors() == 2
    assert desk.adding.progress.failed == 1
    assert desk.store.vectors(old.space, "picture", old.dimension).count() == 3


def test_a_file_that_holds_another_picture_by_now_gives_no_vector(desk: Desk, photos: Path):
    desk.encoder = None
    added(desk, photos)
    photo(photos / "a.jpg", seed=9)
    desk.encoder = Projection()
    desk.adding.fill()
    desk.done()
    assert desk.vectors() == 2


def test_an_encoder_that_is_put_away_meanwhile_costs_no_picture(desk: Desk, photos: Path):
    gate = desk.encoder = Gate()
    gate.at_once = 0  # it fails, as one whose weights are gone
    desk.adding.add_folder(photos)
    assert gate.reached.wait(30)
    desk.encoder = None
    gate.open.set()
    desk.done()
    assert (desk.store.count(), desk.adding.progress.error) == (3, None)


def test_fewer_are_encoded_at_once_where_memory_runs_out(desk: Desk, photos: Path):
    for seed in range(10, 20):
        photo(photos / f"{seed}.jpg", seed)
    desk.encoder = Projection(at_once=3)
    added(desk, photos)
    assert desk.vectors() == 13


def test_where_there_is_no_memory_at_all_pictures_stay_and_it_is_told(desk: Desk, photos: Path):
    desk.encoder = Projection(at_once=0)
    desk.adding.add_folder(photos)
    desk.done()
    progress = desk.adding.progress
    assert (progress.state, progress.error.code, desk.store.count(), desk.vectors()) == ("failed", "library_out_of_memory", 3, 0)
    desk.encoder.at_once = None
    desk.adding.resume()
    desk.done()
    assert desk.adding.progress.error is None
    assert desk.vectors() == 3


def test_an_upload_is_taken_though_the_encoder_fails(desk: Desk, photos: Path):
    desk.encoder = Projection(at_once=0)
    assert len(desk.adding.take([(photos / "a.jpg", "a.jpg")]).ids) == 1
    desk.done()
    assert desk.adding.progress.error.code == "library_out_of_memory"
    desk.encoder.at_once = None
    desk.adding.resume()
    desk.done()
    assert desk.vectors() == 1


def test_a_full_disk_stops_the_task_which_can_be_resumed(desk: Desk, photos: Path, monkeypatch: pytest.MonkeyPatch):
    def replace(source: Path, target: Path) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    rename, full = os.replace, True
    monkeypatch.setattr("multimodal.retrieval.whole_file.os.replace", replace)
    desk.adding.add_folder(photos)
    desk.done()
    progress = desk.adding.progress
    assert (progress.state, progress.error.code, desk.store.failures()) == ("failed", "library_disk_full", [])
    with pytest.raises(UserError) as caught:
        desk.adding.take([(photos / "a.jpg", "a.jpg")])
    assert caught.value.code == "library_disk_full"
    full = False
    desk.adding.resume()
    desk.done()
    assert (desk.adding.progress.state, desk.adding.progress.error, desk.store.count()) == ("idle", None, 3)
    assert not list(desk.folder.rglob("*.part"))


def test_a_pause_holds_and_resume_goes_on(desk: Desk, photos: Path):
    gate = desk.encoder = Gate()
    desk.adding.add_folder(photos)
    assert gate.reached.wait(30)
    desk.adding.add_folder(photos / "deep")
    desk.adding.pause()
    gate.open.set()
    assert not desk.adding.wait(0.3)
    assert desk.adding.progress.state == "paused"
    assert desk.store.count() == 3  # what was at hand
    desk.adding.resume()
    desk.done()
    assert desk.adding.progress.state == "idle"
    assert len(desk.store.folders()) == 2


def test_cancel_keeps_what_was_committed_and_the_next_look_goes_on(desk: Desk, photos: Path):
    for seed in range(100):
        photo(photos / f"{seed}.jpg", seed + 10)
    gate = desk.encoder = Gate()
    desk.adding.add_folder(photos)
    assert gate.reached.wait(30)
    desk.adding.cancel()
    gate.open.set()
    desk.done()
    assert desk.adding.progress.state == "cancelled"
    kept = desk.store.count()
    assert 0 < kept < 103
    added(desk, photos)
    assert desk.store.count() == desk.vectors() == 103
    assert desk.encoder.encoded < 103 + 103 - kept


def test_a_folder_that_is_dropped_while_it_is_read_brings_nothing_more(desk: Desk, photos: Path):
    for seed in range(100):
        photo(photos / f"{seed}.jpg", seed + 10)
    gate = desk.encoder = Gate()
    desk.adding.add_folder(photos)
    assert gate.reached.wait(30)
    desk.store.drop_folder(str(photos))
    gate.open.set()
    desk.done()
    assert desk.store.count() <= 32


def test_a_folder_that_is_dropped_before_its_pictures_are_committed_brings_none_of_them(
    desk: Desk, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    def commit(*arguments: object) -> list[int]:
        dropping.start()  # at the last moment
        dropping.join(0.2)
        return commit_all(*arguments)

    commit_all, dropping = desk.adding._bringing.commit, threading.Thread(target=desk.store.drop_folder, args=(str(photos),))
    monkeypatch.setattr(desk.adding._bringing, "commit", commit)
    desk.adding.add_folder(photos)
    desk.done()
    dropping.join()
    assert desk.store.count() == 0


def test_closing_ends_what_is_under_way(desk: Desk, photos: Path):
    for seed in range(100):
        photo(photos / f"{seed}.jpg", seed + 10)
    desk.adding.add_folder(photos)
    desk.adding.close()
    assert desk.store.count() < 103
    with pytest.raises(UserError):
        desk.adding.add_folder(photos)


def test_closing_waits_for_what_is_being_taken_which_ends_early_and_says_so(desk: Desk, photos: Path):
    files = [(photo(photos / f"{seed}.jpg", seed + 10), f"{seed}.jpg") for seed in range(100)]
    gate = desk.encoder = Gate()
    with ThreadPoolExecutor(2) as pool:
        taking = pool.submit(desk.adding.take, files)
        assert gate.reached.wait(30)
        closing = pool.submit(desk.adding.close)
        time.sleep(0.1)
        assert not closing.done()
        gate.open.set()
        with pytest.raises(UserError) as caught:
            taking.result(30)
        closing.result(30)
    assert caught.value.code == "library_closed"
    assert 0 < desk.store.count() == desk.vectors() < 100


def test_a_library_that_is_read_only_takes_nothing(desk: Desk, photos: Path, tmp_path: Path):
    store = open_store(desk.folder, read_only=True)
    adding = Adding(store, desk.folder, Limits(), lambda: None, lambda: None)
    for wish in (lambda: adding.add_folder(photos), lambda: adding.take([(photos / "a.jpg", "a")]), lambda: adding.add_files([photos])):
        with pytest.raises(UserError) as caught:
            wish()
        assert caught.value.code == "library_read_only"
    adding.close()
    store.database.close()
    assert not (desk.folder / "originals").exists()


def test_files_of_a_person_s_that_are_not_there_are_listed(desk: Desk, photos: Path):
    desk.adding.add_files([photos / "a.jpg", photos / "nothing.jpg", photos])
    desk.done()
    assert names(desk.store) == ["a.jpg"]
    assert {(Path(failure.path).name, failure.code) for failure in desk.store.failures()} == {
        ("nothing.jpg", "file_missing"),
        ("photos", "file_unknown"),
    }


def test_a_folder_can_be_searched_while_it_is_read(desk: Desk, photos: Path):
    for seed in range(60):
        photo(photos / f"{seed}.jpg", seed + 10)
    desk.adding.add_folder(photos)
    seen = set()
    while not desk.adding.wait(0.001):
        seen.add(desk.store.count())
        picture = desk.store.pictures(desk.store.ids(limit=1))
        assert not picture or picture[0].places
    assert desk.store.count() == 63


def test_a_second_look_at_many_files_is_quick(desk: Desk, tmp_path: Path):
    one = photo(tmp_path / "one.jpg").read_bytes()
    for index in range(1000):
        path = tmp_path / "many" / f"{index % 20:02}" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one)
    added(desk, tmp_path / "many")
    assert desk.store.count() == 1
    began = time.monotonic()
    added(desk, tmp_path / "many")
    assert time.monotonic() - began < 1
    assert desk.adding.progress.unchanged == 1000
