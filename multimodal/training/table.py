"""A table of captions: CSV with the columns `image` and `caption`, perhaps `split`, and others that are passed over."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from multimodal.errors import UserError
from multimodal.training.captioned import CaptionedSet
from multimodal.training.gathering import Gathering
from multimodal.training.text_file import read_text


def read_table(path: Path, folder: Path) -> CaptionedSet:
    """The data set of a CSV file whose first line names the columns. Raises UserError."""
    gathering = Gathering("csv", folder)
    rows = _rows(path)
    _, header = next(rows, ("", None))
    columns = [name.strip().lower() for name in header or ()]
    if not {"image", "caption"} <= set(columns):
        raise UserError("set_columns", path=str(path))
    at = columns.index("caption")
    for place, row in rows:
        surplus = len(row or ()) - len(columns)
        if row is None or surplus < 0:
            gathering.leave_out("line_unreadable", place)
            continue
        # commas that nobody quoted are the caption's
        fields = dict(zip(columns, [*row[:at], ",".join(row[at : at + surplus + 1]), *row[at + surplus + 1 :]], strict=True))
        if entry := gathering.picture(place, fields["image"].strip(), fields.get("split", "").strip()):
            gathering.caption(place, entry, fields["caption"])
    return gathering.finish()


def _rows(path: Path) -> Iterator[tuple[str, list[str] | None]]:
    """Each row that is not blank, with the place where it begins; None for a line that is none, after which the next is tried: a quotation
    mark that is never closed does not swallow the rest."""
    lines = [line.removesuffix("\r") + "\n" for line in read_text(path).split("\n")]
    start = 0
    while start < len(lines):
        begun = start
        reader = csv.reader((lines[number] for number in range(begun, len(lines))), strict=True)
        try:
            for row in reader:
                if any(field.strip() for field in row):
                    yield f"{path.name}:{start + 1}", row
                start = begun + reader.line_num
        except csv.Error:
            yield f"{path.name}:{start + 1}", None
            start += 1
