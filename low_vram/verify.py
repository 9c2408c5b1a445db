"""Predictions held against what is measured: a model of true size with random weights answers the cases under a cap."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from transformers import Qwen2_5OmniConfig

from low_vram.budget import Machine
from low_vram.cases import ANSWER, SPOKEN, ask
from low_vram.footprint import Footprint, measure
from low_vram.gauge import Gauge
from low_vram.plan import make_plan
from low_vram.predict import predict
from low_vram.random_model import build_random
from low_vram.recover import NothingLeft, recovering
from low_vram.request import CODES_A_SECOND, Load, Request, weigh
from low_vram.stages import Stages


@dataclass(frozen=True)
class Result:
    """One case. Bytes at its worst moment, of tensors on the device or of the process in host memory; `steps` of the ladder that had to
    be taken on the way."""

    name: str
    predicted_bytes: int
    measured_bytes: int
    completed: bool
    steps: tuple[str, ...]
    prompt_tokens: int
    seconds: float


def verify(
    config: Qwen2_5OmniConfig, machine: Machine, device: str, cases: dict[str, Request], dtype: torch.dtype, places: dict[str, str]
) -> Iterator[Result]:
    """Run `cases` on `device` ('sim:0', 'cuda:N' or 'cpu') under the machine's budget, planned for the heaviest of them.

    Without a card the bytes are the whole process's.
    """
    footprint = measure(config)
    requests = {name: replace(case, answer=ANSWER) for name, case in cases.items()}
    plans = [make_plan(footprint, machine, request, width=dtype.itemsize, places=places) for request in requests.values()]
    plan = max(plans, key=lambda plan: len(plan.taken))
    gauge = Gauge(device, machine.host if machine.on_cpu else machine.device)
    with torch.inference_mode():
        model = build_random(config, plan.arrangement, device, dtype)
        model.speaker_map["random"] = _voice(config)
        stages = Stages(model, device, plan.arrangement)
        for name, request in requests.items():
            load = weigh(request, plan.limits)
            load = replace(load, spoken=min(load.spoken, SPOKEN))
            prediction = predict(footprint, plan.arrangement, load, machine.on_cpu, dtype.itemsize)
            predicted = prediction.host if machine.on_cpu else prediction.device
            stages.arrange(plan.arrangement)
            gauge.begin()
            began, steps = time.monotonic(), []
            completed = _run(stages, footprint, load, steps)
            yield Result(name, predicted, gauge.peak(), completed, tuple(steps), load.prompt, round(time.monotonic() - began, 1))


def _run(stages: Stages, footprint: Footprint, load: Load, steps: list[str]) -> bool:
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


def _voice(config: Qwen2_5OmniConfig) -> dict[str, object]:
    dit = config.token2wav_config.dit_config
    return {"bos_token": 8, "cond": torch.randn(1, dit.enc_emb_dim), "ref_mel": torch.randn(1, 300, dit.mel_dim)}
