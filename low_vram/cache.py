"""The KV cache in host memory: each layer's keys and values are on the device only while that layer computes."""

from __future__ import annotations

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

GROWTH = 256  # positions that are made room for at once


class HostLayer(DynamicLayer):
    """Keys and values [1, heads, positions, size] of one layer, in host memory; what is new goes there once, and all of it to the device
    for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = self.values = None
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        self.keys, self.values = self._with(self.keys, key_states, end), self._with(self.values, value_states, end)
        self.length = end
        return tuple(kept[..., :end, :].to(self.device, non_blocking=True) for kept in (self.keys, self.values))

    def _with(self, kept: torch.Tensor | None, new: torch.Tensor, end: int) -> torch.Tensor:
        if kept is None or end > kept.shape[-2]:
            room = torch.empty(*new.shape[:-2], end + GROWTH, new.shape[-1], dtype=new.dtype, pin_memory=new.device.type == "cuda")
            if kept is not None:
                room[..., : self.length, :] = kept[..., : self.length, :]
            kept = room
        kept[..., self.length : end, :] = new.cpu()
        return kept

    def get_seq_length(self) -> int:
        """Positions kept."""
        return self.length

    def reset(self) -> None:
        """Forget all."""
        self.keys = self.values = None
        self.length = 0
        self.is_initialized = False


def make_cache(config: object, on_host: bool) -> Cache:
    """An empty cache for a text model with `config`."""
    return Cache(layer_class_to_replicate=HostLayer) if on_host else DynamicCache(config=config)
