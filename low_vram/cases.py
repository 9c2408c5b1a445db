"""The questions that a plan is checked with, and random media of their sizes."""

from __future__ import annotations

import torch

from low_vram.footprint import Footprint
from low_vram.request import Load, Request
from low_vram.stages import Prompt, Stages

ANSWER, SPOKEN = 24, 2.0  # tokens and seconds: memory does not grow with them as with the media, time does

CASES = {
    "video-15": Request(video=15, speech=True),
    "video-30": Request(video=30, speech=True),
    "video-60": Request(video=60, speech=True),
    "picture": Request(pictures=((3000, 4000),)),
    "four-pictures": Request(pictures=((3000, 4000),) * 4),
    "sound-600": Request(audio=600),
    "text": Request(),
}


def ask(stages: Stages, footprint: Footprint, load: Load, seed: int = 0) -> Prompt:
    """A prompt of the size of `load`, its random media encoded by the model's towers."""
    config = stages.model.config.thinker_config
    random = torch.Generator().manual_seed(seed)
    values, merge, bins = footprint.vision["values"], footprint.vision["merge"] ** 2, footprint.audio["bins"]
    marks = 2 * (len(load.images) + len(load.mel) + bool(load.frames[0]))
    words = torch.randint(0, 1000, (load.prompt - load.media - marks,), generator=random)
    prompt = [words.tolist()]

    def seen(patches: int, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
        height = next(edge for edge in range(int(patches**0.5) // 2 * 2, 0, -2) if patches % edge == 0 and (patches // edge) % 2 == 0)
        grid = torch.tensor([[pairs, height, patches // height]])
        return stages.look(torch.randn(pairs * patches, values, generator=random), grid), grid

    pictures, sounds = [], []
    for patches in load.images:
        pictures.append(seen(patches, 1))
        prompt.append([config.vision_start_token_id, *[config.image_token_id] * (patches // merge), config.vision_end_token_id])
    clip = None
    if load.frames[0]:
        pairs, patches = load.frames
        clip = seen(patches, pairs)
        prompt.append([config.vision_start_token_id, *[config.video_token_id] * (pairs * patches // merge), config.vision_end_token_id])
    for frames in load.mel:
        sounds.append(stages.listen(torch.randn(bins, frames, generator=random)))
        prompt.append([config.audio_start_token_id, *[config.audio_token_id] * len(sounds[-1]), config.audio_end_token_id])
    return Prompt(
        torch.tensor([[token for piece in prompt for token in piece]]),
        pictures=tuple(features for features, _ in pictures),
        picture_grids=torch.cat([grid for _, grid in pictures]) if pictures else None,
        clips=(clip[0],) if clip else (),
        clip_grids=clip[1] if clip else None,
        clip_seconds=torch.tensor([1.0]) if clip else None,
        sounds=tuple(sounds),
        mel=torch.tensor(load.mel) if sounds else None,
    )
