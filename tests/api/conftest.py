"""Questions over HTTP, files of each kind, and a server of this machine that notes what is fetched from it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from moviepy.config import FFMPEG_BINARY

from tests.conftest import EXAMPLES, RunningDesk, start_desk
from tests.tiny import write_tiny_omni
from tests.wire import CHINESE, Part, error_of, parts_of


@pytest.fixture(scope="session")
def client(desk: RunningDesk) -> Iterator[httpx.Client]:
    """Speaks to the desk with the demo model, through no proxy."""
    with httpx.Client(base_url=desk.url, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def talkative_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A desk with a small model whose answers run to their full length. It takes files of 1 MB."""
    model = write_tiny_omni(tmp_path_factory.mktemp("tiny"), speaks=False)
    running = start_desk(tmp_path_factory.mktemp("talkative") / "data", "--model", str(model), "--max-upload-mb", "1")
    yield running
    running.process.terminate()
    running.process.wait(20)


@pytest.fixture(scope="session")
def talkative_client(talkative_desk: RunningDesk) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=talkative_desk.url, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture
def ask(client: httpx.Client) -> Callable[..., dict]:
    """ask(*parts, **text fields): the answer."""

    def run(*parts: Part, **fields: object) -> dict:
        response = client.post("/multimodal", files=parts_of(*parts, **fields))
        assert response.status_code == 200, response.text
        return response.json()

    return run


@pytest.fixture
def refused(client: httpx.Client) -> Callable[..., str]:
    """refused(*parts, **text fields), or refused(body=..., content_type=...): the code it is refused with, said in both languages.

    The next good question is answered.
    """

    def run(*parts: Part, body: bytes | None = None, content_type: str | None = None, **fields: object) -> str:
        said = {}
        for language in ("en", "zh"):
            headers = {"accept-language": language} | ({"content-type": content_type} if content_type else {})
            sent = {"files": parts_of(*parts, **fields)} if body is None else {"content": body}
            response = client.post("/multimodal", headers=headers, **sent)
            assert 400 <= response.status_code < 500, response.text
            said[language] = error_of(response)
        assert said["en"]["code"] == said["zh"]["code"]
        assert CHINESE.search(said["zh"]["message"])
        assert said["zh"]["message"] != said["en"]["message"]
        good = client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=1))
        assert good.status_code == 200, good.text
        return said["en"]["code"]

    return run


@pytest.fixture
def fetched() -> Iterator[tuple[str, list[str]]]:
    """(the address of a server of this machine, what it was asked for)."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = (EXAMPLES / "pair.png").read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture(scope="session")
def silent_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The example video without its sound."""
    return _run_ffmpeg(tmp_path_factory.mktemp("media") / "silent.mp4", "-an", "-c", "copy")


@pytest.fixture(scope="session")
def sound_track(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The sound of the example video, as it is heard."""
    heard = ("-vn", "-af", "aresample=rematrix_maxval=1", "-ac", "1", "-ar", "16000", "-c:a", "pcm_f32le")
    return _run_ffmpeg(tmp_path_factory.mktemp("media") / "track.wav", *heard)


def _run_ffmpeg(path: Path, *options: str) -> bytes:
    subprocess.run([FFMPEG_BINARY, "-v", "error", "-i", str(EXAMPLES / "moving.mp4"), *options, str(path)], check=True, timeout=60)
    return path.read_bytes()
