"""The most memory that was in use at once: of tensors on a card, or of this process in host memory."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import torch

from low_vram import sim

PROC = Path("/proc/self")


class Gauge:
    """Of `device`, which is capped at `cap` bytes: 'cuda:N', the simulated card, or 'cpu' (Linux, without a cap).

    Raises RuntimeError where a host does not tell its peak.
    """

    def __init__(self, device: str, cap: int):
        self.device = device
        gc.collect()  # what is left of an earlier model would count against the cap
        if device == "cpu":
            if not (PROC / "clear_refs").exists():
                raise RuntimeError("Only Linux tells the peak of a process: choose the simulated card.")
        elif device.startswith("cuda"):
            torch.cuda.set_per_process_memory_fraction(min(1.0, cap / torch.cuda.get_device_properties(device).total_memory), device)
        else:
            sim.install()
            sim.set_cap(cap)

    def begin(self) -> int:
        """Forget the peak so far; the bytes in use now."""
        gc.collect()
        if self.device == "cpu":
            if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
                trim(0)  # what was freed, but is kept by the C library for later, would hide as much of what comes
            (PROC / "clear_refs").write_text("5")  # resets VmHWM: man 5 proc_pid_clear_refs
            return _status("VmRSS")
        card = torch.get_device_module(self.device)
        card.reset_peak_memory_stats(self.device)
        return card.memory_allocated(self.device)

    def peak(self) -> int:
        """The most bytes in use at once since `begin`."""
        return _status("VmHWM") if self.device == "cpu" else torch.get_device_module(self.device).max_memory_allocated(self.device)


def _status(key: str) -> int:
    line = next(line for line in (PROC / "status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024
