"""Gradients of a loss over a whole batch, of which only a piece is in memory at once, and of which each process has a part.

GradCache (Gao et al. 2021, arXiv 2101.06983): the features of all pieces without their graphs; the loss, and its gradients by the features;
then each piece once more, with its graph, which those gradients go through. The loss is a function of the features of all processes, and
every process computes it as a whole: by its own features its gradient is exact, and only the features travel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.checkpoint import get_device_states, set_device_states

Batch = Mapping[str, torch.Tensor]
PICTURES = ("pixel_values",)  # inputs with a row for each picture; the others have one for each caption


def pieces_of(batch: Batch, size: int | None) -> list[dict[str, torch.Tensor]]:
    """The batch in pieces of about equal size with `size` captions and pictures at most, where there are enough of both; None: in one."""
    captions, pictures = len(batch["input_ids"]), len(batch["pixel_values"])
    count = 1 if size is None else min(-(-max(captions, pictures) // size), captions, pictures)
    parts = {name: tensor.tensor_split(count) for name, tensor in batch.items()}
    return [{name: each[number] for name, each in parts.items()} for number in range(count)]


def gathered(accelerator: Accelerator, own: torch.Tensor) -> list[torch.Tensor]:
    """What every process has, in their order, `own` itself in its place; lengths may differ."""
    if accelerator.num_processes == 1:
        return [own]
    sizes = accelerator.gather(torch.tensor([len(own)], device=own.device)).tolist()
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: len(own)] = own.detach()
    every = accelerator.gather(padded).reshape(len(sizes), *padded.shape)
    parts = [part[:size] for part, size in zip(every, sizes, strict=True)]
    parts[accelerator.process_index] = own
    return parts


class Chance:
    """The state of the random numbers, so that a second pass drops out what the first one did."""

    def __init__(self, *tensors: torch.Tensor):
        self._host = torch.get_rng_state()
        self._devices = get_device_states(*tensors)

    @contextmanager
    def again(self):
        """Within the block chance is what it was."""
        with torch.random.fork_rng(devices=self._devices[0], enabled=True):
            torch.set_rng_state(self._host)
            set_device_states(*self._devices)
            yield


def backward(
    accelerator: Accelerator,
    model: torch.nn.Module,
    pieces: Sequence[Batch],
    features: Callable[[torch.nn.Module, Batch], tuple[torch.Tensor, torch.Tensor]],
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    scale: torch.nn.Parameter,
    computing: Callable[[], Any],
) -> torch.Tensor:
    """Add the gradients of `loss(captions, pictures, scale)` to the parameters; returns the loss, detached.

    `features(model, piece)`: of the captions and of the pictures, [n, dimension] each. `loss` takes those of all pieces and all processes.
    `computing()`: the context that models compute in, such as autocast's. `scale` is a parameter that the loss alone uses.
    """
    own = accelerator.unwrap_model(model)
    chances, found = [], []
    if len(pieces) > 1:
        with torch.no_grad():
            for piece in pieces:
                chances.append(Chance(*piece.values()))
                with computing():
                    found.append(features(own, piece))
    else:
        with computing():
            found.append(features(model, pieces[0]))
    captions, pictures = (torch.cat([each[side].float() for each in found]) for side in (0, 1))
    if len(pieces) == 1:
        # the processes' gradients will be averaged, and those by the features are to be added up
        shared = [_times(side, accelerator.num_processes) for side in (captions, pictures)]
        whole = loss(*(torch.cat(gathered(accelerator, side)) for side in shared), scale)
        accelerator.backward(whole)
        return whole.detach()
    leaves = [side.detach().requires_grad_() for side in (captions, pictures)]
    whole = loss(*(torch.cat(gathered(accelerator, side)) for side in leaves), scale)
    by_captions, by_pictures, by_scale = torch.autograd.grad(whole, [*leaves, scale])
    sizes = [[len(each[side]) for each in found] for side in (0, 1)]
    for number, (piece, chance, above, below) in enumerate(
        zip(pieces, chances, by_captions.split(sizes[0]), by_pictures.split(sizes[1]), strict=True)
    ):
        last = number == len(pieces) - 1
        with nullcontext() if last else accelerator.no_sync(model), chance.again():
            with computing():
                texts, images = features(model, piece)
            through = accelerator.num_processes * ((texts.float() * above).sum() + (images.float() * below).sum())
            # what is not synchronised until the last piece has to be in its graph
            accelerator.backward(through + scale * by_scale if last else through)
    return whole.detach()


def _times(tensor: torch.Tensor, factor: int) -> torch.Tensor:
    """The same values; `factor` times the gradient."""
    return tensor * factor - tensor.detach() * (factor - 1) if factor > 1 else tensor
