"""Scenes of the toy world as a captioned data set, in the form that `python -m multimodal train` reads."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from multimodal.demo import world
from multimodal.demo.captions import is_held_out_text, say
from multimodal.demo.claims import Claim, is_held_out, whole
from multimodal.demo.lessons import LANGUAGES

COUNT = 12_000  # to train with
JUDGED = 300  # of val, and of test
WORDINGS = 2  # captions a language
SIDES = (72, 96, 128, 160)  # pixels of a picture
NAME = "captions.jsonl"


def write_set(folder: Path, count: int = COUNT, seed: str = "scenes") -> Path:
    """Pictures below `folder` and their captions in NAME, whose path is returned; the same for the same seed.

    In 'val' and 'test' no two pictures show the same, as the caption of one would fit the other; every second one shows a combination of
    things that 'train' never does, and so do its captions.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for split, wanted in (("train", count), ("val", JUDGED), ("test", JUDGED)):
        seen: set[Claim] = set()
        for place in range(wanted):
            random = Random(f"{seed}-{split}-{place}")
            scene = _draw(random, None if split == "train" else bool(place % 2), seen)
            if split != "train":
                seen.add(whole(scene))
            name = f"images/{split}-{place:05}.jpg"
            world.paint(scene, random.choice(SIDES)).save(folder / name, quality=90)
            captions = [_text(random, whole(scene), language) for language in LANGUAGES for _ in range(WORDINGS)]
            lines.append(json.dumps({"image": name, "captions": captions, "split": split}, ensure_ascii=False))
    path = folder / NAME
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(random: Random, held_out: bool | None, seen: set[Claim]) -> world.Scene:
    """A scene that shows nothing of `seen`: a combination that is held out, one that is not, or for training (None) never one that is."""
    while True:
        scene = world.draw_scene(random)
        if is_held_out(whole(scene)) == bool(held_out) and whole(scene) not in seen:
            return scene


def _text(random: Random, claim: Claim, language: str) -> str:
    while is_held_out_text(text := say(random, claim, language)):
        pass
    return text
