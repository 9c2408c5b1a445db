"""The memory gauge: what the card and the host hold, now and at most, and how much there is."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import torch

from multimodal.desk import Desk
from multimodal.ui.bars import gib, meter
from multimodal.ui.phrases import phrase

STATUS_FILE = Path("/proc/self/status")


def gauge(desk: Desk, language: str) -> str:
    """Memory of the card and of the host: now, at most since the start, and how much there is or may be used."""
    memory, model = desk.memory(), desk.model
    machine = model.plan.machine if model else None
    bars = []
    if memory.device_total:
        peak = _device_peak(memory.device, memory.device_used)
        budget = machine.device if machine else None
        bars.append(_bar("gauge_device", memory.device_used, peak, memory.device_total, budget, language))
    budget = machine.host if machine and machine.on_cpu else None
    bars.append(_bar("gauge_host", memory.host_used, _host_peak(), memory.host_total, budget, language))
    return "".join(bars)


def _bar(name: str, used: int, peak: int | None, total: int, budget: int | None, language: str) -> str:
    parts = [phrase("gauge_now", language, used=gib(used))]
    if peak is not None:
        peak = max(peak, used)
        parts.append(phrase("gauge_peak", language, peak=gib(peak)))
    parts.append(
        phrase("gauge_total", language, total=gib(total))
        if budget is None
        else phrase("gauge_budget", language, budget=gib(budget), total=gib(total))
    )
    return meter(phrase(name, language), " · ".join(parts), used, total, peak)


def _device_peak(device: str, used: int) -> int:
    """At most since the start: what others on the card use is taken to be as it is now."""
    card = torch.get_device_module(device)
    return used + card.max_memory_reserved(device) - card.memory_reserved(device)


def _host_peak() -> int | None:
    """The most this process has used; None where the system does not say."""
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)  # Windows
    if peak is None and STATUS_FILE.exists():  # Linux
        found = re.search(r"VmHWM:\s*(\d+) kB", STATUS_FILE.read_text())
        peak = int(found[1]) * 1024 if found else None
    return peak
