"""`train check`: what is in a data set, and what of it cannot be used."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from multimodal.commands.progress_line import with_progress
from multimodal.commands.session import as_path, speaks_utf8
from multimodal.commands.train_phrases import train_phrase
from multimodal.media import Limits
from multimodal.settings import Settings
from multimodal.training.captioned import CaptionedSet
from multimodal.training.description import Description, Spread, describe, spread
from multimodal.training.opening import open_all, without
from multimodal.training.plot import SetPlot
from multimodal.training.problems import say
from multimodal.training.reading_sets import read_captioned


def check_set(options: argparse.Namespace, settings: Settings, language: str) -> int:
    """0 where the data set can be used, whatever had to be left out. Raises UserError."""
    path = as_path(options.data)
    data, sizes = read_captioned(path), []
    plot = SetPlot() if options.plot else None
    if options.deep or plot:
        limits = Limits(file_bytes=settings.max_upload_mb * 1_000_000)
        data, sizes = _open(data, path, limits, language)
    description = describe(data)
    lengths, sides = spread(description.lengths), spread([min(size) for size in sizes]) if sizes else None
    if plot:
        plot.write(as_path(options.plot), description.lengths, sizes)
    if options.json:
        print(json.dumps(_as_json(data, path, description, lengths, sides, language), ensure_ascii=not speaks_utf8()))
    else:
        print("\n".join(_as_lines(data, description, lengths, sides, language)))
        if plot:
            print(train_phrase("drawn", language, path=as_path(options.plot)))
    return 0


def _open(data: CaptionedSet, path: Path, limits: Limits, language: str) -> tuple[CaptionedSet, list[tuple[int, int]]]:
    """The pictures that can be opened, and their sizes."""
    opened = list(with_progress(open_all(data, limits), len(data.pictures), train_phrase("opening", language), language))
    broken = [one.picture for one in opened if one.size is None]
    return without(data, broken, path), [one.size for one in opened if one.size is not None]


def _as_json(
    data: CaptionedSet, path: Path, description: Description, lengths: Spread, sides: Spread | None, language: str
) -> dict[str, object]:
    return {
        "path": str(path),
        "form": data.form,
        "pictures": description.pictures,
        "captions": description.captions,
        "cjk": round(description.cjk, 4),
        "characters": asdict(lengths),
        **({"shorter_side": asdict(sides)} if sides else {}),
        "problems": [
            {"code": problem.code, "count": problem.count, "places": problem.places, "message": say(problem, language)}
            for problem in data.problems
        ],
    }


def _as_lines(data: CaptionedSet, description: Description, lengths: Spread, sides: Spread | None, language: str) -> list[str]:
    lines = [train_phrase("form", language, form=train_phrase(data.form, language))]
    for split, count in description.pictures.items():
        lines.append(train_phrase("split", language, split=split, pictures=count, captions=description.captions[split]))
    lines.append(train_phrase("cjk", language, share=description.cjk))
    lines.append(train_phrase("lengths", language, **asdict(lengths)))
    if sides:
        lines.append(train_phrase("sides", language, **asdict(sides)))
    for problem in data.problems:
        lines += [say(problem, language), *(f"  {place}" for place in problem.places)]
        if more := problem.count - len(problem.places):
            lines.append(f"  {train_phrase('more', language, count=more)}")
    return lines
