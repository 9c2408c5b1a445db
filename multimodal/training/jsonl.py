"""A line of JSON for each picture: `image`, `caption` or `captions` (a list) or both, and perhaps `split`."""

from __future__ import annotations

import json
from pathlib import Path

from multimodal.training.captioned import CaptionedSet
from multimodal.training.gathering import Gathering
from multimodal.training.text_file import read_lines


def read_jsonl(path: Path, folder: Path) -> CaptionedSet:
    """The data set of a .jsonl file. A picture may have several lines. Raises UserError."""
    gathering = Gathering("jsonl", folder)
    for place, line in read_lines(path):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):  # no JSON; brackets thousands deep
            fields = None
        captions = _captions(fields) if isinstance(fields, dict) else None
        if captions is None:
            gathering.leave_out("line_unreadable", place)
        elif entry := gathering.picture(place, fields.get("image"), fields.get("split")):
            for caption in captions:
                gathering.caption(place, entry, caption)
    return gathering.finish()


def _captions(fields: dict[str, object]) -> list[object] | None:
    """None where the line has none, or no list where there should be one."""
    several = fields.get("captions", [])
    if not isinstance(several, list) or not fields.keys() & {"caption", "captions"}:
        return None
    return [fields["caption"], *several] if "caption" in fields else several
