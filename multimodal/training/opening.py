"""Every picture of a data set opened, to see which cannot be, and how large they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from multimodal.errors import UserError
from multimodal.media.intake import Limits
from multimodal.retrieval.ahead import batches
from multimodal.retrieval.cores import COUNT
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.training.captioned import Captioned, CaptionedSet, Problem
from multimodal.training.gathering import PLACES, not_empty

AHEAD = 4  # pictures a thread that are opened before they are asked for
SECONDS = 0.25  # after which what is there is handed over


@dataclass(frozen=True)
class Opened:
    """`size`: (width, height) in pixels, upright; None where the picture cannot be opened."""

    picture: Captioned
    size: tuple[int, int] | None


def open_all(data: CaptionedSet, limits: Limits) -> Iterator[Opened]:
    """Each picture, decoded in full and in the data set's order."""
    with ThreadPoolExecutor(COUNT, "opening") as pool:
        for batch in batches(pool, partial(_open, limits=limits), data.pictures, AHEAD, AHEAD * COUNT, SECONDS):
            yield from batch


def _open(picture: Captioned, limits: Limits) -> Opened:
    name = picture.image.name
    try:
        read = read_picture(read_content(picture.image, name, limits), name, limits, 1, 1)
    except UserError:
        return Opened(picture, None)
    return Opened(picture, (read.width, read.height))


def without(data: CaptionedSet, broken: Collection[Captioned], path: Path) -> CaptionedSet:
    """The data set at `path` without the pictures that cannot be opened, which are a problem of it. Raises UserError where none is left."""
    if not broken:
        return data
    lost = {picture.image for picture in broken}
    kept = tuple(picture for picture in data.pictures if picture.image not in lost)
    problem = Problem("picture_broken", len(broken), tuple(str(picture.image) for picture in broken)[:PLACES])
    return not_empty(replace(data, pictures=kept, problems=(*data.problems, problem)), path)
