"""The door for files: what is this, is it too large, and into which form does it go?"""

from __future__ import annotations

import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from multimodal.errors import UserError, length_text, size_text
from multimodal.media import ffmpeg
from multimodal.media.audio import load_sound
from multimodal.media.images import load_picture
from multimodal.media.kinds import Medium
from multimodal.media.signature import HEAD, Signature, id3_bytes, read_signature, tagged_signature
from multimodal.media.video import last_frame, sample_video, split_video


@dataclass(frozen=True)
class Limits:
    """How much of a file is taken."""

    files: int = 32  # of one question
    file_bytes: int = 200_000_000
    megapixels: float = 100.0  # decoded at all
    pixels: int = 1_003_520  # kept, a picture (1,280 tokens)
    frame_pixels: int = 200_704  # kept, a video frame (256 tokens)
    frames_a_second: float = 2.0
    frames: int = 60
    sound_seconds: float = 600.0
    video_seconds: float = 600.0


def look_at(path: Path, name: str, limits: Limits, stop: threading.Event | None = None) -> tuple[str, Signature, ffmpeg.Streams | None]:
    """('picture', 'sound' or 'video', the file's signature, its streams if it has any). Raises UserError for what is not taken."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError("file_unknown", name=name)  # a folder; or a pipe, which would be waited on
        if status.st_size == 0:
            raise UserError("file_empty", name=name)
        if status.st_size > limits.file_bytes:
            raise UserError("file_too_large", name=name, size=size_text(status.st_size), limit=size_text(limits.file_bytes))
        with path.open("rb") as file:
            head = file.read(HEAD)
            signature = read_signature(head)
            if behind := id3_bytes(head):
                file.seek(behind)
                signature = tagged_signature(file.read(HEAD))
    except (OSError, ValueError) as error:  # ValueError: no path can be so
        raise UserError("file_missing", name=name) from error
    if signature is None or isinstance(signature, str):
        raise UserError(signature or "file_unknown", name=name)
    if signature.kind == "picture":
        return "picture", signature, None
    try:
        streams = ffmpeg.probe(path, signature.reader, stop)
    except ffmpeg.DecoderSlow as error:
        raise UserError("decoder_slow", name=name) from error
    if not streams.sound and not streams.video:
        raise UserError("sound_broken" if signature.kind == "sound" else "file_unknown", name=name)
    kind = "video" if streams.video and signature.kind == "container" else "sound"
    longest = limits.video_seconds if kind == "video" else limits.sound_seconds
    if streams.seconds > longest:
        raise UserError(f"{kind}_too_long", name=name, length=length_text(streams.seconds), limit=length_text(longest))
    return kind, signature, streams


def take(
    path: Path, name: str, limits: Limits, video: str = "split", only: str | None = None, stop: threading.Event | None = None
) -> list[Medium]:
    """The file at `path`, which people know as `name`, as media.

    `video`: 'split' gives a video's sound track and last frame, 'frames' its sampled frames with the sound, 'sound' and 'last frame' one of
    the two alone. `only`: the one kind that is taken ('picture', 'sound' or 'video'). Setting `stop` ends the reading.

    Raises UserError, and Stopped.
    """
    kind, signature, streams = look_at(path, name, limits, stop)
    if only is not None and kind != only:
        raise UserError("file_wrong_kind", name=name, found=kind, wanted=only)
    if kind == "picture":
        return [load_picture(path, name, signature.reader, limits.pixels, limits.megapixels)]
    if kind == "sound":
        return [load_sound(path, name, signature.reader, limits.sound_seconds, stop)]
    if video == "frames":
        return [
            sample_video(
                path,
                name,
                signature.reader,
                streams,
                limits.video_seconds,
                limits.frames_a_second,
                limits.frames,
                limits.frame_pixels,
                stop,
            )
        ]
    if video == "sound":
        return [load_sound(path, name, signature.reader, limits.video_seconds, stop)]
    if video == "last frame":
        return [last_frame(path, name, signature.reader, streams, limits.pixels, stop)]
    sound, picture = split_video(path, name, signature.reader, streams, limits.video_seconds, limits.pixels, stop)
    return [picture] if sound is None else [picture, sound]
