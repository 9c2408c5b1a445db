"""Checkpoints from a hub on this machine that speaks as both hubs do: what is fetched, what is not, and what a person is told."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import httpx
import pytest

from multimodal.chat import download as module
from multimodal.chat import hubs
from multimodal.chat.download import Download, HuggingFace, ModelScope, Plan, Progress, Source, is_complete, model_folder, plan
from multimodal.errors import UserError
from tests import hub as hub_fixtures
from tests.conftest import ROOT
from tests.hub import COMMIT, LAST, NAME, NEEDED, SHARD, SHARD_BYTES, WEIGHTS, Hub

surroundings, servers, hub = hub_fixtures.surroundings, hub_fixtures.servers, hub_fixtures.hub
pytestmark = pytest.mark.usefixtures("surroundings")

HALF = 150_000
ATTACK = "gone.safetensors"

EVIL = [
    "../evil.json",
    "../../evil.json",
    "..\\evil.json",
    "/evil.json",
    "\\evil.json",
    "C:evil.json",
    "C:\\evil.json",
    "a/../../evil.json",
    "folder/evil.json",
    "%2e%2e%2fevil.json",
    ".evil.json",
    ".files.json",
    "..",
    "nul.json",
    "COM1.txt",
    "evil.json\n",
    "evil.json\0.txt",
    "evil.json:stream.txt",
    "evil .json",
    "ｅvil.json",
    "evіl.json",  # with a Cyrillic letter
    "e" * 300 + ".json",
    "evil.json.part",
    "~evil.json",
    "-evil.json",
    "",
]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(params=[HuggingFace, ModelScope])
def source(request: pytest.FixtureRequest, hub: Hub) -> Source:
    return request.param(NAME)


def until(condition: Callable[[], object], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def started(source: Source, data: Path) -> Download:
    download = Download(plan(source, data))
    download.start()
    return download


def fetched(source: Source, data: Path) -> Path:
    """The folder after a download that went well."""
    download = started(source, data)
    assert download.wait(10)
    assert (download.status, download.failure) == ("done", None)
    assert download.progress.done == download.progress.total == download.plan.total
    assert download.plan.left == 0
    return download.plan.folder


def failed(source: Source, data: Path) -> str:
    """The code with which a download fails."""
    download = started(source, data)
    assert download.wait(10)
    assert download.status == "failed"
    return download.failure.code


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    assert caught.value.say("zh") != caught.value.say("en")
    return caught.value.code


def held(hub: Hub, source: Source, data: Path, name: str = SHARD, after: int = HALF) -> Download:
    """A download whose server has fallen silent in the middle of a file."""
    hub.holds[name] = after
    download = started(source, data)
    until(lambda: download.progress.file == name and part_of(download.plan, name) == after)
    return download


def part_of(plan: Plan, name: str) -> int:
    path = plan.folder / f"{name}.part"
    return path.stat().st_size if path.exists() else -1


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


# What is fetched


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize(
    ("kind", "listing", "answer", "url"),
    [
        (
            HuggingFace,
            "https://huggingface.co/api/models/Qwen/Qwen2.5-Omni-3B?blobs=true",
            {"sha": COMMIT, "siblings": [{"rfilename": "a b.json", "size": 3, "blobId": "c" * 40}]},
            f"https://huggingface.co/Qwen/Qwen2.5-Omni-3B/resolve/{COMMIT}/a%20b.json",
        ),
        (
            ModelScope,
            "https://www.modelscope.cn/api/v1/models/Qwen/Qwen2.5-Omni-3B/repo/files?Revision=master&Recursive=False",
            {"Data": {"Files": [{"Path": "a b.json", "Size": 3, "Sha256": "c" * 64, "Type": "blob"}]}},
            "https://www.modelscope.cn/api/v1/models/Qwen/Qwen2.5-Omni-3B/repo?Revision=master&FilePath=a+b.json",
        ),
    ],
)
def test_the_addresses_of_the_hubs(monkeypatch: pytest.MonkeyPatch, kind: type[Source], listing: str, answer: dict, url: str, end: str):
    monkeypatch.setenv(kind.variable, end and kind.address + end)
    source = kind("Qwen/Qwen2.5-Omni-3B")
    assert source.listing == listing
    assert [(file.name, file.size, file.url) for file in source.files(answer)] == [("a b.json", 3, url)]


def test_sizes_are_told_before_anything_is_fetched(hub: Hub, source: Source, tmp_path: Path):
    found = plan(source, tmp_path)
    assert found.total == found.left == sum(map(len, NEEDED.values()))
    assert found.free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert found.folder == model_folder(tmp_path, NAME) == tmp_path / "models" / "Qwen--Tiny-Omni"
    assert list(tmp_path.iterdir()) == []
    assert hub.asked == []


def test_the_needed_files_arrive_and_no_others(hub: Hub, source: Source, tmp_path: Path):
    folder = fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    assert hub.names_asked == {name for name, content in NEEDED.items() if content}
    assert hub.sent == {name: len(content) for name, content in NEEDED.items() if content}
    assert is_complete(folder)


def test_every_file_is_checked_by_its_checksum(source: Source, tmp_path: Path):
    lengths = {len(file.checksum) for file in plan(source, tmp_path).files}
    assert lengths == ({40, 64} if isinstance(source, HuggingFace) else {64})


def test_a_hub_without_checksums_is_checked_by_sizes(hub: Hub, tmp_path: Path):
    hub.listing = hub.list_of("ModelScope")
    for entry in hub.listing["Data"]["Files"]:
        entry["Sha256"] = ""
    source = ModelScope(NAME)
    assert contents(fetched(source, tmp_path)) == NEEDED
    fetched(source, tmp_path)
    assert len(hub.asked) == len(hub.names_asked)


def test_an_evil_name_never_becomes_a_path(hub: Hub, source: Source, tmp_path: Path):
    hub.files |= dict.fromkeys(EVIL, b"evil")
    (tmp_path / "data").mkdir()
    folder = fetched(source, tmp_path / "data")
    assert contents(folder) == NEEDED
    assert hub.names_asked.isdisjoint(EVIL)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert not list(tmp_path.rglob("*evil*"))


def test_names_that_differ_in_case_only_are_one_file(hub: Hub, source: Source, tmp_path: Path):
    hub.files["CONFIG.json"] = b"{}"
    assert contents(fetched(source, tmp_path)) == NEEDED


@pytest.mark.parametrize("link", [SHARD, f"{SHARD}.part", "config.json", "config.json.part", ".files.json", ".files.json.part"])
def test_a_link_in_the_folder_is_not_followed(source: Source, tmp_path: Path, link: str):
    secret = tmp_path / "secret"
    secret.write_bytes(b"mine")
    folder = model_folder(tmp_path, NAME)
    folder.mkdir(parents=True)
    (folder / link).symlink_to(secret)
    fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert secret.read_bytes() == b"mine"


def test_a_folder_that_is_a_link_is_refused(hub: Hub, source: Source, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "models").mkdir()
    model_folder(tmp_path, NAME).symlink_to(tmp_path / "elsewhere")
    assert failed(source, tmp_path) == "cannot_save"
    assert list((tmp_path / "elsewhere").iterdir()) == []


# How it goes


def test_progress_in_bytes_with_the_time_left(hub: Hub, tmp_path: Path):
    download = held(hub, HuggingFace(NAME), tmp_path)
    small = sum(len(content) for name, content in NEEDED.items() if name not in WEIGHTS)
    now = download.progress
    assert (now.done, now.total, now.file) == (small + HALF, small + 2 * SHARD_BYTES + 1, SHARD)
    assert download.status == "running"
    assert not download.wait(0)
    until(lambda: download.progress.seconds_left is not None)
    now = download.progress
    assert now.seconds_left == pytest.approx((now.total - now.done) / now.done, rel=0.3)  # it has lasted about a second
    download.cancel()
    assert download.wait(1)


def test_the_time_left_goes_by_the_latest_speed(monkeypatch: pytest.MonkeyPatch, source: Source, tmp_path: Path):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    download = Download(plan(source, tmp_path))
    file = max(download.plan.files, key=lambda file: file.size)
    download._marks = ((0.0, 0),) * 2
    assert download.progress == Progress(0, download.plan.total, "", None)
    for second in range(1, 41):  # 100 bytes a second at first, 5000 later
        clock.now = float(second)
        download._count(file, 100 * second if second <= 10 else 1000 + 5000 * (second - 10))
    now = download.progress
    assert now.seconds_left == pytest.approx((now.total - now.done) / 5000)


def test_a_cancel_ends_it_at_once_and_the_next_goes_on_there(hub: Hub, source: Source, tmp_path: Path):
    download = held(hub, source, tmp_path)
    began = time.monotonic()
    download.cancel()
    assert download.wait(1)
    assert time.monotonic() - began < 1
    assert (download.status, download.failure) == ("cancelled", None)
    assert not (download.plan.folder / SHARD).exists()
    assert part_of(download.plan, SHARD) == HALF
    assert not is_complete(download.plan.folder)
    assert download.plan.left == plan(source, tmp_path).left == SHARD_BYTES - HALF + SHARD_BYTES + 1
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert hub.sent == {name: len(content) for name, content in NEEDED.items() if content}  # nothing twice
    assert [first for name, first in hub.asked if name == SHARD] == [0, HALF]


def test_a_cancel_ends_the_wait_between_two_attempts(monkeypatch: pytest.MonkeyPatch, hub: Hub, source: Source, tmp_path: Path):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 60)
    hub.cuts[SHARD] = [HALF]
    download = started(source, tmp_path)
    until(lambda: part_of(download.plan, SHARD) == HALF)
    download.cancel()
    assert download.wait(1)
    assert download.status == "cancelled"


def test_a_cancel_ends_the_wait_for_an_answer(hub: Hub, source: Source, tmp_path: Path):
    found = plan(source, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        download = Download(replace(found, files=tuple(replace(file, url=address) for file in found.files)))
        download.start()
        mute.accept()
        download.cancel()
        assert download.wait(1)
    assert download.status == "cancelled"


def test_a_cancel_ends_the_reading_of_what_is_there(monkeypatch: pytest.MonkeyPatch, hub: Hub, tmp_path: Path):
    fetched(HuggingFace(NAME), tmp_path)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    download = started(HuggingFace(NAME), tmp_path)
    until(lambda: download.progress.file == SHARD)
    download.cancel()
    assert download.wait(1)
    assert download.status == "cancelled"
    assert contents(download.plan.folder) == NEEDED


def test_a_killed_process_loses_nothing(hub: Hub, source: Source, tmp_path: Path):
    script = (
        "import sys; from pathlib import Path; from multimodal.chat import download as d;"
        f"run = d.Download(d.plan(d.{type(source).__name__}({NAME!r}), Path(sys.argv[1]))); run.start(); run.wait()"
    )
    hub.holds[SHARD] = HALF
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    found = plan(source, tmp_path)
    try:
        until(lambda: part_of(found, SHARD) == HALF)
    finally:
        process.kill()
        process.wait(10)
    assert sum(hub.sent.values()) == found.total - found.left
    assert not (found.folder / SHARD).exists()
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert sum(hub.sent.values()) == found.total


def test_two_at_once_do_not_disturb_each_other(hub: Hub, source: Source, tmp_path: Path):
    first = held(hub, source, tmp_path)
    assert failed(source, tmp_path) == "download_running"
    assert part_of(first.plan, SHARD) == HALF
    first.cancel()
    assert first.wait(1)
    assert contents(fetched(source, tmp_path)) == NEEDED


# Connections that break, and bytes that are wrong


def test_a_connection_cut_in_the_middle_is_made_again(hub: Hub, source: Source, tmp_path: Path):
    hub.cuts = {SHARD: [100_000, 0, 50_000], LAST: [1], "config.json": [3]}
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert [first for name, first in hub.asked if name == SHARD] == [0, 100_000, 100_000, HALF]
    assert sum(hub.sent.values()) == sum(map(len, NEEDED.values()))


def test_a_connection_may_break_often_as_long_as_bytes_come(hub: Hub, source: Source, tmp_path: Path):
    hub.cuts = {SHARD: [10_000] * (3 * module.RETRIES)}
    assert contents(fetched(source, tmp_path)) == NEEDED


def test_a_connection_that_stays_broken_is_told_and_what_came_is_kept(hub: Hub, source: Source, tmp_path: Path):
    hub.cuts = {SHARD: [HALF] + [0] * module.RETRIES}
    assert failed(source, tmp_path) == "download_broken"
    assert len([name for name, _ in hub.asked if name == SHARD]) == 1 + module.RETRIES
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert hub.sent[SHARD] == SHARD_BYTES


def test_a_server_without_ranges_sends_the_whole_file_anew(hub: Hub, source: Source, tmp_path: Path):
    hub.ranges = False
    hub.cuts = {SHARD: [HALF, 100_000]}
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert hub.sent[SHARD] == HALF + 100_000 + SHARD_BYTES


def test_a_server_without_ranges_that_always_breaks_is_given_up(hub: Hub, source: Source, tmp_path: Path):
    hub.ranges = False
    hub.cuts = {SHARD: [HALF, HALF - 1] * 50}
    assert failed(source, tmp_path) == "download_broken"
    assert [first for name, first in hub.asked if name == SHARD] == [0, HALF, HALF - 1, HALF, HALF - 1, HALF]


@pytest.mark.parametrize("header", ["bytes 0-299999/300000", "bytes 150000-299999/300001", "bytes 150000-/300000", "nonsense"])
def test_a_part_that_is_another_than_was_asked_for_is_not_used(hub: Hub, source: Source, tmp_path: Path, header: str):
    hub.cuts = {SHARD: [HALF]}
    hub.content_range = header
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert [first for name, first in hub.asked if name == SHARD] == [0, HALF, 0]


def test_a_busy_server_is_asked_again(hub: Hub, source: Source, tmp_path: Path):
    hub.refusals = {SHARD: [(503, {}), (429, {}), (500, {})]}
    assert contents(fetched(source, tmp_path)) == NEEDED


@pytest.mark.parametrize("name", [SHARD, "config.json"])
def test_a_damaged_file_is_fetched_once_more(hub: Hub, source: Source, tmp_path: Path, name: str):
    hub.damages[name] = 1
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert [first for asked, first in hub.asked if asked == name] == [0, 0]


@pytest.mark.parametrize("name", [SHARD, "config.json"])
def test_a_file_that_stays_damaged_is_told_and_not_left_there(hub: Hub, source: Source, tmp_path: Path, name: str):
    hub.damages[name] = 2
    download = started(source, tmp_path)
    assert download.wait(10)
    assert download.failure.code == "file_damaged"
    assert name in str(download.failure)
    assert not (download.plan.folder / name).exists()
    assert part_of(download.plan, name) == -1
    assert download.progress.done == download.plan.total - download.plan.left
    assert len([1 for asked, _ in hub.asked if asked == name]) == 2
    assert contents(fetched(source, tmp_path)) == NEEDED


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize("change", [lambda content: content + b"!", lambda content: content[:-1]])
def test_a_file_of_another_length_is_not_taken(hub: Hub, tmp_path: Path, change: Callable[[bytes], bytes], checksums: bool):
    hub.listing = hub.list_of("ModelScope")
    for entry in hub.listing["Data"]["Files"] if not checksums else []:
        entry["Sha256"] = None
    hub.files[SHARD] = change(NEEDED[SHARD])
    assert failed(ModelScope(NAME), tmp_path) == "file_damaged"
    assert not (model_folder(tmp_path, NAME) / SHARD).exists()


def test_a_short_file_from_a_server_without_ranges_is_given_up(hub: Hub, source: Source, tmp_path: Path):
    hub.ranges = False
    hub.listing = hub.list_of(source.hub)
    hub.files[SHARD] = NEEDED[SHARD][:-1]
    assert failed(source, tmp_path) == "download_broken"


def test_a_part_longer_than_the_file_is_begun_anew(hub: Hub, source: Source, tmp_path: Path):
    download = held(hub, source, tmp_path)
    download.cancel()
    assert download.wait(1)
    (download.plan.folder / f"{SHARD}.part").write_bytes(bytes(SHARD_BYTES + 1))
    hub.damages[SHARD] = 1  # that it is fetched once more for
    assert contents(fetched(source, tmp_path)) == NEEDED


# What is there already


def test_a_complete_model_is_read_and_not_fetched_again(hub: Hub, source: Source, tmp_path: Path):
    folder = fetched(source, tmp_path)
    hub.asked.clear()
    fetched(source, tmp_path)
    assert hub.asked == []
    with (folder / SHARD).open("r+b") as stream:
        stream.write(b"another start")
    fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    assert hub.asked == [(SHARD, 0)]


def test_a_file_that_was_lost_is_fetched_alone(hub: Hub, source: Source, tmp_path: Path):
    folder = fetched(source, tmp_path)
    hub.asked.clear()
    (folder / LAST).write_bytes(b"short")
    (folder / "vocab.json").unlink()
    fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    assert hub.asked == [("vocab.json", 0), (LAST, 0)]


def test_a_new_version_is_not_mixed_with_the_old(hub: Hub, source: Source, tmp_path: Path):
    download = held(hub, source, tmp_path, LAST)
    download.cancel()
    assert download.wait(1)
    changed = {SHARD: Random(8).randbytes(SHARD_BYTES), LAST: Random(9).randbytes(SHARD_BYTES + 1), "vocab.json": b'{"b": 0}'}
    hub.files |= changed
    hub.asked.clear()
    assert plan(source, tmp_path).left == sum(map(len, changed.values()))
    assert contents(fetched(source, tmp_path)) == NEEDED | changed
    assert set(hub.asked) == {(name, 0) for name in changed}


def test_what_the_new_version_has_no_more_is_taken_away(hub: Hub, source: Source, tmp_path: Path):
    hub.files["model.safetensors"] = b"all in one"
    folder = fetched(source, tmp_path)
    (folder / "notes.txt").write_bytes(b"mine")
    del hub.files["model.safetensors"]
    fetched(source, tmp_path)
    assert contents(folder) == NEEDED | {"notes.txt": b"mine"}


def test_weights_of_the_older_form_are_fetched_where_there_are_no_others(hub: Hub, source: Source, tmp_path: Path):
    hub.files["pytorch_model.bin"] = b"pickled"
    folder = fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    for name in [name for name in hub.files if name.endswith(".safetensors")]:
        del hub.files[name]
    assert (fetched(source, tmp_path) / "pytorch_model.bin").read_bytes() == b"pickled"
    assert not list(folder.glob("*.safetensors"))


def test_files_that_were_copied_there_are_read_and_kept(hub: Hub, source: Source, tmp_path: Path):
    folder = model_folder(tmp_path, NAME)
    folder.mkdir(parents=True)
    (folder / SHARD).write_bytes(NEEDED[SHARD])
    (folder / LAST).write_bytes(bytes(SHARD_BYTES + 1))
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert SHARD not in hub.names_asked
    assert LAST in hub.names_asked


def test_what_one_hub_began_the_other_finishes(hub: Hub, tmp_path: Path):
    download = held(hub, HuggingFace(NAME), tmp_path)
    download.cancel()
    assert download.wait(1)
    assert contents(fetched(ModelScope(NAME), tmp_path)) == NEEDED
    assert hub.sent[SHARD] == SHARD_BYTES


def test_complete_is_what_has_every_file(source: Source, tmp_path: Path):
    folder = model_folder(tmp_path, NAME)
    assert not is_complete(folder)
    fetched(source, tmp_path)
    assert is_complete(folder)
    (folder / LAST).rename(folder / "elsewhere")
    assert not is_complete(folder)
    (folder / LAST).write_bytes(b"short")
    assert not is_complete(folder)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"config.json": 3}', '{"a": [1, 2, 3]}', '{"../../x.json": [1, null]}', "\udcff"])
def test_a_damaged_record_costs_no_file(hub: Hub, source: Source, tmp_path: Path, record: str):
    folder = fetched(source, tmp_path)
    (tmp_path / "x.json").write_bytes(b"mine")
    (folder / ".files.json").write_bytes(record.encode(errors="surrogateescape"))
    assert not is_complete(folder)
    hub.asked.clear()
    fetched(source, tmp_path)
    assert contents(folder) == NEEDED
    assert hub.asked == []
    assert (tmp_path / "x.json").exists()


def test_what_a_killed_process_left_of_the_record_does_no_harm(source: Source, tmp_path: Path):
    folder = model_folder(tmp_path, NAME)
    folder.mkdir(parents=True)
    (folder / ".files.json.part").write_bytes(b"x" * 10_000)
    assert is_complete(fetched(source, tmp_path))


# The disk


def test_a_disk_without_room_is_told_beforehand(monkeypatch: pytest.MonkeyPatch, hub: Hub, source: Source, tmp_path: Path):
    download = held(hub, source, tmp_path)
    download.cancel()
    assert download.wait(1)
    hub.asked.clear()
    room = SimpleNamespace(free=download.plan.left - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(UserError) as caught:
        started(source, tmp_path)
    assert caught.value.code == "disk_too_small"
    assert caught.value.facts["needed"] == caught.value.facts["free"] == "450 KB"
    assert hub.asked == []
    room.free += 1
    assert contents(fetched(source, tmp_path)) == NEEDED


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "cannot_save")])
def test_a_disk_that_fails_in_the_middle_is_told(
    monkeypatch: pytest.MonkeyPatch, hub: Hub, source: Source, tmp_path: Path, number: int, code: str
):
    write = module._write

    def full(stream, block: bytes) -> None:
        if stream.tell() + len(block) > 100_000:
            raise OSError(number, os.strerror(number))
        write(stream, block)

    monkeypatch.setattr(module, "_write", full)
    assert failed(source, tmp_path) == code
    monkeypatch.setattr(module, "_write", write)
    before = part_of(plan(source, tmp_path), SHARD)
    assert before > 0
    assert contents(fetched(source, tmp_path)) == NEEDED
    assert [first for name, first in hub.asked if name == SHARD] == [0, before]


def test_a_file_is_on_the_disk_before_it_has_its_name(monkeypatch: pytest.MonkeyPatch, source: Source, tmp_path: Path):
    synced: list[tuple[int, int]] = []  # (which file, its bytes by then)
    unsynced, rename = [], os.replace

    def fsync(number: int) -> None:
        synced.append((os.fstat(number).st_ino, os.fstat(number).st_size))

    def replace_(old: Path, new: Path) -> None:
        if (old.stat().st_ino, old.stat().st_size) not in synced:
            unsynced.append(new.name)
        rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace_)
    monkeypatch.setattr(module, "SYNC_BYTES", 100_000)
    folder = fetched(source, tmp_path)
    assert unsynced == []
    for name in WEIGHTS:
        assert len({size for number, size in synced if number == (folder / name).stat().st_ino}) in (3, 4)
    assert synced[-1][0] == folder.stat().st_ino


def test_a_folder_that_cannot_be_made_is_told(source: Source, tmp_path: Path):
    (tmp_path / "models").write_bytes(b"a file")
    assert failed(source, tmp_path) == "cannot_save"


# Where it leads


def test_the_token_goes_to_the_hub_alone(monkeypatch: pytest.MonkeyPatch, hub: Hub, tmp_path: Path):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetched(HuggingFace(NAME), tmp_path / "a")
    assert set(hub.tokens) == {("hub", "Bearer hf_secret"), ("cdn", None)}
    hub.tokens.clear()
    fetched(ModelScope(NAME), tmp_path / "b")
    assert set(hub.tokens) == {("hub", None)}


@pytest.mark.parametrize("where", ["http://example.invalid/x", "http://10.0.0.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "/circle"])
def test_a_redirect_to_where_it_should_not_go_is_refused(hub: Hub, tmp_path: Path, where: str):
    hub.location = where
    download = started(HuggingFace(NAME), tmp_path)
    assert download.wait(10)
    assert download.failure.code == "hub_answer"
    assert not [token for role, token in hub.tokens if role == "cdn"]
    assert len(hub.tokens) <= 1 + len(NEEDED) + hubs.REDIRECTS


@pytest.mark.parametrize(
    ("hub_address", "target", "may"),
    [
        ("https://huggingface.co", "https://cdn.example/x", True),
        ("https://huggingface.co", "http://huggingface.co/x", False),
        ("https://huggingface.co", "http://127.0.0.1:80/x", False),
        ("https://huggingface.co", "http://localhost/x", False),
        ("https://huggingface.co", "ftp://cdn.example/x", False),
        ("http://mirror.example", "https://cdn.example/x", True),
        ("http://mirror.example", "http://cdn.example/x", False),
        ("http://127.0.0.1:80", "http://127.0.0.1:81/x", True),
        ("http://localhost", "http://[::1]/x", True),
        ("http://127.0.0.1:80", "http://127.0.0.1.example/x", False),
        ("http://127.0.0.1:80", "http://192.168.0.1/x", False),
    ],
)
def test_redirects_lead_over_https_or_stay_on_this_machine(hub_address: str, target: str, may: bool):
    assert hubs._may_follow(httpx.URL(hub_address), httpx.URL(target)) is may


# What a person is told


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Qwen",
        "Qwen/",
        "/Qwen",
        "Qwen/a/b",
        "../a",
        "a/..",
        "Qwen/.hidden",
        "a--b/c",
        "Qwen/a b",
        "Qwen\\a/b",
        "C:/a",
        "Qwen/a\n",
        "Q/" + "a" * 200,
    ],
)
@pytest.mark.parametrize("kind", [HuggingFace, ModelScope])
def test_what_can_be_no_name_is_not_asked_for(hub: Hub, kind: type[Source], name: str):
    assert refused(lambda: kind(name)) == "model_unknown"
    assert hub.tokens == []


@pytest.mark.parametrize("kind", [HuggingFace, ModelScope])
def test_a_name_that_the_hub_does_not_know_is_told(hub: Hub, tmp_path: Path, kind: type[Source]):
    assert refused(lambda: plan(kind("Qwen/Gone"), tmp_path)) == "model_unknown"


@pytest.mark.parametrize(
    ("status", "headers", "token", "code"),
    [
        (401, {"X-Error-Code": "RepoNotFound"}, None, "model_unknown"),
        (401, {}, None, "model_unknown"),
        (401, {}, "old", "token_refused"),
        (401, {"X-Error-Code": "GatedRepo"}, None, "model_gated"),
        (403, {"X-Error-Code": "GatedRepo"}, "hf_x", "model_gated"),
        (403, {}, None, "model_unknown"),
        (416, {}, None, "hub_answer"),
        (451, {}, None, "hub_answer"),
        (503, {}, None, "hub_unreachable"),
    ],
)
def test_a_hub_that_refuses_is_understood(
    monkeypatch: pytest.MonkeyPatch, hub: Hub, tmp_path: Path, status: int, headers: dict, token: str | None, code: str
):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.refusals = {"list": [(status, headers)]}
    assert refused(lambda: plan(HuggingFace(NAME), tmp_path)) == code


def test_a_gated_model_lists_its_files_and_keeps_them(hub: Hub, tmp_path: Path):
    hub.refusals = {"config.json": [(401, {"X-Error-Code": "GatedRepo"})], "empty.json": [(401, {"X-Error-Code": "GatedRepo"})]}
    assert failed(HuggingFace(NAME), tmp_path) == "model_gated"


def test_a_refusal_of_the_other_host_is_not_the_models_fault(hub: Hub, tmp_path: Path):
    hub.refusals = {SHARD: [(403, {})]}
    hub.location = f"{hub.other.replace('127.0.0.1', 'localhost')}/store/{SHARD}"
    hub.files["spk_dict.pt"] = NEEDED[SHARD]  # whatever is large is sent there
    assert failed(HuggingFace(NAME), tmp_path) == "hub_answer"


def test_no_network_is_told(monkeypatch: pytest.MonkeyPatch, nobody: str, tmp_path: Path):
    monkeypatch.setenv("HF_ENDPOINT", nobody)
    assert refused(lambda: plan(HuggingFace(NAME), tmp_path)) == "hub_unreachable"


def test_a_network_that_goes_in_between_is_told(nobody: str, hub: Hub, source: Source, tmp_path: Path):
    found = plan(source, tmp_path)
    files = tuple(replace(file, url=file.url.replace(hub.address, nobody)) for file in found.files)
    download = Download(replace(found, files=files))
    download.start()
    assert download.wait(10)
    assert download.failure.code == "download_broken"


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    assert refused(lambda: plan(ModelScope(NAME), tmp_path)) == "hub_unreachable"


@pytest.mark.parametrize("address", ["hf-mirror.com", "ftp://x", "https://", "http://\u202e", "file:///etc"])
def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert refused(lambda: HuggingFace(NAME)) == "bad_value"


def spoilt(**fields: object) -> Callable[[dict], None]:
    def spoil(entry: dict) -> None:
        entry |= fields

    return spoil


@pytest.mark.parametrize("listing", [b"", b"<html>", b"[]", b"null", b"{}", b'{"sha": "../..", "siblings": []}', b"[" * 100_000])
@pytest.mark.parametrize("kind", [HuggingFace, ModelScope])
def test_a_list_that_cannot_be_read_is_told(hub: Hub, tmp_path: Path, kind: type[Source], listing: bytes):
    hub.listing = listing
    assert refused(lambda: plan(kind(NAME), tmp_path)) == "hub_answer"


@pytest.mark.parametrize("size", [None, -1, "12", 1.5, True])
def test_a_size_that_is_none_is_told(hub: Hub, tmp_path: Path, size: object):
    hub.listing = hub.list_of("ModelScope")
    hub.listing["Data"]["Files"][1]["Size"] = size
    assert refused(lambda: plan(ModelScope(NAME), tmp_path)) == "hub_answer"


@pytest.mark.parametrize("checksum", ["x" * 64, "ab", 5, ["a"]])
def test_a_checksum_that_is_none_is_told(hub: Hub, tmp_path: Path, checksum: object):
    hub.listing = hub.list_of("ModelScope")
    hub.listing["Data"]["Files"][1]["Sha256"] = checksum
    assert refused(lambda: plan(ModelScope(NAME), tmp_path)) == "hub_answer"


def test_a_list_without_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch, source: Source, tmp_path: Path):
    monkeypatch.setattr(hubs, "LISTING_BYTES", 1000)
    assert refused(lambda: plan(source, tmp_path)) == "hub_answer"


@pytest.mark.parametrize("missing", ["config.json", *WEIGHTS])
def test_a_model_without_weights_is_told(hub: Hub, source: Source, tmp_path: Path, missing: str):
    for name in ("pytorch_model.bin", *WEIGHTS) if missing in WEIGHTS else [missing]:
        del hub.files[name]
    assert refused(lambda: plan(source, tmp_path)) == "model_no_weights"


def test_a_mistake_of_our_own_ends_the_download_in_a_sentence(monkeypatch: pytest.MonkeyPatch, hub: Hub, source: Source, tmp_path: Path):
    monkeypatch.setattr(module, "first_byte", lambda *_: 1 / 0)
    assert failed(source, tmp_path) == "download_broken"
