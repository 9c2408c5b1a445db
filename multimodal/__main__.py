"""`python -m multimodal`: the desk's parts from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from multimodal.commands import evaluate, library, train


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multimodal", description="Omni Desk from a terminal. The desk itself is app.py.")
    parts = parser.add_subparsers(required=True, metavar="PART")
    library.add_parser(parts)
    train.add_parser(parts)
    evaluate.add_parser(parts)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file's name can hold what the terminal cannot show
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:  # whoever read has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
