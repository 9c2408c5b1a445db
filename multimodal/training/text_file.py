"""A data set's text files: UTF-8 with or without a mark at the beginning, lines with either kind of end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from multimodal.errors import UserError


def read_text(path: Path) -> str:
    """The whole file. Raises UserError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError("file_unreadable", name=str(path), reason=error.strerror or type(error).__name__) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the error counts from behind the mark, which has no line's end
        raise UserError("set_not_text", path=str(path), line=error.object.count(b"\n", 0, error.start) + 1) from error
    if (end := text.find("\0")) >= 0:  # UTF-16 without a mark looks so
        raise UserError("set_not_text", path=str(path), line=text.count("\n", 0, end) + 1)
    return text


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, with its place ('captions.jsonl:3'). Raises UserError."""
    for number, line in enumerate(read_text(path).split("\n"), 1):  # a caption may hold what splitlines() takes for a line's end
        if line.strip():
            yield f"{path.name}:{number}", line.strip("\r")


def read_json(path: Path) -> object:
    """What the JSON file holds. Raises UserError."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError("set_not_json", path=str(path), line=error.lineno) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets as deep
        raise UserError("set_not_json", path=str(path), line=1) from error
