"""The demo library: a folder of small pictures of scenes that training never met, with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from multimodal.demo import world
from multimodal.demo.captions import caption
from multimodal.demo.claims import is_held_out, whole
from multimodal.demo.lessons import LANGUAGES

COUNT = 200
SEED = "library"  # training draws from "encoder-N-N"


@dataclass(frozen=True)
class Sample:
    """A picture of the demo library. `captions`: one sentence a language."""

    name: str
    captions: dict[str, str]
    scene: world.Scene


def draw_library(count: int = COUNT, seed: str = SEED) -> list[Sample]:
    """The library's scenes; every second one shows a combination of things that training never met."""
    samples = []
    for place in range(count):
        random = Random(f"{seed}-{place}")
        scene = world.draw_scene(random)
        while is_held_out(whole(scene)) != bool(place % 2):
            scene = world.draw_scene(random)
        captions = {language: caption(scene, language) for language in LANGUAGES}
        words = captions["en"].rstrip(".").lower().replace("to the left", "left").replace(" ", "-")
        samples.append(Sample(f"{place + 1:03d}-{words}.{'png' if place % 4 == 3 else 'jpg'}", captions, scene))
    return samples


def make_library(folder: Path, count: int = COUNT, seed: str = SEED) -> list[Sample]:
    """Write the pictures into `folder`, 150 to 240 pixels on the shorter side; the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = draw_library(count, seed)
    for sample in samples:
        side = Random(sample.name).choice((150, 180, 240))
        world.paint(sample.scene, side).save(folder / sample.name, quality=90, optimize=True)
    return samples
