"""The example files that the screen offers on first start: `python -m multimodal.demo examples`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import soundfile
from moviepy import AudioArrayClip, ImageSequenceClip

from multimodal.demo import voice, world

FRAMES_A_SECOND = 10


def make_examples(folder: Path) -> None:
    """Two pictures, a spoken word, a spoken question and a video. Raises NoVoice where espeak-ng is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    circles = tuple(world.Thing("circle", "red", x, y, 0.17) for x, y in ((0.3, 0.32), (0.72, 0.66), (1.06, 0.3)))
    world.paint(world.Scene("alike", circles, 4 / 3, (185, 205, 225), (205, 222, 238)), 360).save(folder / "shapes.png")
    pair = (world.Thing("star", "yellow", 0.33, 0.5, 0.2, 6), world.Thing("triangle", "green", 1.0, 0.5, 0.2, -5))
    world.paint(world.Scene("beside", pair, 4 / 3, (44, 48, 58), (44, 48, 58)), 360).save(folder / "pair.png")
    english = ["-v", "en-us+f2", "-p", "50", "-s", "150"]
    random = Random("examples")
    for name, text in (("word", "seven"), ("question", "How many are there?")):
        soundfile.write(folder / f"{name}.wav", voice.record(voice.speak(text, english), random), voice.RATE, subtype="PCM_16")
    motion = world.Motion("square", "blue", "right", 3.0, 0.18, 0.0, (250, 250, 248))
    frames = [np.asarray(world.frame(motion, place / FRAMES_A_SECOND, 240)) for place in range(int(motion.seconds * FRAMES_A_SECOND))]
    word = voice.record(voice.speak("blue", english), random)
    track = np.zeros(int(motion.seconds * voice.RATE), np.float32)
    track[: len(word)] = word
    sound = AudioArrayClip(np.stack([track, track], 1), fps=voice.RATE)
    ImageSequenceClip(frames, fps=FRAMES_A_SECOND).with_audio(sound).write_videofile(
        str(folder / "moving.mp4"),
        codec="libx264",
        audio_codec="aac",
        audio_fps=voice.RATE,
        ffmpeg_params=["-pix_fmt", "yuv420p", "-crf", "28"],
        logger=None,
    )
