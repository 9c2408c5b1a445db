"""How well the demo encoder finds the pictures of the demo library, and from which cosine on something matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from multimodal.demo import world
from multimodal.demo.caption_words import HELD_OUT_REQUESTS, UNHEARD
from multimodal.demo.captions import draw_outside, is_held_out_text, say
from multimodal.demo.claims import Claim, draw_part_claim, is_held_out, is_true, whole
from multimodal.demo.lessons import LANGUAGES
from multimodal.demo.library import COUNT, Sample, make_library
from multimodal.retrieval.encoder import Encoder, load_encoder

ABSENT = 100  # queries a language for what the world has and the library has not
CALIBRATION = "calibration"  # the seed of its pictures, which are neither trained nor in the library


@dataclass(frozen=True)
class Query:
    """A text and what it says."""

    text: str
    claim: Claim


def is_new(scene: world.Scene) -> bool:
    """Whether training never met the scene's combination of things, in pictures or in words."""
    return len(scene.things) > 1 and is_held_out(whole(scene))  # 'a red circle' is said of pictures with two things as well


def all_of_it(random: Random, scene: world.Scene, language: str) -> Query:
    """All of the picture; where its combination is not new, put into words that are."""
    claim = whole(scene)
    return Query(say(random, claim, language, None if is_new(scene) else HELD_OUT_REQUESTS[language]), claim)


def part_of_it(random: Random, scene: world.Scene, language: str) -> Query:
    """Something of the picture, in a text that was not trained."""
    claim = draw_part_claim(random, scene)
    text = say(random, claim, language)
    while not is_held_out_text(text):
        text = say(random, claim, language)
    return Query(text, claim)


def truths(claims: Sequence[Claim], scenes: Sequence[world.Scene]) -> np.ndarray:
    """bool [claims, scenes]: where a claim is true beyond doubt."""
    return np.array([[is_true(claim, scene) is True for scene in scenes] for claim in claims])


def recall(cosines: np.ndarray, right: np.ndarray, k: int) -> float:
    """The percentage of rows with at least one right answer among the k highest. Both arrays are [rows, candidates]."""
    first = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return 100 * float(np.take_along_axis(right, first, axis=1).any(axis=1).mean())


def best_threshold(cosines: np.ndarray, right: np.ndarray) -> float:
    """The cosine from which on taking pairs as right has the highest F1; half-way to the next lower one. Both arrays are [pairs]."""
    order = np.argsort(-cosines)
    hits = right[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + right.sum())
    last = int(f1.argmax())
    return float(cosines[order[last : last + 2]].mean())


def encode_files(encoder: Encoder, folder: Path, samples: Sequence[Sample]) -> np.ndarray:
    """Unit vectors of the samples' files, [samples, dimension]."""
    images = []
    for sample in samples:
        with Image.open(folder / sample.name) as image:
            images.append(image.convert("RGB"))
    return encoder.encode_pictures(images)


def calibrate(encoder: Encoder) -> dict[str, float]:
    """`matches_from` and `alike_from`: the best cosines between words and pictures and between pictures, on pictures of their own.

    Words: as the evaluation asks, and as many from outside. Two pictures are alike where all that can be said of them is the same.
    """
    with TemporaryDirectory() as folder:
        samples = make_library(Path(folder), 2 * COUNT, CALIBRATION)
        pictures = encode_files(encoder, Path(folder), samples)
    random, scenes = Random(CALIBRATION), [sample.scene for sample in samples]
    queries = [draw(random, scene, language) for scene in scenes for language in LANGUAGES for draw in (all_of_it, part_of_it)]
    outside = [draw_outside(random, language) for _ in range(2 * COUNT) for language in LANGUAGES]
    cosines = encoder.encode_texts([query.text for query in queries] + outside) @ pictures.T
    right = np.concatenate([truths([query.claim for query in queries], scenes), np.zeros((len(outside), len(scenes)), bool)])
    pairs = np.triu_indices(len(samples), 1)
    same = np.array([[whole(a) == whole(b) for b in scenes] for a in scenes])
    return {
        "matches_from": best_threshold(cosines.ravel(), right.ravel()),
        "alike_from": best_threshold((pictures @ pictures.T)[pairs], same[pairs]),
    }


def evaluate(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """{group: {'en', 'zh': {measure: percent}}} on the demo library. A right answer is any picture of which the words are true."""
    encoder = load_encoder(path)
    with TemporaryDirectory() as folder:
        samples = make_library(Path(folder))
        pictures = encode_files(encoder, Path(folder), samples)
    scenes = [sample.scene for sample in samples]
    new, known = [scene for scene in scenes if is_new(scene)], [scene for scene in scenes if not is_new(scene)]
    table: dict[str, dict[str, dict[str, float]]] = {}
    for language in LANGUAGES:
        random = Random(f"queries-{language}")
        groups = {
            "words to pictures: all of it, a combination never trained": [all_of_it(random, scene, language) for scene in new],
            "words to pictures: all of it, in a wording never trained": [all_of_it(random, scene, language) for scene in known],
            "words to pictures: something of it": [part_of_it(random, scene, language) for scene in scenes],
        }
        found = {
            group: (
                encoder.encode_texts([query.text for query in queries]) @ pictures.T,
                truths([query.claim for query in queries], scenes),
            )
            for group, queries in groups.items()
        }
        found["words to pictures: these together"] = tuple(np.concatenate(parts) for parts in zip(*found.values(), strict=True))
        for group, (cosines, right) in found.items():
            shown = cosines >= encoder.matches_from
            table.setdefault(group, {})[language] = {
                "R@1": recall(cosines, right, 1),
                "R@5": recall(cosines, right, 5),
                "something shown": 100 * float(shown.any(axis=1).mean()),
                "of the right shown": 100 * float(shown[right].mean()),
                "of the shown right": 100 * float(right[shown].mean()),
            }
        cosines = pictures @ encoder.encode_texts([sample.captions[language] for sample in samples]).T
        right = truths([whole(scene) for scene in scenes], scenes).T
        table.setdefault("picture to captions", {})[language] = {"R@1": recall(cosines, right, 1), "R@5": recall(cosines, right, 5)}
        for group, texts in {
            "words for what the library has not": absent(random, scenes, language),
            "words from outside the world": list(UNHEARD[language]),
        }.items():
            best = (encoder.encode_texts(texts) @ pictures.T).max(axis=1)
            table.setdefault(group, {})[language] = {"something shown": 100 * float((best >= encoder.matches_from).mean())}
    return table


def absent(random: Random, scenes: Sequence[world.Scene], language: str) -> list[str]:
    """Texts that describe whole pictures of the world; every one of the scenes is otherwise."""
    texts: list[str] = []
    while len(texts) < ABSENT:
        claim = whole(world.draw_scene(random))
        if all(is_true(claim, scene) is False for scene in scenes):
            texts.append(say(random, claim, language))
    return texts


def print_table(table: dict[str, dict[str, dict[str, float]]]) -> None:
    """The table in Markdown, English / Chinese in each cell."""
    measures = list(next(iter(table.values()))["en"])
    print(f"| percent, English / Chinese | {' | '.join(measures)} |\n|---{'|---' * len(measures)}|")
    for group, columns in table.items():
        cells = [
            " / ".join(f"{columns[language][measure]:.1f}" for language in LANGUAGES) if measure in columns["en"] else "-"
            for measure in measures
        ]
        print(f"| {group} | {' | '.join(cells)} |")
