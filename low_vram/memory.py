"""What the machine has: device and host memory, in bytes."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch


@dataclass(frozen=True)
class Memory:
    """`device` is 'cpu', 'cuda:N' or the simulated card; its bytes are None on a machine without one. `host_used` is this process's own."""

    device: str
    device_name: str | None
    device_used: int | None
    device_total: int | None
    host_used: int
    host_free: int
    host_total: int


def read_memory(device: str) -> Memory:
    """The memory of `device` and of the host at this moment."""
    host = psutil.virtual_memory()
    used = psutil.Process().memory_info().rss
    if device == "cpu":
        return Memory(device, None, None, None, used, host.available, host.total)
    card = torch.get_device_module(device)
    free, total = card.mem_get_info(device)
    return Memory(device, card.get_device_name(device), total - free, total, used, host.available, host.total)


def free_on(device: str) -> int:
    """Bytes that a model may still take on `device`: what the driver has free, and what torch holds but does not use."""
    if device == "cpu":
        return psutil.virtual_memory().available
    card = torch.get_device_module(device)
    free, _ = card.mem_get_info(device)
    return free + card.memory_reserved(device) - card.memory_allocated(device)


def total_of(device: str) -> int | None:
    """All bytes of a card; None for 'cpu'."""
    return None if device == "cpu" else torch.get_device_module(device).mem_get_info(device)[1]


def ran_out(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a card or in the host (there torch raises a plain RuntimeError)."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def release(device: str) -> None:
    """Give back what torch holds on `device` but does not use."""
    if device != "cpu":
        torch.get_device_module(device).empty_cache()
