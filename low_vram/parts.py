"""The parts of a loaded model where the arrangement says: on the device, on the host, or moved in for their own stage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from low_vram.arrangement import DEVICE, EMBEDDINGS, HOST, LAYERS, MOVED
from low_vram.memory import release


class Part:
    """One part of a model. While it is at work, its tensors are where it computes."""

    def __init__(self, module: nn.Module, device: str, place: str, without: nn.Module | None = None):
        self.module, self.device, self.place = module, device, place
        self._without = without
        self._at_home: list[tuple[dict, str, torch.Tensor]] = []

    @property
    def computes_on(self) -> str:
        """The device its inputs go to."""
        return "cpu" if self.place == HOST else self.device

    def settle(self, place: str) -> None:
        """Change where it lives, its tensors with it."""
        home = self.device if place == DEVICE else "cpu"
        for owner in self._owners(self.module):
            for table, name, tensor in _tensors(owner):
                _put(table, name, _kept(tensor, home, self.device))
        self.place = place

    @contextmanager
    def at_work(self) -> Iterator[str]:
        """Yields the device that it computes on. A part that is moved in is given back at the end, whatever happens.

        Its weights do not change at work, so there is nothing to copy back. Within its own `at_work` it is left as it is.
        """
        if self.place != MOVED or self._at_home:
            yield self.computes_on
            return
        with ExitStack() as hooks:
            try:
                if self.device.startswith("cuda"):
                    self._stream_in(hooks)
                else:
                    self._copy_in(self._owners(self.module))
                yield self.device
            finally:
                for table, name, tensor in self._at_home:
                    table[name] = tensor
                self._at_home = []
        release(self.device)

    def _copy_in(self, owners: list[nn.Module]) -> None:
        for owner in owners:
            for table, name, tensor in _tensors(owner):
                self._at_home.append((table, name, tensor))
                _put(table, name, tensor.to(self.device, non_blocking=True))

    def _stream_in(self, hooks: ExitStack) -> None:
        """Copy on a stream of its own, block by block: the first block computes while the next are copied."""
        copying, computing = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)
        blocks = list(_blocks(self.module))
        inside = {id(module) for block in blocks for module in block.modules()}
        with torch.cuda.stream(copying):
            self._copy_in([owner for owner in self._owners(self.module) if id(owner) not in inside])
            computing.wait_stream(copying)  # tensors outside of blocks may be read without a call that could wait
            for block in blocks:
                self._copy_in(self._owners(block))
                copied = copying.record_event()
                wait = block.register_forward_pre_hook(lambda *_, copied=copied: torch.cuda.current_stream().wait_event(copied))
                hooks.callback(wait.remove)
        # memory of this stream may be used anew only after what still computes with it
        hooks.callback(lambda: copying.wait_stream(torch.cuda.current_stream(self.device)))

    def _owners(self, module: nn.Module) -> list[nn.Module]:
        return [owner for owner in module.modules() if owner is not self._without]


class Parts:
    """Every part of `model`, placed. The embeddings take token numbers from any device and give their rows to the layers' device."""

    def __init__(self, model: nn.Module, device: str, places: dict[str, str]):
        self.device = device
        self._parts = {
            part: Part(model.get_submodule(part), device, place, model.get_submodule(EMBEDDINGS) if part == LAYERS else None)
            for part, place in places.items()
        }
        rows = model.get_submodule(EMBEDDINGS)
        rows.register_forward_pre_hook(lambda module, inputs: (inputs[0].to(module.weight.device), *inputs[1:]))
        rows.register_forward_hook(lambda module, inputs, output: output.to(self[LAYERS].computes_on))

    def __getitem__(self, part: str) -> Part:
        return self._parts[part]

    @property
    def places(self) -> dict[str, str]:
        """{part: place}."""
        return {name: part.place for name, part in self._parts.items()}

    def settle(self, places: dict[str, str]) -> None:
        """Move what has another place than before; what leaves the device leaves first."""
        for name in sorted(places, key=lambda name: places[name] == DEVICE):
            if name in self._parts and self._parts[name].place != places[name]:
                self._parts[name].settle(places[name])
        release(self.device)

    @contextmanager
    def at_work(self, *names: str) -> Iterator[str]:
        """Several parts at work at once; yields the device of the last."""
        with ExitStack() as stack:
            for name in names:
                device = stack.enter_context(self._parts[name].at_work())
            yield device


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost repeated blocks of a module, in order."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _blocks(child)


def _tensors(owner: nn.Module) -> list[tuple[dict, str, torch.Tensor]]:
    return [(table, name, tensor) for table in (owner._parameters, owner._buffers) for name, tensor in table.items() if tensor is not None]


def _put(table: dict, name: str, tensor: torch.Tensor) -> None:
    table[name] = nn.Parameter(tensor, requires_grad=False) if isinstance(table[name], nn.Parameter) else tensor


def _kept(tensor: torch.Tensor, home: str, device: str) -> torch.Tensor:
    """`tensor` at `home`; in host memory beside a card it is pinned, so that it can be copied while the card computes."""
    moved = tensor.detach().to(home)
    return moved.pin_memory() if home == "cpu" and device.startswith("cuda") else moved
