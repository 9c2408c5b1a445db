"""The bytes of each part of a Qwen2.5-Omni, from its configuration alone: on the meta device, without weights."""

from __future__ import annotations

import torch
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

# The parts a model is placed by, as transformers 5 names them.
PARTS = ("thinker.model.language_model", "thinker.lm_head", "thinker.model.visual", "thinker.model.audio_tower", "talker", "token2wav")


def part_bytes(config: Qwen2_5OmniConfig, dtype: torch.dtype) -> dict[str, int]:
    """{part: bytes} with weights in `dtype`, but token2wav, which computes in float32.

    A model without speech has no talker and no token2wav.
    """
    with torch.device("meta"):
        model = Qwen2_5OmniForConditionalGeneration(config)
    sizes = {}
    for part in PARTS:
        if part.split(".")[0] in dict(model.named_children()):
            width = 4 if part == "token2wav" else dtype.itemsize
            sizes[part] = sum(parameter.numel() for parameter in model.get_submodule(part).parameters()) * width
    return sizes
