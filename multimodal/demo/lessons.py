"""Questions about the toy world and their right answers. Knows the world and its words, not the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image

from multimodal.demo import words, world
from multimodal.demo.words import ANSWERS, QUESTIONS, sentence, thing_name

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Recording:
    """Something heard. `kind`: 'word' (a number, colour or shape), 'question', 'beeps' or 'outside'."""

    kind: str
    language: str
    name: str  # the English name of the word, the spoken question's key, or the number of beeps
    samples: np.ndarray = field(repr=False)
    features: object = field(default=None, repr=False)  # log-mel frames [mel bins, frames], set where training precomputes them
    filling: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Painting:
    """A picture, with the scene it shows where it is of the toy world."""

    image: Image.Image
    scene: world.Scene | None = None


@dataclass(frozen=True)
class Film:
    """A video as the model gets it: frames at `fps` and a sound track."""

    frames: tuple[Image.Image, ...]
    fps: float
    sound: Recording
    motion: world.Motion


@dataclass(frozen=True)
class Exchange:
    """One question with its media, and the right answer. `kind` names what is asked, for counting."""

    kind: str
    language: str
    media: tuple[Painting | Recording | Film, ...]
    question: str
    answer: str


@dataclass(frozen=True)
class Lesson:
    """A conversation; or, `apart`, many conversations of one question each that begin with the same medium: the first one's first.

    Asked apart, no answer can be copied from an earlier one, and the medium is looked at once for all of them.
    """

    exchanges: tuple[Exchange, ...]
    apart: bool = False


def ask(random: Random, kind: str, language: str, **filling: str) -> str:
    """A wording of the question, typed the way people type: sometimes without capitals or the final mark."""
    text = random.choice(QUESTIONS[kind][language]).format(**filling)
    if random.random() < 0.25:
        text = text.rstrip("?.？。!！")
    if random.random() < 0.2:
        text = text[0].lower() + text[1:]
    return text


def picture_answer(scene: world.Scene, kind: str, language: str, shape: str = "", colour: str = "") -> str:
    """The right answer to a question about a scene; `shape` and `colour` are what the question names."""
    things = scene.things
    alike = scene.layout == "alike"
    colours = [words.COLOUR_NAMES[language][thing.colour] for thing in (things[:1] if alike else things)]
    shapes = [words.SHAPE_NAMES[language][thing.shape] for thing in (things[:1] if alike else things)]
    joint = "和" if language == "zh" else " and "
    if kind == "colour":
        return sentence(joint.join(colours), language)
    if kind == "shape":
        if language == "zh":
            return sentence(joint.join(shapes), language)
        if alike:
            return sentence(f"a {shapes[0]}" if len(things) == 1 else f"{shapes[0]}s", language)
        return sentence(joint.join(f"a {name}" for name in shapes), language)
    if kind == "number":
        count = words.NUMBER_NAMES[language][len(things)]
        return sentence(f"{count}个".replace("二个", "两个") if language == "zh" else count, language)
    if kind == "describe":
        if alike:
            return sentence(thing_name(language, things[0].shape, things[0].colour, len(things)), language)
        first, second = (thing_name(language, thing.shape, thing.colour) for thing in things)
        beside = scene.layout == "beside"
        if language == "zh":
            return sentence(f"{'左边' if beside else '上面'}是{first}，{'右边' if beside else '下面'}是{second}", language)
        return sentence(
            f"{first} {'on the left' if beside else 'at the top'} and {second} {'on the right' if beside else 'at the bottom'}", language
        )
    if kind in words.PLACES:
        return sentence(
            thing_name(language, things[0 if kind in ("left", "top") else 1].shape, things[0 if kind in ("left", "top") else 1].colour),
            language,
        )
    if kind in ("left of", "right of", "above", "below"):
        wanted = 1 if kind in ("left of", "above") else 0  # the named one must be the other of the two
        if things[wanted].shape == shape:
            other = things[1 - wanted]
            return sentence(thing_name(language, other.shape, other.colour), language)
        return ANSWERS["nothing"][language]
    if kind == "colour of":
        return sentence(next(words.COLOUR_NAMES[language][thing.colour] for thing in things if thing.shape == shape), language)
    there = any(thing.shape == (shape or thing.shape) and thing.colour == (colour or thing.colour) for thing in things)
    return ANSWERS["yes" if there else "no"][language]


def askable(scene: world.Scene) -> list[str]:
    """The questions that make sense of a scene."""
    left_out = {
        "alike": {*words.PLACES, "left of", "right of", "above", "below"},
        "beside": {"top", "bottom", "above", "below"},
        "above": {"left", "right", "left of", "right of"},
    }[scene.layout]
    return [kind for kind in words.PICTURE_QUESTIONS if kind not in left_out]


def fill(random: Random, scene: world.Scene, kind: str) -> dict[str, str]:
    """Which shape and colour the question names: half the time what is there, half the time what is not."""
    thing = random.choice(scene.things)
    there = random.random() < 0.5
    if kind == "is there colour":
        absent = [colour for colour in world.COLOURS if all(other.colour != colour for other in scene.things)]
        return {"colour": thing.colour if there else random.choice(absent)}
    if kind == "is there shape":
        absent = [shape for shape in world.SHAPES if all(other.shape != shape for other in scene.things)]
        return {"shape": thing.shape if there else random.choice(absent)}
    if kind == "is there":
        named = (thing.shape, thing.colour)
        while not there and any(named == (other.shape, other.colour) for other in scene.things):
            shape, colour = random.choice(world.SHAPES), random.choice(list(world.COLOURS))
            named = random.choice(((shape, thing.colour), (thing.shape, colour), (shape, colour)))
        return dict(zip(("shape", "colour"), named, strict=True))
    if kind in ("left of", "right of", "above", "below", "colour of"):
        return {"shape": thing.shape}
    return {}


def in_words(language: str, filling: dict[str, str]) -> dict[str, str]:
    """What `fill` chose, by its names in `language`."""
    names = {"shape": words.SHAPE_NAMES, "colour": words.COLOUR_NAMES}
    return {slot: names[slot][language][value] for slot, value in filling.items()}


def heard_answer(recording: Recording, language: str) -> str:
    """The right answer to "what is said?"."""
    if recording.kind == "beeps":
        return beeps_answer(recording, language)
    if recording.kind == "outside":
        return ANSWERS["elsewhere"][language]
    if recording.kind == "question":
        return sentence("一个问题" if language == "zh" else "a question", language)
    word = word_name(recording.name, language)
    return f"“{word}”。" if language == "zh" else f'"{word[0].upper() + word[1:]}".'


def word_name(name: str, language: str) -> str:
    """A number, colour or shape, known by its English name, in `language`."""
    if language == "en":
        return name
    numbers = {english: words.NUMBER_NAMES["zh"][value] for value, english in words.NUMBER_NAMES["en"].items()}
    return {**words.COLOUR_NAMES["zh"], **words.SHAPE_NAMES["zh"], **numbers}[name]


def beeps_answer(recording: Recording, language: str) -> str:
    count = int(recording.name)
    name = words.NUMBER_NAMES[language][count]
    if language == "zh":
        return f"{name}声。".replace("二声", "两声")
    return f"{name[0].upper() + name[1:]} beep{'s' if count > 1 else ''}."


def outside_sentence(random: Random, language: str) -> str:
    pattern = random.choice(words.OUTSIDE_SENTENCES[language])
    if random.random() < 0.25:
        if language == "zh":
            return "".join(chr(random.randint(0x4E00, 0x9000)) for _ in range(random.randint(3, 14)))
        return " ".join(
            "".join(random.choice("aeioubcdfghklmnprstvwyz") for _ in range(random.randint(2, 8))) for _ in range(random.randint(2, 9))
        )
    return pattern.format(*(random.choice(words.OUTSIDE_WORDS[language]) for _ in range(3)))
