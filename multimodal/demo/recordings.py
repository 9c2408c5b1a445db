"""The pool of sounds that lessons draw from, made once with espeak-ng and kept in memory as log-mel frames."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import numpy as np
from transformers import WhisperFeatureExtractor

from multimodal.demo import voice, words, world
from multimodal.demo.lessons import Recording, word_name

HOP = 160  # samples a mel frame


def _entries(size: float) -> list[tuple[str, str, str, str, dict]]:
    """(kind, language, name, text to speak, filling) for every sound of the pool; `size` scales how many voices each gets."""
    entries = []
    names = [*words.NUMBER_NAMES["en"].values(), *world.COLOURS, *world.SHAPES]
    for language in ("en", "zh"):
        for name in names:
            entries += [("word", language, name, word_name(name, language), {})] * round(34 * size)
        for word in words.OUTSIDE_WORDS[language]:
            entries += [("outside", language, word, word, {})] * max(1, round(4 * size))
    for kind in words.SPOKEN_PICTURE_QUESTIONS:
        fillings: list[dict] = [{}]
        if "colour" in kind and kind != "colour":
            fillings = [{"colour": colour} for colour in world.COLOURS]
        elif "shape" in kind and kind != "shape":
            fillings = [{"shape": shape} for shape in world.SHAPES]
        voices = round((90 if len(fillings) == 1 else 36) * size)
        for filling in fillings:
            for wording in words.QUESTIONS[kind]["en"][: words.SPOKEN_WORDINGS]:
                entries += [("question", "en", kind, wording.format(**filling), filling)] * voices
    return entries


def make_recordings(seed: str, held_out: bool = False, size: float = 1.0) -> list[Recording]:
    """Spoken words, spoken questions, outside words and beeps. `held_out`: by voices that training never hears."""
    random = Random(seed)
    planned = [
        (entry, voice.draw_voice(random, entry[1], held_out), Random(f"{seed}-{place}")) for place, entry in enumerate(_entries(size))
    ]

    def make(plan) -> Recording:
        (kind, language, name, text, filling), chosen, own = plan
        return Recording(kind, language, name, _whole_frames(voice.record(voice.speak(text, chosen), own)), filling=filling)

    with ThreadPoolExecutor(2) as workers:
        pool = list(workers.map(make, planned))
    for count in range(1, 6):
        pool += [
            Recording("beeps", "", str(count), _whole_frames(voice.record(voice.beep(count, random), random)))
            for _ in range(round(90 * size))
        ]
    return pool


def _whole_frames(samples: np.ndarray) -> np.ndarray:
    return samples[: len(samples) // HOP * HOP]


def with_features(pool: list[Recording], extractor: WhisperFeatureExtractor) -> list[Recording]:
    """The pool with each recording's log-mel frames, float16 [mel bins, frames], as the processor would make them."""
    return [replace(r, features=mel(r.samples, extractor).astype(np.float16)) for r in pool]


def mel(samples: np.ndarray, extractor: WhisperFeatureExtractor) -> np.ndarray:
    """Log-mel frames [mel bins, frames] without the extractor's padding to its full chunk."""
    return extractor(samples, sampling_rate=voice.RATE, padding=False, truncation=False, return_tensors="np").input_features[0]
