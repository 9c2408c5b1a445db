"""A small model that can speak, arranged at will on the simulated card or on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from low_vram import sim
from low_vram.arrangement import DEVICE, Arrangement
from low_vram.budget import Machine
from low_vram.footprint import Footprint, measure
from low_vram.load import Checkpoint, load_omni, open_checkpoint, plan_for
from low_vram.request import Limits
from low_vram.stages import Stages
from tests.tiny import write_tiny_omni

LIMITS = Limits(pixels=50_176, side=448, frame_pixels=12_544, frames=8, seconds=30, context=2048, speech=1)
PLENTY = Machine(2**40, 2**40)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """In float32, with two voices."""
    return open_checkpoint(str(write_tiny_omni(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture(scope="session")
def footprint(tiny_checkpoint: Checkpoint) -> Footprint:
    """Of the small model."""
    return measure(tiny_checkpoint.config)


@pytest.fixture
def arranged(tiny_checkpoint: Checkpoint) -> Callable[..., Stages]:
    """arranged(device, places, precisions, **others): the small model, loaded with that arrangement; everything else on the device."""
    sim.install()

    def make(device: str = sim.DEVICE, places: dict | None = None, precisions: dict | None = None, **others: object) -> Stages:
        plan = plan_for(tiny_checkpoint, PLENTY, torch.float32, limits=asdict(LIMITS))
        arrangement = Arrangement(
            dict.fromkeys(plan.part_bytes, DEVICE) | (places or {}),
            dict.fromkeys(plan.part_bytes, "stored") | (precisions or {}),
            **{"limits": LIMITS, **others},
        )
        loaded = load_omni(tiny_checkpoint, replace(plan, arrangement=arrangement), device, torch.float32)
        return Stages(loaded.model, device, arrangement)

    yield make
    sim.set_cap(None)


@pytest.fixture(scope="session")
def folder(tiny_checkpoint: Checkpoint) -> Path:
    """Where the small checkpoint is."""
    return Path(tiny_checkpoint.path)
