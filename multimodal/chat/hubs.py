"""A checkpoint at Hugging Face or ModelScope: which of its files are needed, and the hub's answers, with all that can be wrong in them."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from huggingface_hub import get_token

from multimodal.errors import UserError

# Not by the hubs' own libraries: huggingface_hub throws away what it has of a file when it is stopped, and compares sizes only; modelscope
# would be a second HTTP client for the two addresses that are asked here. So a hub is a list of files, and all else is common to both.

CONNECT_SECONDS = 10
SILENCE_SECONDS = 30
REDIRECTS = 5
LISTING_BYTES = 10_000_000

# Two checkpoints never share a folder: the hubs allow no "--" in them either.
NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
# What transformers and low_vram read, all of it at the top. Whatever else a list names is not fetched, so a name is never more than the
# name of a file: no folder, no drive, no hidden file, and none of the devices that Windows sees behind names such as nul.json.
NEEDED = re.compile(
    r"(?!(?:con|prn|aux|nul|com\d|lpt\d)\.)(?:[a-z0-9_][\w.-]{0,150}\.(?:safetensors|json|txt|jinja)|spk_dict\.pt|pytorch_model\.bin)",
    re.ASCII | re.IGNORECASE,
)
# Weights of the older form, which encoders still come in: fetched where there are no others.
OLDER_WEIGHTS = "pytorch_model.bin"
CHECKSUM = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Broken(Exception):
    """An answer that did not come, or not to its end. `reason`: in English and Chinese."""

    def __init__(self, english: str, chinese: str):
        super().__init__(english)
        self.reason = (english, chinese)


class Damaged(Exception):
    """The bytes are not those of the file."""


BREAKS = (Broken, httpx.RequestError, ssl.SSLError)  # the latter comes through httpx as it is when a record is damaged


@dataclass(frozen=True)
class RemoteFile:
    """A file at a hub. `size` in bytes; `checksum`: SHA-256 (64 digits), or git's SHA-1 of a blob (40), or None where the hub has none."""

    name: str
    size: int
    checksum: str | None
    url: str

    def digest(self) -> Any:
        """What the checksum is computed with, to be fed with the whole file."""
        if self.checksum is not None and len(self.checksum) == 40:
            return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        return hashlib.sha256()


