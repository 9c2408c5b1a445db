"""Sound of the toy world: words spoken by espeak-ng in many voices, and beeps. Needed for training only."""

from __future__ import annotations

import io
import shutil
import subprocess
from random import Random

import numpy as np
import soundfile

RATE = 16_000
VARIANTS = ("m1", "m2", "m3", "m5", "m7", "f1", "f2", "f3", "f4", "m4", "klatt2", "Andy")
HELD_OUT_VARIANTS = ("m6", "f5")
ACCENTS = {"en": ("en-us", "en-gb"), "zh": ("cmn",)}


class NoVoice(RuntimeError):
    """espeak-ng is not installed."""


def draw_voice(random: Random, language: str, held_out: bool = False) -> list[str]:
    """espeak-ng arguments for a voice, pitch (0 to 99) and speed (words a minute)."""
    variant = random.choice(HELD_OUT_VARIANTS if held_out else VARIANTS)
    accent = random.choice(ACCENTS[language])
    return ["-v", f"{accent}+{variant}", "-p", str(random.randint(25, 75)), "-s", str(random.randint(120, 200))]


def speak(text: str, voice: list[str]) -> np.ndarray:
    """Mono float32 samples in [-1, 1] at 16 kHz. Raises NoVoice where espeak-ng is missing."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise NoVoice("espeak-ng is needed to make spoken words: install the package espeak-ng, then try again.")
    wav = subprocess.run([program, "--stdout", *voice, text], capture_output=True, check=True).stdout
    # espeak-ng writes a WAV header with an unknown length to a pipe; libsndfile reads what is there.
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return resample(samples, rate)


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    """`samples` brought from `rate` to 16 kHz by linear interpolation, enough for synthetic speech."""
    places = np.arange(0, len(samples) - 1, rate / RATE)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)


def beep(count: int, random: Random) -> np.ndarray:
    """`count` short tones of one pitch with gaps between them."""
    pitch, length, gap = random.uniform(400, 1400), random.uniform(0.08, 0.16), random.uniform(0.12, 0.25)
    time = np.arange(int(length * RATE)) / RATE
    tone = np.sin(2 * np.pi * pitch * time) * np.minimum(1, np.minimum(time, length - time) / 0.01)
    silence = np.zeros(int(gap * RATE))
    return np.concatenate([part for _ in range(count) for part in (tone, silence)]).astype(np.float32) * 0.5


def record(samples: np.ndarray, random: Random) -> np.ndarray:
    """The sound as a microphone might give it: a little silence around it, some gain, a little noise."""
    before, after = (np.zeros(int(random.uniform(0.03, 0.3) * RATE), np.float32) for _ in range(2))
    sound = np.concatenate([before, samples * random.uniform(0.4, 1.0), after])
    noise = np.random.default_rng(random.getrandbits(32)).standard_normal(len(sound)) * 10 ** random.uniform(-4, -2.2)
    return np.clip(sound + noise, -1, 1).astype(np.float32)
