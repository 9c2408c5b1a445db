"""The toy world's questions have the right answers."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from multimodal.demo import lessons, world
from multimodal.demo.lessons import Recording, picture_answer
from multimodal.demo.tutor import Tutor, sampled_moments
from multimodal.demo.world import Scene, Thing

GREY = (225, 225, 222)
BESIDE = Scene("beside", (Thing("star", "red", 0.25, 0.5, 0.2), Thing("circle", "blue", 0.75, 0.5, 0.2)), 1.0, GREY, GREY)
ABOVE = Scene("above", (Thing("square", "black", 0.5, 0.25, 0.2), Thing("triangle", "orange", 0.5, 0.75, 0.2)), 1.0, GREY, GREY)
ALIKE = Scene("alike", tuple(Thing("circle", "green", 0.3 * n, 0.5, 0.1) for n in (1, 2, 3)), 1.0, GREY, GREY)


@pytest.mark.parametrize(
    ("scene", "kind", "filling", "english", "chinese"),
    [
        (ALIKE, "colour", {}, "Green.", "绿色。"),
        (ALIKE, "shape", {}, "Circles.", "圆形。"),
        (ALIKE, "number", {}, "Three.", "三个。"),
        (ALIKE, "describe", {}, "Three green circles.", "三个绿色的圆形。"),
        (BESIDE, "number", {}, "Two.", "两个。"),
        (BESIDE, "left", {}, "A red star.", "一个红色的星形。"),
        (BESIDE, "right", {}, "A blue circle.", "一个蓝色的圆形。"),
        (BESIDE, "left of", {"shape": "circle"}, "A red star.", "一个红色的星形。"),
        (BESIDE, "left of", {"shape": "star"}, "Nothing.", "没有东西。"),
        (BESIDE, "right of", {"shape": "star"}, "A blue circle.", "一个蓝色的圆形。"),
        (ABOVE, "top", {}, "A black square.", "一个黑色的方形。"),
        (ABOVE, "bottom", {}, "An orange triangle.", "一个橙色的三角形。"),
        (ABOVE, "above", {"shape": "triangle"}, "A black square.", "一个黑色的方形。"),
        (ABOVE, "below", {"shape": "triangle"}, "Nothing.", "没有东西。"),
        (ABOVE, "colour of", {"shape": "triangle"}, "Orange.", "橙色。"),
        (ABOVE, "is there", {"shape": "square", "colour": "orange"}, "No.", "没有。"),
        (ABOVE, "is there", {"shape": "square", "colour": "black"}, "Yes.", "有。"),
        (ABOVE, "is there colour", {"colour": "orange"}, "Yes.", "有。"),
        (ABOVE, "is there shape", {"shape": "circle"}, "No.", "没有。"),
        (
            BESIDE,
            "describe",
            {},
            "A red star on the left and a blue circle on the right.",
            "左边是一个红色的星形，右边是一个蓝色的圆形。",
        ),
    ],
)
def test_answers_are_right_in_both_languages(scene, kind, filling, english, chinese):
    assert picture_answer(scene, kind, "en", **filling) == english
    assert picture_answer(scene, kind, "zh", **filling) == chinese


def test_a_scene_shows_what_it_says():
    """The colours of the things are there in the picture, at their places."""
    for seed in range(30):
        scene = world.draw_scene(Random(seed))
        image = np.asarray(world.paint(scene, 200)).astype(int)
        for thing in scene.things:
            seen = image[int(thing.y * 200), int(thing.x * 200)]
            assert np.abs(seen - world.COLOURS[thing.colour]).max() < 12


def test_things_do_not_overlap_and_stand_where_the_layout_says():
    for seed in range(200):
        scene = world.draw_scene(Random(seed))
        assert 1 <= len(scene.things) <= world.MOST_SHAPES
        if scene.layout == "beside":
            assert scene.things[0].x + scene.things[0].radius < scene.things[1].x
        elif scene.layout == "above":
            assert scene.things[0].y < scene.things[1].y


def recordings() -> list[Recording]:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    pool = [Recording("word", language, "red", noise) for language in ("en", "zh")]
    pool += [Recording("beeps", "", str(count), noise) for count in range(1, 6)]
    pool += [Recording("outside", "en", "water", noise)]
    for kind in lessons.words.SPOKEN_PICTURE_QUESTIONS:
        fillings = [{}]
        if kind == "is there colour":
            fillings = [{"colour": colour} for colour in world.COLOURS]
        elif kind == "is there shape":
            fillings = [{"shape": shape} for shape in world.SHAPES]
        pool += [Recording("question", "en", kind, noise, filling=filling) for filling in fillings]
    return pool


def test_the_same_seed_gives_the_same_lesson_and_another_seed_another():
    def written(seed):
        return [(e.kind, e.question, e.answer) for _ in range(3) for e in Tutor(recordings()).lesson(Random(seed), 2.0).exchanges]

    assert written("a") == written("a")
    assert written("a") != written("b")


@pytest.mark.parametrize("course", ["wide", "seeing"])
def test_every_answer_is_in_the_language_of_its_question(course):
    tutor, random = Tutor(recordings()), Random(3)
    for _ in range(150):
        for exchange in tutor.lesson(random, 2.0, course).exchanges:
            chinese = any("\u4e00" <= letter <= "\u9fff" for letter in exchange.answer)
            assert chinese == (exchange.language == "zh")
            if exchange.question:
                assert any("\u4e00" <= letter <= "\u9fff" for letter in exchange.question) == chinese


@pytest.mark.parametrize("kind", ["is there", "is there colour", "is there shape"])
def test_whether_something_is_there_is_yes_half_the_time(kind):
    random, answers = Random(5), []
    for _ in range(600):
        scene = world.draw_scene(random)
        answers.append(picture_answer(scene, kind, "en", **lessons.fill(random, scene, kind)))
    assert set(answers) == {"Yes.", "No."}
    assert 0.42 < answers.count("Yes.") / len(answers) < 0.58


def test_questions_to_be_asked_apart_share_only_the_medium_they_begin_with():
    tutor, random = Tutor(recordings()), Random(6)
    lessons_apart = [lesson for lesson in (tutor.lesson(random, 2.0, "seeing") for _ in range(40)) if lesson.apart]
    assert len(lessons_apart) > 10
    for lesson in lessons_apart:
        shared, *own = lesson.exchanges[0].media
        assert isinstance(shared, (lessons.Painting, lessons.Film))
        for media in (own, *(exchange.media for exchange in lesson.exchanges[1:])):
            assert all(isinstance(medium, Recording) for medium in media)


def test_the_last_moment_of_a_video_is_sampled():
    for seconds in (2.0, 2.5, 3.0, 4.0):
        moments = sampled_moments(seconds, 2.0)
        assert moments[0] == 0
        assert moments[-1] == seconds
        assert len(moments) % 2 == 0
