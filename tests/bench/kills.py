"""Kills a process at random moments while it adds, removes, forgets and writes the index; after each, looks whether anything was lost.

`python -m tests.bench.kills [--count 120] [--json]`
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.retrieval.killing import kill_once


def main() -> int:
    """Exit status 1 where something was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--json", action="store_true", help="print JSON as the last line")
    options = parser.parse_args()
    began, present, losses = time.monotonic(), set(), []
    with tempfile.TemporaryDirectory(prefix="omni-desk-kills-") as data:
        folder = Path(data) / "library"
        folder.mkdir()
        for seed in range(options.count):
            try:
                present = kill_once(folder, seed, present)
            except AssertionError as error:
                losses.append(f"kill {seed}: {error}")
                print(losses[-1], flush=True)
    result = {"kills": options.count, "losses": len(losses), "pictures": len(present), "seconds": round(time.monotonic() - began, 1)}
    print(f"{'kills':>8}{'losses':>8}{'pictures at the end':>22}{'seconds':>10}")
    print(f"{result['kills']:8d}{result['losses']:8d}{result['pictures']:22d}{result['seconds']:10.1f}")
    if options.json:
        print(json.dumps(result))
    return 1 if losses else 0


if __name__ == "__main__":
    raise SystemExit(main())
