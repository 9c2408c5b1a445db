"""A whole answer of a small model, stage by stage."""

from __future__ import annotations

from dataclasses import replace

import torch

from low_vram.cases import ask
from low_vram.footprint import Footprint
from low_vram.request import Request, weigh
from low_vram.stages import Stages
from tests.low_vram.conftest import LIMITS

QUESTIONS = {
    "text": Request(),
    "picture": Request(pictures=((200, 150),)),
    "sound": Request(audio=7),
    "video": Request(video=6),
    "mix": Request(pictures=((200, 150), (60, 90)), audio=3, video=4),
}


def answer(stages: Stages, footprint: Footprint, question: str, tokens: int = 8, codes: int = 6, aloud: bool = False) -> tuple:
    """(text tokens, codes, samples or None) of the answer to one of QUESTIONS; what is drawn at random is drawn with seeds.

    Samples take a hundred times as long as the rest: only `aloud`.
    """
    load = weigh(replace(QUESTIONS[question], answer=tokens), LIMITS)
    voice = stages.model.speaker_map["Ethan"]
    with torch.inference_mode():
        prompt = ask(stages, footprint, load)
        said = stages.think(prompt, [], lambda token: None, tokens, heard=True, do_sample=False)
        torch.manual_seed(3)
        spoken = stages.talk(prompt, said, voice, codes)
        torch.manual_seed(4)
        return said.answer[0].tolist(), spoken, stages.sound(spoken, voice) if aloud else None
