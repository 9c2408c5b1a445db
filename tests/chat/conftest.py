"""Small models with random weights, and media of each kind."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from multimodal.chat.load import load
from multimodal.chat.omni import Omni
from multimodal.demo import world
from multimodal.media import Clip, Picture, Sound
from tests.tiny import write_tiny_omni


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that can speak."""
    return write_tiny_omni(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(tiny_folder: Path) -> Omni:
    """A fresh model of it, in float32 on the CPU."""
    return load(str(tiny_folder), "cpu")


def picture(seed: int = 1) -> Picture:
    image = world.paint(world.draw_scene(Random(seed)))
    return Picture(f"picture{seed}", image, image.size)


def sound(seconds: float = 1.3, seed: int = 1) -> Sound:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * 16_000)) * 0.1
    return Sound("sound", samples.astype(np.float32))


def clip(seconds: float = 3.0, rate: float = 2.0, heard: bool = True, seed: int = 1) -> Clip:
    motion = world.draw_motion(Random(seed))
    frames = tuple(world.frame(motion, place / rate) for place in range(round(seconds * rate)))
    return Clip("clip", frames, rate, sound(seconds, seed) if heard else None)
