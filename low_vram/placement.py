"""Where each part of the model lives. On a card, the vision and audio towers stay in host memory unless everything fits."""

from __future__ import annotations

import torch
from transformers import Qwen2_5OmniConfig

from low_vram.footprint import part_bytes
from low_vram.memory import free_on

TOWERS = ("thinker.model.visual", "thinker.model.audio_tower")
SPEECH = ("talker", "token2wav")
# What an answer needs beside the weights (cache, activations, the driver's own share), in bytes.
RESERVE = 2 * 2**30
HOST = "cpu"  # in accelerate's maps: weights kept in host memory, moved to the card for their own stage


def choose_device(wanted: str) -> str:
    """'auto' is the first CUDA card, or 'cpu' where there is none; any other name is kept."""
    if wanted != "auto":
        return wanted
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def is_there(device: str) -> bool:
    """Whether torch can compute on `device` ('cpu' or 'cuda:N')."""
    return device == "cpu" or (torch.cuda.is_available() and torch.device(device).index < torch.cuda.device_count())


def choose_dtype(stored: torch.dtype, device: str) -> torch.dtype:
    """The precision to compute in: the stored one where the device is good at it. A CPU is slow in float16, an old card in bfloat16."""
    if device == "cpu":
        return torch.float32 if stored == torch.float16 else stored
    if stored == torch.bfloat16 and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return stored


def make_device_map(config: Qwen2_5OmniConfig, dtype: torch.dtype, device: str) -> dict[str, str] | None:
    """{part: device or 'cpu'} for a card; None on a machine without one.

    With room for everything, everything is on the card; otherwise the towers stay in host memory, then the speech parts too.
    """
    if device == "cpu":
        return None
    return fit(part_bytes(config, dtype), free_on(device) - RESERVE, device)


def fit(sizes: dict[str, int], room: int, device: str) -> dict[str, str]:
    """The first of the three arrangements whose part on the card takes at most `room` bytes, or the last of them."""
    for kept_on_host in ((), TOWERS, TOWERS + SPEECH):
        placed = {part: HOST if part in kept_on_host else device for part in sizes}
        if sum(size for part, size in sizes.items() if placed[part] != HOST) <= room:
            break
    return placed
