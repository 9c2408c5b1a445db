"""A small data set on the disk: pictures with a colour above and one below, said in both languages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (40, 60, 230), "white": (250, 250, 250)}
CHINESE = {"red": "红色", "green": "绿色", "blue": "蓝色", "white": "白色"}
COUNT = 48


def write_two_colours(folder: Path) -> Path:
    """COUNT pictures, every pair of colours three times: twice to train with, once in 'val'."""
    lines = []
    for number in range(COUNT):
        above, below = (list(COLOURS)[place] for place in (number % 4, number // 4 % 4))
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[:20], pixels[20:] = COLOURS[above], COLOURS[below]
        pixels += np.random.default_rng(number).integers(0, 5, pixels.shape, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        captions = [f"{above} above {below}", f"上面{CHINESE[above]}，下面{CHINESE[below]}"]
        split = ("train", "train", "val")[number // 16]
        lines.append(json.dumps({"image": f"{number:02}.png", "captions": captions, "split": split}, ensure_ascii=False))
    (folder / "set.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder
