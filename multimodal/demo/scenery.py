"""What the demo encoder learns from: scenes, each with true, changed and outside texts; and which text is true of which scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch.utils.data import Dataset

from multimodal.demo import world
from multimodal.demo.captions import draw_outside, is_held_out_text, say
from multimodal.demo.claims import Claim, altered, draw_part_claim, is_held_out, is_true, whole
from multimodal.demo.lessons import LANGUAGES
from multimodal.training.contrastive import LEFT_OUT
from multimodal.training.examples import Example

ELSEWHERE = 0.06  # of the pictures


@dataclass(frozen=True)
class Scenery(Example):
    """An example of the toy world.

    `scene`: None for a picture from elsewhere. `claims`: one for each caption, None for a text that no scene fits.
    """

    scene: world.Scene | None
    claims: tuple[Claim | None, ...]


def judge(examples: Sequence[Scenery]) -> torch.Tensor:
    """Which caption is true of which picture, int64 [captions, pictures]; LEFT_OUT where people would differ."""

    def verdict(claim: Claim | None, scene: world.Scene | None) -> int:
        true = False if claim is None or scene is None else is_true(claim, scene)
        return LEFT_OUT if true is None else int(true)

    scenes = [example.scene for example in examples]
    return torch.tensor([[verdict(claim, scene) for scene in scenes] for example in examples for claim in example.claims])


class Scenes(Dataset):
    """`count` examples, drawn as they are asked for; the same for the same seed. Many a second one is the one before with a change."""

    def __init__(self, seed: int, count: int):
        self.seed, self.count = seed, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> Scenery:
        random = Random(f"encoder-{self.seed}-{place}")
        if random.random() < ELSEWHERE:
            captions, claims = self._texts(random, [])
            return Scenery(world.draw_elsewhere(random, 128).convert("RGB"), captions, place, None, claims)
        scene = self._scene(place, random)
        said = [random.choice((whole(scene), draw_part_claim(random, scene))) for _ in LANGUAGES]
        captions, claims = self._texts(random, said)
        return Scenery(world.paint(scene, random.choice((72, 96, 128, 160))), captions, place, scene, claims)

    def _scene(self, place: int, random: Random) -> world.Scene:
        if place % 2 and random.random() < 0.5:
            # from before this example's own draws, as the other was drawn
            other = Random(f"encoder-{self.seed}-{place - 1}")
            if other.random() >= ELSEWHERE:
                changed = twin(random, self._scene(place - 1, other))
                if changed is not None and not is_held_out(whole(changed)):
                    return changed
        scene = world.draw_scene(random)
        while is_held_out(whole(scene)):
            scene = world.draw_scene(random)
        return scene

    def _texts(self, random: Random, claims: list[Claim]) -> tuple[tuple[str, ...], tuple[Claim | None, ...]]:
        """The claims in words, one a language, and often a changed claim and a text from outside."""
        spoken: list[tuple[Claim | None, str]] = list(zip(claims, LANGUAGES, strict=False))
        if claims and random.random() < 0.35:
            changed = altered(random, random.choice(claims))
            if not is_held_out(changed):
                spoken.append((changed, random.choice(LANGUAGES)))
        if random.random() < 0.3:
            spoken.append((None, random.choice(LANGUAGES)))
        texts = [self._text(random, claim, language) for claim, language in spoken]
        return tuple(texts), tuple(claim for claim, _ in spoken)

    def _text(self, random: Random, claim: Claim | None, language: str) -> str:
        while True:
            text = draw_outside(random, language) if claim is None else say(random, claim, language)
            if not is_held_out_text(text):
                return text


def twin(random: Random, scene: world.Scene) -> world.Scene | None:
    """The scene with its two things' kinds exchanged, or another shape or colour; None where the colour would not stand out."""
    change = random.choice(("order", "shape", "colour") if scene.layout != "alike" else ("shape", "colour"))
    things = scene.things
    if change == "order":
        a, b = things
        return replace(scene, things=(replace(a, shape=b.shape, colour=b.colour), replace(b, shape=a.shape, colour=a.colour)))
    place = random.randrange(len(things))
    if change == "shape":
        new = {"shape": random.choice([shape for shape in world.SHAPES if shape != things[place].shape])}
    else:
        colour = random.choice([colour for colour in world.COLOURS if colour != things[place].colour])
        if math.dist(world.COLOURS[colour], scene.background) < 110:
            return None
        new = {"colour": colour}
    changed = tuple(replace(thing, **new) if scene.layout == "alike" or at == place else thing for at, thing in enumerate(things))
    kinds = {(thing.shape, thing.colour) for thing in changed}
    return None if len(kinds) == 1 and scene.layout != "alike" else replace(scene, things=changed)
