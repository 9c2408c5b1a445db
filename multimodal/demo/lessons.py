"""Lessons: conversations about the toy world, with their right answers. Knows the world and its words, not the model."""

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
    """Which shape and colour the question names: about half the time ones that are there."""
    thing = random.choice(scene.things)
    there = random.random() < 0.5
    if kind == "is there colour":
        return {"colour": thing.colour if there else random.choice(list(world.COLOURS))}
    if kind == "is there shape":
        return {"shape": thing.shape if there else random.choice(world.SHAPES)}
    if kind == "is there":
        if there:
            return {"shape": thing.shape, "colour": thing.colour}
        return {
            "shape": random.choice((thing.shape, random.choice(world.SHAPES))),
            "colour": random.choice((thing.colour, random.choice(list(world.COLOURS)))),
        }
    if kind in ("left of", "right of", "above", "below", "colour of"):
        return {"shape": thing.shape}
    return {}


def _named(language: str, filling: dict[str, str]) -> dict[str, str]:
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


class Tutor:
    """Draws lessons. `recordings` is the pool of sounds to draw from."""

    def __init__(self, recordings: list[Recording]):
        self.words = [r for r in recordings if r.kind == "word"]
        self.beeps = [r for r in recordings if r.kind == "beeps"]
        self.outside = [r for r in recordings if r.kind == "outside"]
        self.questions: dict[str, list[Recording]] = {}
        for recording in recordings:
            if recording.kind == "question":
                self.questions.setdefault(recording.name, []).append(recording)

    def picture(self, random: Random, exchanges: int, spoken: float, described: float = 0.0) -> list[Exchange]:
        """A picture and several questions about it, each typed or (with probability `spoken`) spoken in English.

        `described`: how often the first of them asks for a description.
        """
        scene = world.draw_scene(random)
        image = Painting(world.paint(scene, random.choice((96, 128, 160, 160, 224))), scene)
        lesson = []
        for place in range(exchanges):
            media = [image] if place == 0 else []
            if random.random() < spoken:
                kinds = [kind for kind in askable(scene) if kind in words.SPOKEN_PICTURE_QUESTIONS]
                recording = self._spoken(random, scene, random.choice(kinds))
                media.insert(random.randint(0, len(media)), recording)
                lesson.append(
                    Exchange(
                        f"spoken {recording.name}", "en", tuple(media), "", picture_answer(scene, recording.name, "en", **recording.filling)
                    )
                )
                continue
            language, kind = random.choice(LANGUAGES), random.choice(askable(scene))
            if place == 0 and described and random.random() < described:
                kind = "describe"
            filling = fill(random, scene, kind)
            question = ask(random, kind, language, **_named(language, filling))
            lesson.append(Exchange(kind, language, tuple(media), question, picture_answer(scene, kind, language, **filling)))
        return lesson

    def _spoken(self, random: Random, scene: world.Scene, kind: str) -> Recording:
        filling = fill(random, scene, kind)
        if not filling:
            return random.choice(self.questions[kind])
        return random.choice([r for r in self.questions[kind] if r.filling == filling])

    def sound(self, random: Random, exchanges: int) -> list[Exchange]:
        """Several recordings, each with its question (or none: then the answer is in the recording's language)."""
        lesson = []
        for _ in range(exchanges):
            language = random.choice(LANGUAGES)
            draw = random.random()
            if draw < 0.62:
                recording = random.choice(self.words)
                silent = random.random() < 0.15
                question = "" if silent else ask(random, "said", language)
                language = recording.language if silent else language
                lesson.append(Exchange("word", language, (recording,), question, heard_answer(recording, language)))
            elif draw < 0.86:
                recording = random.choice(self.beeps)
                question = ask(random, random.choice(("beeps", "beeps", "said")), language)
                lesson.append(Exchange("beeps", language, (recording,), question, beeps_answer(recording, language)))
            else:
                recording = random.choice(self.outside)
                lesson.append(Exchange("outside", language, (recording,), ask(random, "said", language), heard_answer(recording, language)))
        return lesson

    def film(self, random: Random, exchanges: int, fps: float) -> list[Exchange]:
        """A moving shape with a spoken word, and several questions about both."""
        motion = world.draw_motion(random)
        moments = sampled_moments(motion.seconds, fps)
        frames = tuple(world.frame(motion, moment, 128) for moment in moments)
        film = Film(frames, fps, random.choice(self.words), motion)
        still = world.Scene("alike", (world.Thing(motion.shape, motion.colour, 0, 0, 0),), 1.0, motion.background, motion.background)
        lesson = []
        for place in range(exchanges):
            language = random.choice(LANGUAGES)
            kind = random.choice(("motion", "motion", "motion", "colour", "shape", "said", "describe", "is there"))
            filling = fill(random, still, kind)
            question = ask(random, kind, language, **_named(language, filling))
            if kind == "motion":
                answer = words.DIRECTION_NAMES[language][motion.direction]
            elif kind == "said":
                answer = heard_answer(film.sound, language)
            else:
                answer = picture_answer(still, kind, language, **filling)
            lesson.append(Exchange(f"video {kind}", language, (film,) if place == 0 else (), question, answer))
        return lesson

    def split_film(self, random: Random, exchanges: int) -> list[Exchange]:
        """The screen's default for a video: its last frame and its sound. Which way it moved cannot be seen."""
        motion = world.draw_motion(random)
        image, sound = Painting(world.frame(motion, motion.seconds, random.choice((128, 160)))), random.choice(self.words)
        still = world.Scene("alike", (world.Thing(motion.shape, motion.colour, 0, 0, 0),), 1.0, motion.background, motion.background)
        lesson = []
        for place in range(exchanges):
            language = random.choice(LANGUAGES)
            kind = random.choice(("motion", "colour", "shape", "said", "said", "describe"))
            question = ask(random, kind, language)
            answer = {"motion": ANSWERS["no video"][language], "said": heard_answer(sound, language)}.get(kind)
            lesson.append(
                Exchange(
                    f"split {kind}",
                    language,
                    (image, sound) if place == 0 else (),
                    question,
                    answer or picture_answer(still, kind, language),
                )
            )
        return lesson

    def talk(self, random: Random, exchanges: int) -> list[Exchange]:
        """No media: who are you, greetings, things outside the world, and questions whose picture or sound is missing."""
        lesson = []
        for _ in range(exchanges):
            language = random.choice(LANGUAGES)
            draw = random.random()
            if draw < 0.35:
                kind = random.choice(("who", "can", "hello", "thanks"))
                lesson.append(Exchange(kind, language, (), ask(random, kind, language), ANSWERS[kind][language]))
            elif draw < 0.55:
                kind = random.choice(("colour", "shape", "number", "describe", "said", "beeps", "motion"))
                answer = {"said": "no sound", "beeps": "no sound", "motion": "no video"}.get(kind, "no picture")
                lesson.append(Exchange("missing", language, (), ask(random, kind, language), ANSWERS[answer][language]))
            else:
                lesson.append(Exchange("elsewhere", language, (), outside_sentence(random, language), ANSWERS["elsewhere"][language]))
        return lesson

    def elsewhere(self, random: Random, exchanges: int) -> list[Exchange]:
        """A picture that is not of this world."""
        image = Painting(world.draw_elsewhere(random))
        lesson = []
        for place in range(exchanges):
            language, kind = random.choice(LANGUAGES), random.choice(("colour", "shape", "number", "describe"))
            lesson.append(
                Exchange("elsewhere", language, (image,) if place == 0 else (), ask(random, kind, language), ANSWERS["elsewhere"][language])
            )
        return lesson

    def lesson(self, random: Random, fps: float, course: str = "wide") -> list[Exchange]:
        """One training conversation.

        The 'wide' course asks much about each thing, which is how words and languages are learned fastest; the 'seeing' course shows many
        more pictures and films and asks less about each, which is what shapes, numbers and places take.
        """
        lesson = self._wide(random, fps) if course == "wide" else self._seeing(random, fps)
        if random.random() < 0.2:  # small talk in between harms nothing
            lesson.insert(random.randint(0, len(lesson)), self._aside(random))
        return lesson

    def _wide(self, random: Random, fps: float) -> list[Exchange]:
        draw = random.random()
        if draw < 0.36:
            lesson = self.picture(random, 11, 0.0)
            if random.random() < 0.25:  # a second picture later on: the questions are about the latest
                lesson = lesson[:6] + self.picture(random, 5, 0.0)
            return lesson
        if draw < 0.62:
            return self.picture(random, 5, 0.8)
        if draw < 0.82:
            return self.sound(random, 5)
        if draw < 0.91:
            return self.film(random, 7, fps)
        if draw < 0.94:
            return self.split_film(random, 6)
        if draw < 0.96:
            return self.elsewhere(random, 5)
        return self.talk(random, 9)

    def _seeing(self, random: Random, fps: float) -> list[Exchange]:
        draw = random.random()
        if draw < 0.5:
            return [exchange for _ in range(4) for exchange in self.picture(random, 3, 0.0, described=0.5)]
        if draw < 0.72:
            return [exchange for _ in range(2) for exchange in self.picture(random, 3, 0.8)]
        if draw < 0.81:
            return self.sound(random, 5)
        if draw < 0.92:
            return [exchange for _ in range(2) for exchange in self.film(random, 3, fps)]
        if draw < 0.94:
            return self.split_film(random, 5)
        if draw < 0.96:
            return self.elsewhere(random, 4)
        return self.talk(random, 9)

    def _aside(self, random: Random) -> Exchange:
        language = random.choice(LANGUAGES)
        if random.random() < 0.5:
            kind = random.choice(("who", "can", "hello", "thanks"))
            return Exchange(kind, language, (), ask(random, kind, language), ANSWERS[kind][language])
        return Exchange("elsewhere", language, (), outside_sentence(random, language), ANSWERS["elsewhere"][language])


def sampled_moments(seconds: float, fps: float) -> list[float]:
    """The moments, in seconds, at which a video is sampled: an even number of them, evenly spread, the last frame included."""
    count = max(2, round(seconds * fps / 2) * 2)
    return [seconds * place / (count - 1) for place in range(count)]
