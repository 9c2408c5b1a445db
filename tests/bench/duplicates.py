"""Copies of photographs, as programs make them: how many are found, and what else is taken for one. Without vectors."""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from multimodal.retrieval.duplicates import find_groups
from multimodal.retrieval.perceptual import LAYOUT, VERSION, signature
from tests.conftest import ROOT

PHOTOS = ROOT.parent / "shared" / "photos"
SAVED = 90  # the JPEG quality of a copy that is not about compression
GOAL = "goal: precision 0.98, recall 0.95"

Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Copy:
    """A photograph or a copy of one, as it is in a library."""

    photo: str
    kind: str
    signature: bytes
    pixels: int
    bytes: int


def scaled(factor: float) -> Change:
    """Both sides, times `factor`."""
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def cropped(left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Change:
    """Without these shares of the sides."""

    def crop(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop((round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom))))

    return crop


def enhanced(kind: type, factor: float) -> Change:
    """Brightness, contrast or saturation, times `factor`."""
    return lambda image: kind(image).enhance(factor)


def turned(degrees: float) -> Change:
    """Every hue, by so much."""

    def turn(image: Image.Image) -> Image.Image:
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(level + round(degrees / 360 * 256)) % 256 for level in range(256)])
        return Image.merge("HSV", (hue, saturation, value)).convert("RGB")

    return turn


def both(first: Change, second: Change) -> Change:
    return lambda image: second(first(image))


RECOLOURED = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
# kind: (change, JPEG quality) of each copy
COPIES: dict[str, list[tuple[Change, int]]] = {
    "resized": [(scaled(0.5), SAVED), (scaled(1.5), SAVED)],
    "recompressed": [(scaled(1), 40), (scaled(1), 75)],
    "cropped": [
        *((cropped(**{side: 0.05}), SAVED) for side in ("left", "top", "right", "bottom")),
        (cropped(0.05, 0.05, 0, 0), SAVED),
        (cropped(0, 0, 0.05, 0.05), SAVED),
        (cropped(0.025, 0.025, 0.025, 0.025), SAVED),
        (cropped(0.05, 0.05, 0.05, 0.05), SAVED),
    ],
    "recoloured": [
        *((enhanced(kind, factor), SAVED) for kind in RECOLOURED for factor in (0.9, 1.1)),
        *((turned(degrees), SAVED) for degrees in (-8, 8)),
    ],
    "combined": [
        (scaled(0.5), 40),
        (scaled(1.5), 75),
        (both(cropped(0.05, 0, 0, 0.05), scaled(0.5)), 60),
        (both(cropped(0.025, 0.025, 0.025, 0.025), enhanced(ImageEnhance.Brightness, 1.1)), 60),
    ],
}


def in_library(photo: str, kind: str, image: Image.Image, quality: int) -> Copy:
    """The picture saved and read again."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    with Image.open(file) as read:
        return Copy(photo, kind, signature(read.convert("RGB")), image.width * image.height, file.getbuffer().nbytes)


def copies_of(path: Path) -> Iterator[Copy]:
    """The photograph and all copies of it."""
    photo = f"{path.parent.name}/{path.stem}"
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    yield Copy(photo, "original", signature(image), image.width * image.height, path.stat().st_size)
    for kind, changes in COPIES.items():
        for change, quality in changes:
            yield in_library(photo, kind, change(image), quality)


def measure(copies: list[Copy]) -> dict[str, float]:
    """Of the pairs that are in one group, the share that are of one photograph: precision; of those pairs, the share found: recall."""
    groups = find_groups(
        np.arange(len(copies)),
        [copy.signature for copy in copies],
        np.array([copy.pixels for copy in copies]),
        np.array([copy.bytes for copy in copies]),
        np.zeros(len(copies)),
    )
    pairs = [pair for group in groups for pair in itertools.combinations([group.best, *group.others], 2)]
    right = sum(copies[one].photo == copies[other].photo for one, other in pairs)
    photos = [copy.photo for copy in copies]
    there = sum(count * (count - 1) // 2 for count in map(photos.count, set(photos)))
    return {"pairs": there, "found": right, "wrong": len(pairs) - right, "precision": right / max(len(pairs), 1), "recall": right / there}


def grouping_seconds(count: int) -> float:
    """How long `find_groups` takes for so many unlike pictures."""
    random = np.random.default_rng(0)
    records = np.zeros(count, LAYOUT)
    records["version"], records["contrast"] = VERSION, 10
    records["hash"] = random.integers(2**64, size=count, dtype=np.uint64)
    records["detail"] = np.clip(random.laplace(scale=11, size=records["detail"].shape), -127, 127)
    signatures = [record.tobytes() for record in records]
    began = time.perf_counter()
    find_groups(np.arange(count), signatures, np.ones(count), np.ones(count), np.ones(count))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="a folder of folders, one an object")
    parser.add_argument("--library", type=int, default=100_000, help="signatures of the library whose grouping is timed")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(arguments.photos.glob("*/*.jpg"))
    if not paths:
        print(f"There are no photographs in {arguments.photos}: nothing was measured.")
        return
    copies = [copy for path in paths for copy in copies_of(path)]
    objects = sorted({path.parent.name for path in paths})
    halves = {"all objects": objects, "thresholds chosen on": objects[0::2], "held out": objects[1::2]}
    table: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{len(paths)} photographs of {len(objects)} objects, {len(copies)} pictures; {GOAL}\n")
    print("| copies | objects | pairs | found | wrong | precision | recall |\n|---|---|---|---|---|---|---|")
    for half, members in halves.items():
        own = [copy for copy in copies if copy.photo.split("/")[0] in members]
        table[half] = {}
        for kind in (*COPIES, "all together"):
            found = measure([copy for copy in own if kind == "all together" or copy.kind in ("original", kind)])
            table[half][kind] = found
            print(
                f"| {kind} | {half} | {found['pairs']} | {found['found']} | {found['wrong']}"
                f" | {found['precision']:.4f} | {found['recall']:.4f} |"
            )
    seconds = grouping_seconds(arguments.library)
    print(f"\n{arguments.library:,} unlike pictures looked through in {seconds:.1f} s")
    if arguments.json:
        print(json.dumps({"pairs": table, "library": arguments.library, "seconds": seconds}))


if __name__ == "__main__":
    main()
