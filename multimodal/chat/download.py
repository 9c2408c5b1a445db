"""A checkpoint from a hub into the data folder: its size first, then its files, each complete or absent."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import shutil
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx
from filelock import FileLock, Timeout

from multimodal.chat.hubs import (
    BREAKS,
    NAME,
    NEEDED,
    OLDER_WEIGHTS,
    Broken,
    Damaged,
    HuggingFace,
    ModelScope,
    RemoteFile,
    Source,
    first_byte,
    reason_of,
)
from multimodal.errors import UserError, size_text

__all__ = ["NAME", "Download", "HuggingFace", "ModelScope", "Plan", "Progress", "Source", "is_complete", "model_folder", "plan"]

log = logging.getLogger(__name__)

MODELS = "models"
PART = ".part"
RECORD = ".files.json"  # what the folder is to hold; no file of a hub can be called so
LOCK = ".lock"

RETRIES = 5  # in a row, without one new byte
PAUSE_SECONDS = 1.0  # before the first of them, doubled for each further one
BLOCK_BYTES = 2**20
SYNC_BYTES = 2**26  # written between two syncs: the last one, which cannot be cancelled, has little to do then
POLL_SECONDS = 0.1
WINDOW_SECONDS = 10.0  # the speed is that of the last one or two of these


@dataclass(frozen=True)
class Plan:
    """What a download brings: `files`, into `folder`. What is there already is looked up at every question."""

    source: Source
    folder: Path
    files: tuple[RemoteFile, ...]

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def left(self) -> int:
        """Bytes still to be fetched."""
        record = _read_record(self.folder)
        return self.total - sum(_there(self.folder, file, record) for file in self.files)

    @property
    def free(self) -> int:
        """Bytes free on the disk of the folder."""
        return shutil.disk_usage(next(place for place in (self.folder, *self.folder.parents) if place.exists())).free


@dataclass(frozen=True)
class Progress:
    """Bytes that are there, those of earlier attempts too, and bytes in all; the file at hand ('' before the first); seconds left, or None
    while the speed is not known."""

    done: int
    total: int
    file: str
    seconds_left: float | None


def model_folder(data_dir: Path, name: str) -> Path:
    """Where the checkpoint called `name` belongs, a name that a Source takes."""
    return data_dir / MODELS / name.replace("/", "--")


def is_complete(folder: Path) -> bool:
    """Whether every file of a download into `folder` is there. Asks the disk alone."""
    record = _read_record(folder)
    return bool(record) and all(_size(folder / name) == size for name, (size, _) in record.items())


def plan(source: Source, data_dir: Path) -> Plan:
    """Ask the hub what is to be fetched; waits for the network. Raises UserError."""
    try:
        files = asyncio.run(source.needed_files())
    except BREAKS as error:
        raise UserError("hub_unreachable", hub=source.hub, reason=reason_of(error)) from error
    names = {file.name for file in files}
    if "config.json" not in names or not any(name == OLDER_WEIGHTS or name.endswith(".safetensors") for name in names):
        raise UserError("model_no_weights", name=source.name, hub=source.hub)
    return Plan(source, model_folder(data_dir, source.name), files)


class Download:
    """One download, in a thread of its own, to be asked how it goes. `failure` is why it failed.

    It can be cancelled, and its process can be killed: the next one of the same plan goes on where it ended. Where nothing is left to be
    fetched, it reads all files anew and fetches those that are damaged.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.failure: UserError | None = None
        self._cancelled = False
        self._stop = threading.Event()
        self._over = threading.Event()
        self._file = ""
        self._got = dict.fromkeys((file.name for file in plan.files), 0)  # bytes of each that are there
        self._marks: tuple[tuple[float, int], ...] = ()  # (seconds, bytes) at two earlier moments

    def start(self) -> None:
        """Begin, in the background. Raises UserError if the disk has too little room."""
        left, free = self.plan.left, self.plan.free
        if left > free:
            raise UserError(
                "disk_too_small",
                name=self.plan.source.name,
                needed=size_text(left),
                free=size_text(free),
                path=str(self.plan.folder.parent),
            )
        self._take_stock()
        threading.Thread(target=lambda: asyncio.run(self._run()), name="download", daemon=True).start()

    def cancel(self) -> None:
        """End it, within a second; what has been fetched is kept."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, `seconds` at most. Whether it has ended."""
        return self._over.wait(seconds)

    @property
    def status(self) -> str:
        """'running', 'done', 'cancelled' or 'failed'."""
        if not self._over.is_set():
            return "running"
        return "failed" if self.failure else "cancelled" if self._cancelled else "done"

    @property
    def progress(self) -> Progress:
        """How far it is at this moment."""
        done, total, seconds = sum(self._got.values()), self.plan.total, None
        if self._marks:
            began, before = self._marks[0]
            lasted, gained = time.monotonic() - began, done - before
            if lasted >= 1 and gained > 0:
                seconds = (total - done) * lasted / gained
        return Progress(done, total, self._file, seconds)

    async def _run(self) -> None:
        """Fetch, and watch `_stop` meanwhile: whatever is awaited, be it a silent server, ends with the task."""
        fetching = asyncio.ensure_future(self._fetch_all())
        try:
            while not fetching.done() and not self._stop.is_set():
                await asyncio.wait({fetching}, timeout=POLL_SECONDS)
            fetching.cancel()
            await fetching
        except asyncio.CancelledError:
            self._cancelled = True
        except UserError as error:
            self.failure = error
        except Timeout:
            self.failure = UserError("download_running", name=self.plan.source.name)
        except OSError as error:
            log.exception("Saving %s failed", self.plan.source.name)
            self.failure = self._not_saved(error)
        except Exception as error:  # nobody else hears of this thread's end
            log.exception("Downloading %s failed", self.plan.source.name)
            self.failure = UserError("download_broken", hub=self.plan.source.hub, reason=type(error).__name__)
        finally:
            self._over.set()

    def _not_saved(self, error: OSError) -> UserError:
        path = str(self.plan.folder)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return UserError("disk_full", path=path, needed=size_text(self.plan.left))
        return UserError("cannot_save", path=path, reason=error.strerror or type(error).__name__)

    async def _fetch_all(self) -> None:
        folder = self.plan.folder
        if folder.is_symlink():
            raise UserError("cannot_save", path=str(folder), reason=("it is a link to another place", "它是指向别处的链接"))
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            await self._sort_out()
            self._marks = ((time.monotonic(), self._take_stock()),) * 2
            async with self.plan.source.client() as client:
                for file in sorted(self.plan.files, key=lambda file: file.size):  # what is wrong with the small ones shows early
                    if _size(folder / file.name) != file.size:
                        await self._fetch(client, file)

    async def _sort_out(self) -> None:
        """Take away what is not of this plan, then write down what the folder is to hold: from there on its files are trusted."""
        folder, record = self.plan.folder, _read_record(self.plan.folder)
        doubted = not self.plan.left
        for file in self.plan.files:
            path, known = folder / file.name, record.pop(file.name, None) == (file.size, file.checksum)
            if not known:
                _part(path).unlink(missing_ok=True)
            if (doubted or not known) and _size(path) is not None:
                self._file = file.name
                if not await self._is_sound(file, path):
                    path.unlink()
        for name in record:  # of another version: transformers would prefer an old model.safetensors to new shards
            if NEEDED.fullmatch(name):
                (folder / name).unlink(missing_ok=True)
                _part(folder / name).unlink(missing_ok=True)
        _write_record(folder, self.plan.files)

    async def _is_sound(self, file: RemoteFile, path: Path) -> bool:
        with path.open("rb") as stream:
            return file.checksum in (None, (await _digest(file, stream)).hexdigest())

    def _take_stock(self) -> int:
        """Count what is there anew; the sum in bytes."""
        record = _read_record(self.plan.folder)
        self._got.update({file.name: _there(self.plan.folder, file, record) for file in self.plan.files})
        return sum(self._got.values())

    async def _fetch(self, client: httpx.AsyncClient, file: RemoteFile) -> None:
        self._file = file.name
        path = self.plan.folder / file.name
        for _ in range(2):
            try:
                await self._receive(client, file, _part(path))
            except Damaged as error:
                log.warning("%s arrived damaged: %s", file.name, error)
                _part(path).unlink()
                self._got[file.name] = 0
            else:
                os.replace(_part(path), path)
                _sync_folder(path.parent)
                return
        raise UserError("file_damaged", name=file.name, hub=self.plan.source.hub)

    async def _receive(self, client: httpx.AsyncClient, file: RemoteFile, part: Path) -> None:
        """Bring `part` to its full length and onto the disk. Raises Damaged, UserError and OSError."""
        with _open_part(part) as stream:
            if (have := stream.seek(0, os.SEEK_END)) > file.size:
                have = _empty(stream)
            digest = await _digest(file, stream)
            most, synced, failures = have, have, 0
            while have < file.size:
                try:
                    async with self.plan.source.ask(client, file.url, have) as answer:
                        if first_byte(answer, file, have) != have:  # the whole file comes, although a part was asked for
                            have, synced, digest = _empty(stream), 0, await _digest(file, stream)
                        async for block in answer.aiter_bytes():
                            if have + len(block) > file.size:
                                raise Damaged(f"longer than {file.size} bytes")
                            _write(stream, block)
                            digest.update(block)
                            have += len(block)
                            self._count(file, have)
                            if have - synced >= SYNC_BYTES:
                                os.fsync(stream.fileno())
                                synced = have
                    if have < file.size:
                        raise Broken("the file ended early", "文件提前结束")
                except BREAKS as error:
                    failures = 1 if have > most else failures + 1
                    most = max(most, have)
                    if failures > RETRIES:
                        raise UserError("download_broken", hub=self.plan.source.hub, reason=reason_of(error)) from error
                    log.info("%s broke off at byte %d: %s", file.name, have, reason_of(error))
                    await asyncio.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
            if file.checksum not in (None, digest.hexdigest()):
                raise Damaged("its checksum is another")
            os.fsync(stream.fileno())

    def _count(self, file: RemoteFile, have: int) -> None:
        self._got[file.name] = have
        if time.monotonic() - self._marks[1][0] >= WINDOW_SECONDS:
            self._marks = (self._marks[1], (time.monotonic(), sum(self._got.values())))


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