class Source(ABC):
    """A checkpoint at a hub. `name` as in Qwen/Qwen2.5-Omni-3B; `hub` is what people call the hub.

    Raises UserError for what can be no name, and for an address in the environment that is none.
    """

    hub: str
    variable: str  # of the environment, for another address of the hub
    address: str
    list_path: str  # of the list of files, with the name in it

    def __init__(self, name: str):
        if not NAME.fullmatch(name):
            raise UserError("model_unknown", name=name, hub=self.hub)
        self.name = name
        self.endpoint = os.environ.get(self.variable, "").strip().rstrip("/") or self.address
        if not _is_address(self.endpoint):
            wanted = (f"an address such as {self.address}", f"形如 {self.address} 的地址")
            raise UserError("bad_value", key=self.variable, value=self.endpoint, wanted=wanted)

    @property
    def listing(self) -> str:
        """The address of the list of files."""
        return f"{self.endpoint}/{self.list_path.format(name=self.name)}"

    @abstractmethod
    def files(self, answer: Any) -> Iterator[RemoteFile]:
        """The files of the list, `answer` being its JSON. Nothing of it is checked yet."""

    def headers(self) -> dict[str, str]:
        """What is sent to the hub, and to nobody it redirects to."""
        return {}

    async def needed_files(self) -> tuple[RemoteFile, ...]:
        """The files that are needed, of those that the hub has. Raises UserError, and what is in BREAKS."""
        body = bytearray()
        async with self.client() as client, self.ask(client, self.listing) as answer:
            async for block in answer.aiter_bytes():
                body += block
                if len(body) > LISTING_BYTES:
                    raise self._unusable("its list of files is too long", "文件列表过长")
        try:
            needed = [_checked(file) for file in self.files(json.loads(body)) if NEEDED.fullmatch(file.name)]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._unusable("its list of files cannot be read", "无法读取文件列表") from error
        if any(file.name.endswith(".safetensors") for file in needed):
            needed = [file for file in needed if file.name != OLDER_WEIGHTS]
        # some disks do not tell Config.json from config.json
        return tuple({file.name.lower(): file for file in reversed(needed)}.values())

    def client(self) -> httpx.AsyncClient:
        """What the hub is asked with. Raises UserError."""
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        try:
            return httpx.AsyncClient(timeout=timeout, headers={"User-Agent": "omni-desk"})
        except (ImportError, ValueError, OSError) as error:  # a proxy in the environment that httpx cannot use, a missing certificate file
            raise UserError("hub_unreachable", hub=self.hub, reason=reason_of(error)) from error

    @asynccontextmanager
    async def ask(self, client: httpx.AsyncClient, url: str, first: int = 0) -> AsyncIterator[httpx.Response]:
        """The answer to a GET from byte `first` on, its body unread. Raises UserError, Damaged, and what is in BREAKS."""
        # identity: a compressed answer is counted in other bytes than the file
        headers = {"Accept-Encoding": "identity", **self.headers()}
        if first:
            headers["Range"] = f"bytes={first}-"
        request = client.build_request("GET", url, headers=headers)
        for _ in range(REDIRECTS + 1):
            answer = await client.send(request, stream=True)
            try:
                if answer.next_request is None:
                    self._check_status(answer)
                    yield answer
                    return
            finally:
                await answer.aclose()
            request = answer.next_request  # httpx has taken the token out of it where it goes to another host
            if not _may_follow(httpx.URL(self.endpoint), request.url):
                place = f"{request.url.scheme}://{request.url.host}"
                raise self._unusable(f"it points to {place}", f"它指向 {place}")
        raise self._unusable("it points ever further", "重定向次数过多")

    def _check_status(self, answer: httpx.Response) -> None:
        status, code = answer.status_code, answer.headers.get("X-Error-Code")
        if status in (200, 206):
            return
        if status == 416 and "Range" in answer.request.headers:
            raise Damaged("the server has fewer bytes")
        if status in (408, 429) or status >= 500:
            raise Broken(f"HTTP {status}", f"HTTP {status}")
        if answer.url.host == httpx.URL(self.endpoint).host and status in (401, 403, 404):
            if code == "GatedRepo":
                raise UserError("model_gated", name=self.name, hub=self.hub)
            if status == 401 and code is None and "Authorization" in answer.request.headers:
                raise UserError("token_refused", hub=self.hub)
            raise UserError("model_unknown", name=self.name, hub=self.hub)
        raise UserError("hub_answer", hub=self.hub, reason=f"HTTP {status}")

    def _unusable(self, english: str, chinese: str) -> UserError:
        return UserError("hub_answer", hub=self.hub, reason=(english, chinese))


class HuggingFace(Source):
    """A checkpoint at Hugging Face, or at the mirror in HF_ENDPOINT, with the token of HF_TOKEN or of `hf auth login`."""

    hub = "Hugging Face"
    variable = "HF_ENDPOINT"
    address = "https://huggingface.co"
    list_path = "api/models/{name}?blobs=true"

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
    list_path = "api/v1/models/{name}/repo/files?Revision=master&Recursive=False"

    def files(self, answer: Any) -> Iterator[RemoteFile]:
        for entry in answer["Data"]["Files"]:
            if entry.get("Type") != "tree":
                query = urlencode({"Revision": "master", "FilePath": entry["Path"]})
                url = f"{self.endpoint}/api/v1/models/{self.name}/repo?{query}"
                yield RemoteFile(entry["Path"], entry.get("Size"), entry.get("Sha256") or None, url)


def first_byte(answer: httpx.Response, file: RemoteFile, asked: int) -> int:
    """Where in the file the answer begins: at `asked` or at 0. By its header: ModelScope says 200, not 206, of a part too.

    Raises Damaged where it begins elsewhere, or is of another file.
    """
    said = answer.headers.get("Content-Range")
    if said is None and answer.status_code == 200:
        return 0
    match = RANGE.fullmatch(said or "")
    if not match or int(match[1]) != asked or match[2] not in ("*", str(file.size)):
        raise Damaged(f"asked for byte {asked} of {file.size}, the server sends {said}")
    return asked


def reason_of(error: BaseException) -> object:
    """Why, in a few words: a pair of English and Chinese where they are ours."""
    if isinstance(error, Broken):
        return error.reason
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _checked(file: RemoteFile) -> RemoteFile:
    """The same; ValueError and TypeError where its size or checksum can be none."""
    if type(file.size) is not int or file.size < 0:
        raise ValueError(f"{file.name} has a size of {file.size}")
    checksum = None if file.checksum is None else file.checksum.lower()
    if checksum is not None and not CHECKSUM.fullmatch(checksum):
        raise ValueError(f"{file.name} has a checksum of {checksum}")
    return RemoteFile(file.name, file.size, checksum, file.url)


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
