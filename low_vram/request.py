"""What one question asks of a model: how many tokens and patches its pictures, video and sound become."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

CODES_A_SECOND = 50  # of speech, in the talker's codec
SPOKEN_TOKENS_A_SECOND = 3  # of an answer that is read aloud, about
FRAMES_A_SECOND = 2.0  # taken of a video
MEL_A_SECOND = 100
CELL = 28  # pixels along a side that become one token: two patches of 14
TEMPLATE_TOKENS = 64  # the chat template's own, with a short question


@dataclass(frozen=True)
class Limits:
    """How much of the media is taken: `pixels` and the longest `side` of a picture, of a frame; frames of a video; seconds of sound;
    `context` tokens of a conversation, answer included; `speech` seconds spoken."""

    pixels: int
    side: int
    frame_pixels: int
    frames: int
    seconds: int
    context: int
    speech: int


@dataclass(frozen=True)
class Request:
    """`pictures` are (height, width) in pixels; `video` and `audio` are seconds; `video_mode` is 'frames' (with the sound) or 'split' (the
    sound and the last frame). `text` counts tokens of the conversation so far."""

    pictures: tuple[tuple[int, int], ...] = ()
    video: float = 0.0
    video_mode: str = "frames"
    audio: float = 0.0
    speech: bool = False
    answer: int = 512
    text: int = TEMPLATE_TOKENS
    video_size: tuple[int, int] = (720, 1280)


@dataclass(frozen=True)
class Load:
    """What a request becomes under limits. `images` and `frames` are patches of each picture and of each pair of frames; `mel` the mel
    frames of each sound; `prompt` tokens; `spoken` seconds of speech."""

    images: tuple[int, ...]
    frames: tuple[int, int]  # how many pairs, patches of one
    mel: tuple[int, ...]
    prompt: int
    answer: int
    spoken: float
    cut: tuple[str, ...]  # what does not go in as it is

    @property
    def media(self) -> int:
        """Tokens that come of media."""
        return (sum(self.images) + self.frames[0] * self.frames[1]) // 4 + sum(self.mel) // 4


def chosen_limits(limits: Limits, detail: str) -> Limits:
    """`limits` for 'auto'; for 'fine', pictures four times as large, as a report in small print needs; for 'fast', a quarter."""
    factor = {"auto": 1, "fine": 2, "fast": 0.5}[detail]
    return replace(limits, pixels=int(limits.pixels * factor**2), side=int(limits.side * factor))


def fitted(height: int, width: int, pixels: int, side: int) -> tuple[int, int]:
    """(height, width) of a picture brought under `pixels` and under `side` along its longer edge, in multiples of CELL."""
    scale = min(1.0, math.sqrt(pixels / (height * width)), side / max(height, width))
    return tuple(max(CELL, round(edge * scale / CELL) * CELL) for edge in (height, width))


def weigh(request: Request, limits: Limits, patch: int = 14) -> Load:
    """The load that `request` is under `limits`."""
    cut = []
    pictures = list(request.pictures)
    sounds = [request.audio] if request.audio else []
    pairs, pair_patches = 0, 0
    if request.video and request.video_mode == "frames":
        frames = min(math.ceil(request.video * FRAMES_A_SECOND), limits.frames)
        if frames < request.video * FRAMES_A_SECOND:
            cut.append("frames")
        pairs = max(1, math.ceil(frames / 2))
        height, width = fitted(*request.video_size, limits.frame_pixels, limits.side)
        pair_patches = (height // patch) * (width // patch)
        sounds.append(request.video)
    elif request.video:
        pictures.append(request.video_size)
        sounds.append(request.video)
    images = []
    for picture in pictures:
        height, width = fitted(*picture, limits.pixels, limits.side)
        if height * width < picture[0] * picture[1] * 0.9:
            cut.append("pixels")
        images.append((height // patch) * (width // patch))
    if any(seconds > limits.seconds for seconds in sounds):
        cut.append("seconds")
    mel = tuple(round(min(seconds, limits.seconds) * MEL_A_SECOND) for seconds in sounds)
    answer = min(request.answer, limits.context // 2)
    load = Load(tuple(images), (pairs, pair_patches), mel, 0, answer, 0.0, ())
    marks = 2 * (len(images) + len(mel) + (1 if pairs else 0))
    prompt = min(request.text + load.media + marks, limits.context - answer)
    if prompt < request.text + load.media + marks:
        cut.append("context")
    spoken = min(limits.speech, answer / SPOKEN_TOKENS_A_SECOND) if request.speech else 0.0
    return Load(load.images, load.frames, load.mel, prompt, answer, spoken, tuple(dict.fromkeys(cut)))
