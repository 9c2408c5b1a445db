"""Which device computes, and in which precision it is good."""

from __future__ import annotations

import torch


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
