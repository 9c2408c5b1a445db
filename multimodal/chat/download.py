"""A checkpoint from Hugging Face or ModelScope into the data folder: its size first, then its files, each complete or absent."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ipaddress
import json
import logging
import os
import re
import shutil
import ssl
import stat
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import httpx
from filelock import FileLock, Timeout
from huggingface_hub import get_token

from multimodal.errors import UserError, size_text

# Not by the hubs' own libraries: huggingface_hub throws away what it has of a file when it is stopped, and compares sizes only; modelscope
# would be a second HTTP client for the two addresses that are asked here. So a hub is a list of files, and all else is common to both.

log = logging.getLogger(__name__)

MODELS = "models"
PART = ".part"
RECORD = ".files.json"  # what the folder is to hold; no file of a hub can be called so
LOCK = ".lock"

CONNECT_SECONDS = 10
SILENCE_SECONDS = 30
RETRIES = 5  # in a row, without one new byte
PAUSE_SECONDS = 1.0  # before the first of them, doubled for each further one
REDIRECTS = 5
LISTING_BYTES = 10_000_000
BLOCK_BYTES = 2**20
SYNC_BYTES = 2**26  # written between two syncs: the last one, which cannot be cancelled, has little to do then
POLL_SECONDS = 0.1
WINDOW_SECONDS = 10.0  # the speed is that of the last one or two of these

# Two checkpoints never share a folder: the hubs allow no "--" in them either.
NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
# What transformers and low_vram read, all of it at the top. Whatever else a list names is not fetched, so a name is never more than the
# name of a file: no folder, no drive, no hidden file, and none of the devices that Windows sees behind names such as nul.json.
NEEDED = re.compile(
    r"(?!(?:con|prn|aux|nul|com\d|lpt\d)\.)(?:[a-z0-9_][\w.-]{0,150}\.(?:safetensors|json|txt|jinja)|spk_dict\.pt)",
    re.ASCII | re.IGNORECASE,
)
CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class _Broken(Exception):
    """An answer that did not come, or not to its end. `reason`: in English and Chinese."""

    def __init__(self, english: str, chinese: str):
        super().__init__(english)
        self.reason = (english, chinese)


class _Damaged(Exception):
    """The bytes are not those of the file."""


BREAKS = (_Broken, httpx.RequestError, ssl.SSLError)  # the latter comes through httpx as it is when a record is damaged


@dataclass(frozen=True)
class RemoteFile:
    """A file at a hub. `size` in bytes; `checksum`: SHA-256 (64 digits), or git's SHA-1 of a blob (40), or None where the hub has none."""

    name: str
    size: int
    checksum: str | None
    url: str


class Source(ABC):
    """A checkpoint at a hub. `name` as in Qwen/Qwen2.5-Omni-3B; `hub` is what people call the hub.

    Raises UserError for what can be no name, and for an address in the environment that is none.
    """

    hub: str
    variable: str  # of the environment, for another address of the hub
    address: str

    def __init__(self, name: str):
        if not NAME.fullmatch(name):
            raise UserError("model_unknown", name=name, hub=self.hub)
        self.name = name
        self.endpoint = os.environ.get(self.variable, "").strip().rstrip("/") or self.address
        if not _is_address(self.endpoint):
            wanted = (f"an address such as {self.address}", f"形如 {self.address} 的地址")
            raise UserError("bad_value", key=self.variable, value=self.endpoint, wanted=wanted)

    @property
    @abstractmethod
    def listing(self) -> str:
        """The address of the list of files."""

    @abstractmethod
    def files(self, answer: Any) -> Iterator[RemoteFile]:
        """The files of the list, `answer` being its JSON. Nothing of it is checked yet."""

    def headers(self) -> dict[str, str]:
        """What is sent to the hub, and to nobody it redirects to."""
        return {}


class HuggingFace(Source):
    """A checkpoint at Hugging Face, or at the mirror in HF_ENDPOINT, with the token of HF_TOKEN or of `hf auth login`."""

    hub = "Hugging Face"
    variable = "HF_ENDPOINT"
    address = "https://huggingface.co"

    @property
    def listing(self) -> str:
        return f"{self.endpoint}/api/models/{self.name}?blobs=true"

    def files(self, answer: Any) -> Iterator[RemoteFile]:
        if not CHECKSUM.fullmatch(answer["sha"]):
            raise ValueError(f"the commit is {answer['sha']}")
        # by commit, not by branch: so all files are of one version, however long it takes
        base = f"{self.endpoint}/{self.name}/resolve/{answer['sha']}"
        for entry in answer["siblings"]:
            large = entry.get("lfs")
            size, checksum = (large["size"], large["sha256"]) if large else (entry.get("size"), entry.get("blobId"))
            yield RemoteFile(entry["rfilename"], size, checksum, f"{base}/{quote(entry['rfilename'])}")

    def headers(self) -> dict[str, str]:
        token = get_token()
        return {"Authorization": f"Bearer {token}"} if token else {}


