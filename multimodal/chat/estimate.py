"""What a question would take of memory, from its files' heads alone: nothing is decoded, nothing is encoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from low_vram.plan import RESERVE
from low_vram.predict import predict
from low_vram.request import Request, chosen_limits, weigh
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.media import Limits, look_at


@dataclass(frozen=True)
class Estimate:
    """`tokens` of the question, and `bytes` at its worst moment, of `budget`: of the card, or of the host where there is none."""

    tokens: int
    bytes: int
    budget: int

    @property
    def fits(self) -> bool:
        """Whether it should be answered without giving anything up."""
        return self.bytes <= self.budget


def read_request(files: Iterable[tuple[Path, str]], video: str, options: Options, limits: Limits) -> Request:
    """The request that `files` (path and name) with some words would be. Raises UserError for what is not taken."""
    pictures, seconds, filmed = [], 0.0, 0.0
    for path, name in files:
        kind, _, streams = look_at(path, name, limits)
        if kind == "picture":
            with Image.open(path) as image:
                pictures.append((image.height, image.width))
        elif kind == "sound":
            seconds += streams.seconds
        else:
            filmed += streams.seconds
    mode = "frames" if video == "frames" else "split"
    return Request(tuple(pictures), filmed, mode, seconds, options.voice is not None, options.max_new_tokens)


def estimate(model: Omni, request: Request, detail: str) -> Estimate:
    """What `request` would take of the loaded `model`."""
    plan, arrangement = model.plan, model.stages.arrangement
    load = weigh(request, chosen_limits(plan.limits, detail))
    prediction = predict(plan.footprint, arrangement, load, plan.machine.on_cpu, plan.width)
    needed, budget = (prediction.host, plan.machine.host) if plan.machine.on_cpu else (prediction.device + RESERVE, plan.machine.device)
    return Estimate(load.prompt, needed, budget)
