"""Sound files, and the sound tracks of videos, into 16 kHz mono."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from multimodal.errors import UserError, length_text
from multimodal.media import ffmpeg
from multimodal.media.kinds import SOUND_RATE, Sound

SHORTEST_SECONDS = 0.1
SAMPLE_BYTES = 4


def load_sound(path: Path, name: str, demuxer: str, longest_seconds: float, stop: threading.Event | None = None) -> Sound:
    """The file's sound, at most `longest_seconds` of it. Raises UserError where there is none, or more."""
    samples = _read(path, name, demuxer, longest_seconds, stop)
    if len(samples) == 0:
        raise UserError("sound_broken", name=name)
    if len(samples) < SHORTEST_SECONDS * SOUND_RATE:
        raise UserError("sound_too_short", name=name)
    if len(samples) > longest_seconds * SOUND_RATE:
        raise UserError("sound_too_long", name=name, length=f"> {length_text(longest_seconds)}", limit=length_text(longest_seconds))
    return Sound(name, samples)


def load_track(path: Path, name: str, demuxer: str, longest_seconds: float, stop: threading.Event | None = None) -> Sound | None:
    """The sound track of a video, or None where it is missing, unreadable or too short to be heard."""
    samples = _read(path, name, demuxer, longest_seconds, stop)[: round(longest_seconds * SOUND_RATE)]
    return Sound(name, samples) if len(samples) >= SHORTEST_SECONDS * SOUND_RATE else None


def _read(path: Path, name: str, demuxer: str, longest_seconds: float, stop: threading.Event | None) -> np.ndarray:
    most = round(longest_seconds * SOUND_RATE) * SAMPLE_BYTES
    # rematrix_maxval: else two loud channels are added up to more than 1, and cut
    mono = ("-af", "aresample=rematrix_maxval=1", "-ac", "1", "-ar", str(SOUND_RATE))
    output = ("-vn", "-sn", "-dn", *mono, "-t", str(longest_seconds + 1), "-f", "f32le")
    try:
        with ffmpeg.decode(path, demuxer, output, stop=stop) as pipe:
            data = pipe.read(most + SAMPLE_BYTES)
    except ffmpeg.DecoderSlow as error:
        raise UserError("decoder_slow", name=name) from error
    samples = np.frombuffer(data[: len(data) // SAMPLE_BYTES * SAMPLE_BYTES], dtype="<f4").astype(np.float32)
    return np.clip(np.nan_to_num(samples), -1.0, 1.0)