def _size(path: Path) -> int | None:
    """Bytes of a plain file, None for anything else: a link is not followed."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _there(folder: Path, file: RemoteFile, record: dict[str, tuple[int, str | None]]) -> int:
    """Bytes of the file that need not be fetched."""
    path = folder / file.name
    if record.get(file.name) != (file.size, file.checksum):
        return 0
    return file.size if _size(path) == file.size else min(_size(_part(path)) or 0, file.size)


def _read_record(folder: Path) -> dict[str, tuple[int, str | None]]:
    """{name: (size, checksum)} of what the folder is to hold; empty where that is not known."""
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
        return {name: (size, checksum) for name, (size, checksum) in json.loads(text).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_record(folder: Path, files: tuple[RemoteFile, ...]) -> None:
    path = folder / RECORD
    with _open_part(_part(path)) as stream:
        _empty(stream)
        _write(stream, json.dumps({file.name: (file.size, file.checksum) for file in files}, indent=1).encode())
        os.fsync(stream.fileno())
    os.replace(_part(path), path)
    _sync_folder(folder)


def _open_part(part: Path) -> BinaryIO:
    """A plain file to read and write, kept as it is or new; without a buffer, so that what was written outlives the process."""
    if _size(part) is None:
        part.unlink(missing_ok=True)  # a link
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o666), "r+b", buffering=0)


def _empty(stream: BinaryIO) -> int:
    """Take away what is in the file; its length, 0."""
    stream.truncate(0)
    return stream.seek(0)


def _write(stream: BinaryIO, block: bytes) -> None:
    rest = memoryview(block)
    while rest:  # without a buffer, less may be written than was given
        rest = rest[stream.write(rest) :]


async def _digest(file: RemoteFile, stream: BinaryIO) -> Any:
    """What the checksum of the file is computed with, fed with all that `stream` holds; the stream is left at its end."""
    digest = file.digest()
    stream.seek(0)
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
        await asyncio.sleep(0)  # here it can be cancelled
    return digest


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a power cut. Windows has no way to ask for that."""
    if os.name != "nt":
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
