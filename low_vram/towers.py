"""The vision and audio towers in exact pieces: frames do not see each other, nor do windows of sound, so each can go alone."""

from __future__ import annotations

import torch
from torch import nn


def look(tower: nn.Module, pixels: torch.Tensor, grid: torch.Tensor, device: str, patches: int) -> torch.Tensor:
    """Features [tokens, hidden] in host memory of `pixels` [patches, values], about `patches` of them at a time.

    `grid` [images, 3] counts patches (time, height, width). An image or frame is never split: within it every patch sees every other.
    """
    merge = tower.spatial_merge_size**2
    features = []
    begin = 0
    for frames, height, width in grid.tolist():
        at_once = max(1, patches // (height * width))
        for first in range(0, frames, at_once):
            count = min(at_once, frames - first)
            end = begin + count * height * width
            piece = tower(
                pixels[begin:end].to(device, tower.dtype), grid_thw=torch.tensor([[count, height, width]], device=device)
            ).pooler_output
            assert piece.shape[0] == (end - begin) // merge
            features.append(piece.cpu())
            begin = end
    return torch.cat(features)


def listen(tower: nn.Module, mel: torch.Tensor, device: str, windows: int) -> torch.Tensor:
    """Features [tokens, hidden] in host memory of one sound's `mel` [bins, frames], at most `windows` attention windows at a time."""
    step = 2 * tower.n_window * windows
    features = []
    for begin in range(0, mel.shape[1], step):
        piece = mel[:, begin : begin + step].to(device, tower.dtype)
        length = torch.tensor([piece.shape[1]], device=device)
        features.append(tower(piece, feature_lens=length).last_hidden_state.cpu())
    return torch.cat(features)
