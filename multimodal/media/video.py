"""Videos: split into the sound track and the last frame, or sampled as frames with the sound."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from multimodal.errors import UserError
from multimodal.media import ffmpeg
from multimodal.media.audio import load_track
from multimodal.media.images import check_size
from multimodal.media.kinds import Clip, Picture, Sound

# Where the last frame is looked for, in seconds before the end; None reads the whole video. The end may hold no frame that decodes, and a
# still frame may stand for minutes.
LAST_SECONDS: tuple[float | None, ...] = (2.0, 20.0, None)


def split_video(
    path: Path,
    name: str,
    demuxer: str,
    streams: ffmpeg.Streams,
    longest_seconds: float,
    pixels: int,
    stop: threading.Event | None = None,
) -> tuple[Sound | None, Picture]:
    """(sound track or None, last frame that decodes). Raises UserError where no frame does."""
    sound = load_track(path, name, demuxer, longest_seconds, stop) if streams.sound else None
    return sound, last_frame(path, name, demuxer, streams, pixels, stop)


def last_frame(path: Path, name: str, demuxer: str, streams: ffmpeg.Streams, pixels: int, stop: threading.Event | None = None) -> Picture:
    """The last frame of the video that decodes, turned as its player would turn it. Raises UserError where none does."""
    for seconds in LAST_SECONDS:
        if seconds is not None and streams.video_seconds <= seconds:
            continue
        last = None
        before = () if seconds is None else ("-ss", f"{streams.video_seconds - seconds:.3f}")
        for frame in _frames(path, name, demuxer, pixels, (), before, stop=stop):
            last = frame
        if last is not None:
            return Picture(name, last, last.size)
    raise UserError("video_broken", name=name)


def sample_video(
    path: Path,
    name: str,
    demuxer: str,
    streams: ffmpeg.Streams,
    longest_seconds: float,
    rate: float,
    most: int,
    pixels: int,
    stop: threading.Event | None = None,
) -> Clip:
    """Frames at `rate` a second, or fewer a second so that no more than `most` come, with the sound track. Raises UserError.

    Frame k is what is seen at k / rate seconds, so that it goes with what is heard then.
    """
    if streams.video_seconds > 0:
        rate = min(rate, most / streams.video_seconds)
    # round=up: else a frame is taken that is seen only half a step later
    frames = tuple(_frames(path, name, demuxer, pixels, (f"fps={rate}:start_time=0:round=up",), (), most, stop))
    if not frames:
        frames = (last_frame(path, name, demuxer, streams, pixels, stop).image,)  # a video of one still moment
    sound = load_track(path, name, demuxer, longest_seconds, stop) if streams.sound else None
    return Clip(name, frames, rate, sound)


def _frames(
    path: Path,
    name: str,
    demuxer: str,
    pixels: int,
    filters: tuple[str, ...],
    before: tuple[str, ...],
    most: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Image.Image]:
    """Decoded frames, each with at most `pixels` pixels. ffmpeg turns them by the video's rotation before it scales. Raises UserError."""
    # the side that the longer shape of a pixel (sar: width to height) stretches is made longer, so that nothing is lost
    factor = f"min(1,{math.sqrt(pixels)}/sqrt(iw*ih*max(sar,1/sar)))"
    scale = f"scale=w='max(2,trunc(iw*{factor}*max(sar,1)))':h='max(2,trunc(ih*{factor}*max(1/sar,1)))'"
    count = () if most is None else ("-frames:v", str(most))
    pictures = ("-map", "0:V:0", "-an", "-sn", "-dn", "-vf", ",".join((*filters, scale, "setsar=1")))
    form = ("-fps_mode", "passthrough", "-c:v", "ppm", "-pix_fmt", "rgb24", "-f", "image2pipe")
    output = (*count, *pictures, *form)
    try:
        with ffmpeg.decode(path, demuxer, output, before, stop) as pipe:
            while (frame := _read_ppm(pipe)) is not None:
                check_size(frame.size, name, math.inf)
                yield frame
    except ffmpeg.DecoderSlow as error:
        raise UserError("decoder_slow", name=name) from error


def _read_ppm(pipe: BinaryIO) -> Image.Image | None:
    """The next picture of a row of binary PPM pictures ('P6', width, height, 255, then the bytes), or None at the end."""
    if pipe.readline().strip() != b"P6":
        return None
    width, height = (int(number) for number in pipe.readline().split())
    pipe.readline()
    data = pipe.read(width * height * 3)
    return Image.frombytes("RGB", (width, height), data) if len(data) == width * height * 3 else None
