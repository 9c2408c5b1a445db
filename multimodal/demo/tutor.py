"""The tutor: draws training conversations, pictures, sounds and films of the toy world with questions about them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from multimodal.demo import words, world
from multimodal.demo.lessons import (
    LANGUAGES,
    Exchange,
    Film,
    Lesson,
    Painting,
    Recording,
    ask,
    askable,
    beeps_answer,
    fill,
    heard_answer,
    in_words,
    outside_sentence,
    picture_answer,
)
from multimodal.demo.words import ANSWERS

# What takes the most looking: one thing is to be found among the picture's, or counted.
PRACTISED = frozenset(
    ("is there colour", "is there shape", "is there", "left of", "right of", "above", "below", "colour of", "number", "describe")
)


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

    def picture(self, random: Random, exchanges: int, spoken: float) -> list[Exchange]:
        """A picture and several questions about it, each typed or (with probability `spoken`) spoken in English."""
        scene, image = self._painting(random)
        lesson = []
        for place in range(exchanges):
            exchange = self._about(random, scene, random.random() < spoken)
            if place == 0:
                media = list(exchange.media)
                media.insert(random.randint(0, len(media)), image)
                exchange = replace(exchange, media=tuple(media))
            lesson.append(exchange)
        return lesson

    def sheet(self, random: Random, exchanges: int, spoken: float) -> list[Exchange]:
        """A picture and several questions to be asked apart; those that take most practice come twice as often."""
        scene, image = self._painting(random)
        lesson = [self._about(random, scene, random.random() < spoken, PRACTISED) for _ in range(exchanges)]
        lesson[0] = replace(lesson[0], media=(image, *lesson[0].media))
        return lesson

    def _painting(self, random: Random) -> tuple[world.Scene, Painting]:
        scene = world.draw_scene(random)
        return scene, Painting(world.paint(scene, random.choice((96, 128, 160, 160, 224))), scene)

    def _about(self, random: Random, scene: world.Scene, spoken: bool, practised: frozenset[str] = frozenset()) -> Exchange:
        """A question about the scene, its picture not yet among its media."""
        kinds = askable(scene)
        if spoken:
            kinds = [kind for kind in kinds if kind in words.SPOKEN_PICTURE_QUESTIONS]
        kind = random.choices(kinds, [1 + (kind in practised) for kind in kinds])[0]
        if spoken:
            recording = self._spoken(random, scene, kind)
            return Exchange(f"spoken {kind}", "en", (recording,), "", picture_answer(scene, kind, "en", **recording.filling))
        language, filling = random.choice(LANGUAGES), fill(random, scene, kind)
        question = ask(random, kind, language, **in_words(language, filling))
        return Exchange(kind, language, (), question, picture_answer(scene, kind, language, **filling))

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
            question = ask(random, kind, language, **in_words(language, filling))
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

    def lesson(self, random: Random, fps: float, course: str = "wide") -> Lesson:
        """One training conversation.

        The 'wide' course asks much about each thing, which is how words and languages are learned fastest; the 'seeing' course asks most
        questions apart, so that each has to be answered by looking.
        """
        lesson = Lesson(tuple(self._wide(random, fps))) if course == "wide" else self._seeing(random, fps)
        if not lesson.apart and random.random() < 0.2:  # small talk in between harms nothing
            exchanges = list(lesson.exchanges)
            exchanges.insert(random.randint(0, len(exchanges)), self._aside(random))
            lesson = Lesson(tuple(exchanges))
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

    def _seeing(self, random: Random, fps: float) -> Lesson:
        draw = random.random()
        if draw < 0.36:
            return Lesson(tuple(self.sheet(random, 10, 0.0)), apart=True)
        if draw < 0.54:
            return Lesson(tuple(self.sheet(random, 6, 0.8)), apart=True)
        if draw < 0.66:  # the spoken question before its picture as often as after it, which questions asked apart cannot be
            return Lesson(tuple(exchange for _ in range(3) for exchange in self.picture(random, 1, 1.0)))
        if draw < 0.74:
            return Lesson(tuple(self.film(random, 6, fps)), apart=True)
        if draw < 0.77:
            return Lesson(tuple(self.film(random, 3, fps)))
        if draw < 0.85:
            return Lesson(tuple(self.picture(random, 5, 0.3)))
        if draw < 0.92:
            return Lesson(tuple(self.sound(random, 5)))
        if draw < 0.94:
            return Lesson(tuple(self.split_film(random, 5)))
        if draw < 0.96:
            return Lesson(tuple(self.elsewhere(random, 4)))
        return Lesson(tuple(self.talk(random, 9)))

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
