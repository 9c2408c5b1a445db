"""Parameters in groups: the deeper a layer, the less it is changed (layer-wise learning rate decay, as in BEiT, arXiv 2106.08254)."""

from __future__ import annotations

import re

import torch

NUMBERED = re.compile(r"\.(?:layer|layers|stages|blocks|h|block)\.(\d+)\.")
TOWERS = ("vision_model.", "text_model.")


def parameter_groups(model: torch.nn.Module, rate: float, decay: float, weight_decay: float) -> list[dict[str, object]]:
    """For torch's optimizers. The last layer of a tower, and what follows it, have `rate`; each layer below `decay` times that of the one
    above it; embeddings the least. What has one dimension (biases, norms, the temperature) has no weight decay.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    depth = {tower: max((_layer(name) for name, _ in named if name.startswith(tower)), default=-1) + 1 for tower in TOWERS}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in named:
        tower = next((tower for tower in TOWERS if name.startswith(tower)), None)
        below = 0
        if tower:
            layer = _layer(name)
            if layer >= 0:
                below = depth[tower] - 1 - layer
            elif "embed" in name:
                below = depth[tower]
        decayed = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate * decay**below, decayed), []).append(parameter)
    return [{"params": parameters, "lr": lr, "weight_decay": decayed} for (lr, decayed), parameters in sorted(groups.items(), reverse=True)]


def _layer(name: str) -> int:
    """The number of the layer that a parameter belongs to, -1 for none."""
    found = NUMBERED.search(name)
    return int(found[1]) if found else -1
