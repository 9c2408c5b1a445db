"""Shared parts: a desk that runs as a process of its own, at a port of this machine, with data in a temporary folder."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from multimodal.data_dir import REQUEST_PREFIX
from multimodal.demo.library import COUNT
from multimodal.settings import KEYS

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "assets" / "examples"
SECONDS_TO_START = 300

os.environ["HF_HUB_OFFLINE"] = "1"  # no test reaches a network


def pytest_collection_finish() -> None:
    """What has been imported by now is never garbage. Where memory runs out the desk collects garbage at every step, and would look at all
    of it each time: half a second."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class RunningDesk:
    """The process, and where it listens."""

    process: subprocess.Popen
    url: str
    data: Path
    log: Path


def start_desk(data: Path, *arguments: str, ready: bool = True, host: str = "127.0.0.1", **variables: str) -> RunningDesk:
    """`python app.py` with `arguments` and further environment `variables`, once /health answers (and says ready)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = data.parent / f"{data.name}.log"
    environment = {name: value for name, value in os.environ.items() if name not in KEYS} | variables
    # empty options bring the defaults back, whatever a developer's own .env says
    options = [
        ("--model" if key == "MODEL_PATH" else f"--{key.lower().replace('_', '-')}") for key in KEYS if key not in ("SHARE", "BROWSER")
    ]
    defaults = [part for option in options for part in (option, "")]
    command = [
        sys.executable,
        "app.py",
        *defaults,
        "--no-browser",
        "--host",
        host,
        "--port",
        str(port),
        "--data-dir",
        str(data),
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)
    desk = RunningDesk(process, f"http://{f'[{host}]' if ':' in host else host}:{port}", data, log)
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            status = httpx.get(f"{desk.url}/health", timeout=2, trust_env=False).json()["status"]
            if not ready or status == "ready":
                return desk
        except (httpx.TransportError, KeyError, ValueError):
            pass
        time.sleep(0.2)
    process.kill()
    raise RuntimeError(f"the desk did not start:\n{log.read_text()}")


def wait_for_samples(desk: RunningDesk) -> None:
    """Until a new desk's library has the pictures that come along, which it paints and takes in the background."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        answer = httpx.get(f"{desk.url}/library/images?limit=1", timeout=10, trust_env=False).json()
        if answer.get("total") == COUNT and not list(desk.data.glob(f"{REQUEST_PREFIX}*")):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the library got no pictures:\n{desk.log.read_text()}")


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """The desk with its demo model, one for all tests."""
    running = start_desk(tmp_path_factory.mktemp("desk") / "data")
    wait_for_samples(running)
    yield running
    running.process.terminate()
    running.process.wait(20)


@pytest.fixture
def other_desk(tmp_path: Path) -> Iterator[Callable[..., RunningDesk]]:
    """Start further desks, with arguments of their own."""
    started: list[RunningDesk] = []

    def start(*arguments: str, **how: object) -> RunningDesk:
        started.append(start_desk(tmp_path / f"data{len(started)}", *arguments, **how))
        return started[-1]

    yield start
    for running in started:
        running.process.terminate()
        running.process.wait(20)
