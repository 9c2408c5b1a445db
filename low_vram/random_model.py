"""A model of true size with random weights: what it answers means nothing, the memory it takes is real."""

from __future__ import annotations

import torch
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

from low_vram.arrangement import DEVICE, Arrangement
from low_vram.load import build_empty, part_of, place, settle_buffers
from low_vram.quantize import QuantizedLinear

TILE = 2**24  # random numbers drawn once; repeated, they fill the larger tensors
SPREAD = 0.02  # of the weights, as the published models are initialized


def build_random(
    config: Qwen2_5OmniConfig, arrangement: Arrangement, device: str, dtype: torch.dtype, seed: int = 0
) -> Qwen2_5OmniForConditionalGeneration:
    """A model with `config`, arranged on `device` ('cpu', 'cuda:N' or 'sim:0'), that never ends an answer by itself."""
    homes = {part: device if where == DEVICE else "cpu" for part, where in arrangement.places.items()}
    model = build_empty(config, arrangement, device, dtype)
    tile = torch.randn(TILE, generator=torch.Generator().manual_seed(seed)).mul_(SPREAD)

    def drawn(shape: torch.Size) -> torch.Tensor:
        count = shape.numel()
        return tile[:count].view(shape) if count <= TILE else tile.repeat(-(-count // TILE))[:count].view(shape)

    made: dict[tuple[int, int, type], dict[str, torch.Tensor]] = {}  # quantizing is slow, so once for each shape
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear):
            home = homes[part_of(f"{name}.")]
            key = (module.out_features, module.in_features, type(module))
            if key not in made:
                module.fill(drawn(torch.Size(key[:2])), None, "cpu")
                made[key] = {table: buffer for table, buffer in module.named_buffers() if table != "bias"}
            for table, buffer in made[key].items():
                setattr(module, table, buffer.to(home, copy=True))
            if module.bias is not None:
                module.bias = torch.zeros(module.out_features, dtype=dtype, device=home)
    for name, parameter in list(model.named_parameters()):
        if parameter.device.type != "meta":
            continue
        if name.endswith("bias"):
            value = torch.zeros(parameter.shape, dtype=parameter.dtype)
        elif parameter.dim() == 1:
            value = torch.ones(parameter.shape, dtype=parameter.dtype)
        else:
            value = drawn(parameter.shape).to(parameter.dtype)
        place(model, name, value, homes[part_of(name)], device)
    settle_buffers(model, homes)
    model.thinker.generation_config.eos_token_id = None
    model.thinker.generation_config.pad_token_id = 0
    return model.eval()
