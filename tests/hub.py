"""A hub on this machine that speaks as both hubs do, and does wrong what a test has it do wrong."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from multimodal.chat import download

NAME = "Qwen/Tiny-Omni"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
SHARD, LAST = WEIGHTS
SHARD_BYTES = 300_000

NEEDED = {
    "config.json": b'{"model_type": "qwen2_5_omni"}',
    "generation_config.json": b"{}",
    "merges.txt": b"a b\n",
    "vocab.json": b'{"a": 0}',
    "tokenizer.json": b'{"version": "1.0"}',
    "chat_template.jinja": b"{{ messages }}",
    "model.safetensors.index.json": b'{"weight_map": {}}',
    "spk_dict.pt": Random(1).randbytes(20_000),
    SHARD: Random(2).randbytes(SHARD_BYTES),
    LAST: Random(3).randbytes(SHARD_BYTES + 1),
    "empty.json": b"",
}
NOT_NEEDED = {
    "README.md": b"read me",
    ".gitattributes": b"*",
    "LICENSE": b"free",
    "pytorch_model.bin": b"the same again",
    "model-q4.gguf": b"and again",
    "optimizer.pt": b"for training",
    "run.py": b"print()",
    "figure.png": b"a picture",
    "assets/config.json": b"{}",
    "onnx/model.safetensors": b"in a folder",
}


def git_checksum(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub:
    """Both hubs and the host that one of them redirects to, with all that can go wrong; it counts what it sends."""

    def __init__(self, address: str, other: str):
        self.address, self.other = address, other
        self.files = {**NEEDED, **NOT_NEEDED}
        self.asked: list[tuple[str, int]] = []  # (file, first byte)
        self.sent: dict[str, int] = {}
        self.tokens: list[tuple[str, str | None]] = []  # ("hub" or "cdn", Authorization)
        self.cuts: dict[str, list[int]] = {}  # file: after how many bytes each of the next answers ends
        self.damages: dict[str, int] = {}  # file: how many of the next answers have a wrong byte
        self.holds: dict[str, int] = {}  # file: after how many bytes the server falls silent
        self.release = threading.Event()
        self.ranges = True
        self.content_range: str | None = None  # instead of the right one
        self.location: str | None = None  # where it redirects to, instead of its other host
        self.listing: object = None  # instead of the right one
        self.refusals: dict[str, list[tuple[int, dict[str, str]]]] = {}  # file, or "list": (status, headers) of the next answers

    @property
    def names_asked(self) -> set[str]:
        return {name for name, _ in self.asked}

    def list_of(self, hub: str) -> object:
        if self.listing is not None:
            return self.listing
        if hub == "Hugging Face":
            return {"id": NAME, "sha": COMMIT, "siblings": [self.sibling(name, content) for name, content in self.files.items()]}
        files = [
            {"Name": name.split("/")[-1], "Path": name, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest(), "Type": "blob"}
            for name, content in self.files.items()
        ]
        return {"Code": 200, "Success": True, "Data": {"Files": [{"Path": "x.json", "Type": "tree", "Size": 0, "Sha256": ""}, *files]}}

    def sibling(self, name: str, content: bytes) -> dict:
        if name.endswith((".safetensors", ".pt")):
            large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            return {"rfilename": name, "size": len(content), "blobId": "0" * 40, "lfs": large}
        return {"rfilename": name, "size": len(content), "blobId": git_checksum(content)}


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub of the present test, or for its other host."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        hub, role = self.server.hub, self.server.role
        self.hub = hub
        url = urlsplit(self.path)
        query, path = parse_qs(url.query), unquote(url.path)
        hub.tokens.append((role, self.headers["Authorization"]))
        if path == f"/api/models/{NAME}" and query == {"blobs": ["true"]}:
            self.answer_listing("Hugging Face")
        elif path == f"/api/v1/models/{NAME}/repo/files" and query["Revision"] == ["master"]:
            self.answer_listing("ModelScope")
        elif path == f"/api/v1/models/{NAME}/repo" and query["Revision"] == ["master"]:
            self.answer_file(query["FilePath"][0], 200)  # of a part too, as it was seen to do
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            name = path.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
            if name.endswith((".safetensors", ".pt")):
                self.answer(302, b"elsewhere", {"Location": hub.location or f"{hub.other}/store/{name}?signature=1"})
            else:
                self.answer_file(name, 206)
        elif role == "cdn" and path.startswith("/store/"):
            self.answer_file(path.removeprefix("/store/"), 206)
        elif path == "/circle":
            self.answer(302, b"", {"Location": "/circle"})
        else:
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, what: str) -> bool:
        if not self.hub.refusals.get(what):
            return False
        status, headers = self.hub.refusals[what].pop(0)
        self.answer(status, b'{"error": "no"}', headers)
        return True

    def answer_listing(self, name: str) -> None:
        if not self.refuse("list"):
            body = self.hub.list_of(name)
            self.answer(200, body if isinstance(body, bytes) else json.dumps(body).encode(), {"Content-Type": "application/json"})

    def answer_file(self, name: str, status_of_part: int) -> None:
        content, asked = self.hub.files[name], self.headers["Range"]
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.hub.asked.append((name, first))
        if self.refuse(name):
            return
        if self.hub.damages.get(name):
            self.hub.damages[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        if not self.hub.ranges:
            asked, first = None, 0
        if asked and first >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(status_of_part if asked else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if asked:
            self.send_header("Content-Range", self.hub.content_range or f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.send_body(name, content[first:])

    def send_body(self, name: str, body: bytes) -> None:
        cut = self.hub.cuts[name].pop(0) if self.hub.cuts.get(name) else None
        hold = self.hub.holds.pop(name, None)
        first = cut if cut is not None else hold if hold is not None else len(body)
        self.hub.sent[name] = self.hub.sent.get(name, 0) + len(body[:first])  # before: the client may be done first
        self.wfile.write(body[:first])
        if cut is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif hold is not None:
            self.hub.release.wait(30)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # those are what is tested here
            super().handle_error(request, address)


@contextmanager
def running_servers() -> Iterator[list[Server]]:
    """The hub's server and that of its other host; a Hub is to be put at `hub` of both."""
    servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server, role in zip(servers, ("hub", "cdn"), strict=True):
        server.role = role
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def hub_at(servers: list[Server]) -> Hub:
    """A new Hub behind the servers."""
    hub = Hub(*(f"http://127.0.0.1:{server.server_port}" for server in servers))
    for server in servers:
        server.hub = hub
    return hub


# Fixtures: a test module names those that it takes.


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no token, and no long waits: not for a disk either."""
    for variable in ("HF_TOKEN", "HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", os.path.dirname(__file__))  # no certificates: to read them takes longer than most tests
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", os.devnull)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """Those of one test module."""
    with running_servers() as servers:
        yield servers


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, surroundings: None, servers: list[Server]) -> Iterator[Hub]:
    """A new Hub, which both sources ask."""
    hub = hub_at(servers)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", f"{hub.address}/")
    yield hub
    hub.release.set()
