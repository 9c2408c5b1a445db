"""Requests as they go over the wire, and what comes back."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from multimodal.api.library_routes import make_library_router
from multimodal.api.routes import make_router
from multimodal.desk import Desk

CHINESE = re.compile("[\u4e00-\u9fff]")

Part = tuple[str, str | None, bytes | str]  # field, file name (None: a text field), content


def parts_of(*parts: Part, **fields: object) -> list[tuple[str, tuple]]:
    """As httpx wants them."""
    text = [(name, (None, str(value))) for name, value in fields.items()]
    return text + [(field, (name, content)) for field, name, content in parts]


def error_of(response: httpx.Response) -> dict[str, str]:
    """The error of a response; it has the one shape of all errors."""
    body = response.json()
    assert body.keys() == {"error"}, body
    assert body["error"].keys() == {"code", "message"}, body
    assert body["error"]["message"].endswith((".", "。")), body
    return body["error"]


def png(size: tuple[int, int] = (60, 40), colour: str = "red") -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def bomb_png(side: int = 20_000) -> bytes:
    """A black picture of `side` by `side`, in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(side * (1 + side // 8)), 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def raw_form(disposition: str, content: bytes, boundary: str = "frame") -> tuple[bytes, str]:
    """(body, content type) of a form with one part; `disposition` is written as it is."""
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    return head + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def lying_in(data: Path) -> list[Path]:
    """What is in a desk's data folder, but for its picture library, which is at work in the background."""
    return sorted(path for path in data.rglob("*") if path.relative_to(data).parts[0] != "library")


def client_of(desk: Desk) -> TestClient:
    """A client of the desk's routes alone, in this process."""
    app = FastAPI()
    app.include_router(make_router(desk))
    app.include_router(make_library_router(desk))
    return TestClient(app)
