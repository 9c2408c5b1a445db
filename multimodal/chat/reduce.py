"""Media brought under the limits that memory sets: smaller pictures, fewer frames, the beginning of a sound."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from low_vram.request import Limits, fitted
from multimodal.media import Clip, Medium, Picture, Sound
from multimodal.media.kinds import SOUND_RATE


def bring_under(medium: Medium, limits: Limits) -> tuple[Medium, tuple[str, str] | None]:
    """(the medium within `limits`, what it was and what it became where that is less)."""
    if isinstance(medium, Picture):
        image = _smaller(medium.image, limits.pixels, limits.side)
        return replace(medium, image=image), _changed(_size(medium.original), _size(image.size))
    if isinstance(medium, Sound):
        sound = _beginning(medium, limits.seconds)
        return sound, _changed(f"{medium.seconds:.0f} s", f"{sound.seconds:.0f} s")
    stride = -(-len(medium.frames) // limits.frames)
    frames = tuple(_smaller(frame, limits.frame_pixels, limits.side) for frame in medium.frames[::stride])
    sound = _beginning(medium.sound, limits.seconds) if medium.sound else None
    before, after = (f"{len(each)} × {_size(each[0].size)}" for each in (medium.frames, frames))
    return Clip(medium.name, frames, medium.rate / stride, sound), _changed(before, after)


def _smaller(image: Image.Image, pixels: int, side: int) -> Image.Image:
    if image.width * image.height <= pixels and max(image.size) <= side:
        return image
    height, width = fitted(image.height, image.width, pixels, side)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _beginning(sound: Sound, seconds: int) -> Sound:
    return replace(sound, samples=sound.samples[: seconds * SOUND_RATE])


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"


def _changed(before: str, after: str) -> tuple[str, str] | None:
    return None if before == after else (before, after)
