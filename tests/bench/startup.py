"""How long from `python app.py` to an answering /health, and to a model that is ready."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.conftest import start_desk


def start_once() -> tuple[float, float]:
    """(seconds to the first answer of /health, seconds to 'ready')."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        desk = start_desk(Path(folder) / "data", ready=False)
        answering = time.monotonic() - began
        while httpx.get(f"{desk.url}/health").json()["status"] != "ready":
            time.sleep(0.05)
        ready = time.monotonic() - began
        desk.process.terminate()
        desk.process.wait(20)
    return answering, ready


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    runs = [start_once() for _ in range(arguments.runs)]
    table = {}
    print(f"| {arguments.runs} starts, {os.cpu_count()} cores | least | median | most |\n|---|---|---|---|")
    for name, seconds in zip(("answering", "ready"), zip(*runs, strict=True), strict=True):
        table[name] = {"min_s": min(seconds), "median_s": statistics.median(seconds), "max_s": max(seconds)}
        print(f"| {name} | {min(seconds):.1f} s | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s |")
    if arguments.json:
        print(json.dumps(table))


if __name__ == "__main__":
    main()