class ModelScope(Source):
    """A checkpoint at ModelScope, or at the address in MODELSCOPE_ENDPOINT."""

    hub = "ModelScope"
    variable = "MODELSCOPE_ENDPOINT"
    address = "https://www.modelscope.cn"

    @property
    def listing(self) -> str:
        return f"{self.endpoint}/api/v1/models/{self.name}/repo/files?{urlencode({'Revision': 'master', 'Recursive': 'False'})}"

    def files(self, answer: Any) -> Iterator[RemoteFile]:
        for entry in answer["Data"]["Files"]:
            if entry.get("Type") != "tree":
                query = urlencode({"Revision": "master", "FilePath": entry["Path"]})
                url = f"{self.endpoint}/api/v1/models/{self.name}/repo?{query}"
                yield RemoteFile(entry["Path"], entry.get("Size"), entry.get("Sha256") or None, url)


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
        files = asyncio.run(_list(source))
    except BREAKS as error:
        raise UserError("hub_unreachable", hub=source.hub, reason=_reason(error)) from error
    names = {file.name for file in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
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
            async with _client(self.plan.source) as client:
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
            except _Damaged as error:
                log.warning("%s arrived damaged: %s", file.name, error)
                _part(path).unlink()
                self._got[file.name] = 0
            else:
                os.replace(_part(path), path)
                _sync_folder(path.parent)
                return
        raise UserError("file_damaged", name=file.name, hub=self.plan.source.hub)

    async def _receive(self, client: httpx.AsyncClient, file: RemoteFile, part: Path) -> None:
        """Bring `part` to its full length and onto the disk. Raises _Damaged, UserError and OSError."""
        with _open_part(part) as stream:
            if (have := stream.seek(0, os.SEEK_END)) > file.size:
                have = _empty(stream)
            digest = await _digest(file, stream)
            most, synced, failures = have, have, 0
            while have < file.size:
                try:
                    async with _ask(client, self.plan.source, file.url, have) as answer:
                        if _first_byte(answer, file, have) != have:  # the whole file comes, although a part was asked for
                            have, synced, digest = _empty(stream), 0, await _digest(file, stream)
                        async for block in answer.aiter_bytes():
                            if have + len(block) > file.size:
                                raise _Damaged(f"longer than {file.size} bytes")
                            _write(stream, block)
                            digest.update(block)
                            have += len(block)
                            self._count(file, have)
                            if have - synced >= SYNC_BYTES:
                                os.fsync(stream.fileno())
                                synced = have
                    if have < file.size:
                        raise _Broken("the file ended early", "文件提前结束")
                except BREAKS as error:
                    failures = 1 if have > most else failures + 1
                    most = max(most, have)
                    if failures > RETRIES:
                        raise UserError("download_broken", hub=self.plan.source.hub, reason=_reason(error)) from error
                    log.info("%s broke off at byte %d: %s", file.name, have, _reason(error))
                    await asyncio.sleep(PAUSE_SECONDS * 2 ** (failures - 1))
            if file.checksum not in (None, digest.hexdigest()):
                raise _Damaged("its checksum is another")
            os.fsync(stream.fileno())

    def _count(self, file: RemoteFile, have: int) -> None:
        self._got[file.name] = have
        if time.monotonic() - self._marks[1][0] >= WINDOW_SECONDS:
            self._marks = (self._marks[1], (time.monotonic(), sum(self._got.values())))


async def _list(source: Source) -> tuple[RemoteFile, ...]:
    """The files that are needed, of those that the hub has. Raises UserError, and what is in BREAKS."""
    body = bytearray()
    async with _client(source) as client, _ask(client, source, source.listing) as answer:
        async for block in answer.aiter_bytes():
            body += block
            if len(body) > LISTING_BYTES:
                raise UserError("hub_answer", hub=source.hub, reason=("its list of files is too long", "文件列表过长"))
    try:
        needed = [_checked(file) for file in source.files(json.loads(body)) if NEEDED.fullmatch(file.name)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError("hub_answer", hub=source.hub, reason=("its list of files cannot be read", "无法读取文件列表")) from error
    # some disks do not tell Config.json from config.json
    return tuple({file.name.lower(): file for file in reversed(needed)}.values())


def _checked(file: RemoteFile) -> RemoteFile:
    """The same; ValueError and TypeError where its size or checksum can be none."""
    if type(file.size) is not int or file.size < 0:
        raise ValueError(f"{file.name} has a size of {file.size}")
    checksum = None if file.checksum is None else file.checksum.lower()
    if checksum is not None and not CHECKSUM.fullmatch(checksum):
        raise ValueError(f"{file.name} has a checksum of {checksum}")
    return RemoteFile(file.name, file.size, checksum, file.url)


def _client(source: Source) -> httpx.AsyncClient:
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    try:
        return httpx.AsyncClient(timeout=timeout, headers={"User-Agent": "omni-desk"})
    except (ImportError, ValueError, OSError) as error:  # a proxy in the environment that httpx cannot use, a missing file of certificates
        raise UserError("hub_unreachable", hub=source.hub, reason=_reason(error)) from error


@asynccontextmanager
async def _ask(client: httpx.AsyncClient, source: Source, url: str, first: int = 0) -> AsyncIterator[httpx.Response]:
    """The answer to a GET from byte `first` on, its body unread. Raises UserError, _Damaged, and what is in BREAKS."""
    # identity: a compressed answer is counted in other bytes than the file
    headers = {"Accept-Encoding": "identity", **source.headers()}
    if first:
        headers["Range"] = f"bytes={first}-"
    request = client.build_request("GET", url, headers=headers)
    for _ in range(REDIRECTS + 1):
        answer = await client.send(request, stream=True)
        try:
            if answer.next_request is None:
                _check_status(answer, source)
                yield answer
                return
        finally:
            await answer.aclose()
        request = answer.next_request  # httpx has taken the token out of it where it goes to another host
        if not _may_follow(httpx.URL(source.endpoint), request.url):
            reason = (f"it points to {request.url.scheme}://{request.url.host}", f"它指向 {request.url.scheme}://{request.url.host}")
            raise UserError("hub_answer", hub=source.hub, reason=reason)
    raise UserError("hub_answer", hub=source.hub, reason=("it points ever further", "重定向次数过多"))


def _check_status(answer: httpx.Response, source: Source) -> None:
    status, code = answer.status_code, answer.headers.get("X-Error-Code")
    if status in (200, 206):
        return
    if status == 416 and "Range" in answer.request.headers:
        raise _Damaged("the server has fewer bytes")
    if status in (408, 429) or status >= 500:
        raise _Broken(f"HTTP {status}", f"HTTP {status}")
    if answer.url.host == httpx.URL(source.endpoint).host and status in (401, 403, 404):
        if code == "GatedRepo":
            raise UserError("model_gated", name=source.name, hub=source.hub)
        if status == 401 and code is None and "Authorization" in answer.request.headers:
            raise UserError("token_refused", hub=source.hub)
        raise UserError("model_unknown", name=source.name, hub=source.hub)
    raise UserError("hub_answer", hub=source.hub, reason=f"HTTP {status}")


def _may_follow(hub: httpx.URL, target: httpx.URL) -> bool:
    """Over https alone; but a hub on this machine may point to this machine."""
    return target.scheme == "https" or (target.scheme == "http" and _is_here(hub.host) and _is_here(target.host))


def _is_address(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _first_byte(answer: httpx.Response, file: RemoteFile, asked: int) -> int:
    """Where in the file the answer begins: at `asked` or at 0. By its header: ModelScope says 200, not 206, of a part too."""
    said = answer.headers.get("Content-Range")
    if said is None and answer.status_code == 200:
        return 0
    match = RANGE.fullmatch(said or "")
    if not match or int(match[1]) != asked or match[2] not in ("*", str(file.size)):
        raise _Damaged(f"asked for byte {asked} of {file.size}, the server sends {said}")
    return asked


def _reason(error: BaseException) -> object:
    """Why, in a few words: a pair where they are ours."""
    if isinstance(error, _Broken):
        return error.reason
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


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
    if file.checksum is not None and len(file.checksum) == 40:
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
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
