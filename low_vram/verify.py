"""Predictions held against what is measured: a model of true size with random weights answers the cases under a cap."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from transformers import Qwen2_5OmniConfig

from low_vram import sim
from low_vram.budget import Machine
from low_vram.cases import ANSWER, CASES, SPOKEN, ask
from low_vram.footprint import measure
from low_vram.plan import make_plan
from low_vram.predict import CODES_A_SECOND, predict
from low_vram.random_model import build_random
from low_vram.recover import NothingLeft, recovering
from low_vram.request import weigh
from low_vram.stages import Stages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """One case. Bytes of tensors on the device at its worst moment; `steps` of the ladder that had to be taken on the way."""

    name: str
    predicted_bytes: int
    measured_bytes: int
    completed: bool
    steps: tuple[str, ...]
    prompt_tokens: int
    seconds: float


def verify(
    config: Qwen2_5OmniConfig, machine: Machine, device: str, names: tuple[str, ...], dtype: torch.dtype, places: dict[str, str]
) -> Iterator[Result]:
    """Run the cases `names` on `device` ('sim:0' or 'cuda:N') under the machine's device budget, planned for the heaviest of them."""
    footprint = measure(config)
    requests = {name: replace(CASES[name], answer=ANSWER) for name in names}
    plans = [make_plan(footprint, machine, request, width=dtype.itemsize, places=places) for request in requests.values()]
    plan = max(plans, key=lambda plan: len(plan.taken))
    gauge = Gauge(device, machine.device)
    with torch.inference_mode():
        model = build_random(config, plan.arrangement, device, dtype)
        model.speaker_map["random"] = _voice(config)
        stages = Stages(model, device, plan.arrangement)
        for name, request in requests.items():
            load = weigh(request, plan.limits)
            load = replace(load, spoken=min(load.spoken, SPOKEN))
            predicted = predict(footprint, plan.arrangement, load, False, dtype.itemsize).device
            stages.arrange(plan.arrangement)
            gauge.begin()
            began, steps = time.monotonic(), []
            completed = _run(stages, footprint, load, steps)
            yield Result(name, predicted, gauge.peak(), completed, tuple(steps), load.prompt, round(time.monotonic() - began, 1))


def _run(stages: Stages, footprint, load, steps: list[str]) -> bool:
    def attempt() -> None:
        prompt = ask(stages, footprint, load)
        said = stages.think(prompt, [], lambda token: None, load.answer, heard=load.spoken > 0, do_sample=False)
        if load.spoken:
            voice = stages.model.speaker_map["random"]
            codes = stages.talk(prompt, said, voice, round(load.spoken * CODES_A_SECOND))
            stages.sound(codes.clamp(max=8000), voice)

    try:
        recovering(stages, attempt, lambda step: steps.append(step.code))
    except NothingLeft:
        return False
    return True


class Gauge:
    """The bytes of tensors on a device, under a cap."""

    def __init__(self, device: str, cap: int):
        self.device = device
        if device.startswith("cuda"):
            torch.cuda.set_per_process_memory_fraction(min(1.0, cap / torch.cuda.get_device_properties(device).total_memory), device)
        else:
            sim.install()
            sim.set_cap(cap)

    def begin(self) -> None:
        """Forget the peak so far."""
        torch.cuda.reset_peak_memory_stats(self.device) if self.device.startswith("cuda") else sim.reset_peak()

    def peak(self) -> int:
        """Bytes at the worst moment since `begin`."""
        return torch.cuda.max_memory_allocated(self.device) if self.device.startswith("cuda") else sim.max_memory_allocated()


def _voice(config: Qwen2_5OmniConfig) -> dict[str, object]:
    dit = config.token2wav_config.dit_config
    return {"bos_token": 8, "cond": torch.randn(1, dit.enc_emb_dim), "ref_mel": torch.randn(1, 300, dit.mel_dim)}
