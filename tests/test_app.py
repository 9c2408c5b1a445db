"""`python app.py` starts where others have trouble, and says in one sentence why it cannot."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, RunningDesk

DEAD = "http://127.0.0.1:9"  # nothing listens at the discard port


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on this machine")
def test_it_starts_at_an_ipv6_address_and_behind_a_dead_proxy(other_desk: Callable[..., RunningDesk]) -> None:
    desk = other_desk(ready=False, host="::1", HTTP_PROXY=DEAD, http_proxy=DEAD, ALL_PROXY=DEAD, all_proxy=DEAD)
    page = httpx.get(desk.url, trust_env=False)
    assert page.status_code == 200
    assert "Traceback" not in desk.log.read_text()


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "app.py", "--no-browser", "--port", str(port), "--data-dir", str(tmp_path / "data")]
        run = subprocess.run(command, cwd=ROOT, env={**os.environ, "PORT": ""}, capture_output=True, text=True, timeout=300)
    assert run.returncode == 2
    assert run.stderr.strip().splitlines()[-1].startswith(f"The desk cannot listen at 127.0.0.1:{port} (")
    assert "Traceback" not in run.stderr
