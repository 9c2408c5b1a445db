"""Captions are written for pictures that have none at that moment, and counted where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from multimodal.captioner import Captioner
from multimodal.chat.events import Done, Event
from multimodal.media import Limits
from multimodal.retrieval.library import Library


class Desk:
    """A library with two pictures, and a model that says `text`. `during`: what a person does while it thinks."""

    def __init__(self, library: Library):
        self.library, self.limits, self.settings = library, Limits(), SimpleNamespace(system_prompt="")
        self.text, self.asked, self.during = "a card", 0, lambda: None

    def answer(self, *_: object) -> Iterator[Event]:
        self.asked += 1
        self.during()
        yield Done(self.text, 1, 1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    library = Library(tmp_path / "library", "", "cpu", Limits())
    library.open(encoder=False, watch=False)
    for colour in ("teal", "navy"):
        Image.new("RGB", (30, 20), colour).save(tmp_path / f"{colour}.png")
        library.take([(tmp_path / f"{colour}.png", f"{colour}.png")])
    yield Desk(library)
    library.close()


def captions(desk: Desk) -> list[list[tuple[str, str]]]:
    """(text, origin) of each picture's, by id."""
    return [[(caption.text, caption.origin) for caption in desk.library.picture(id).captions] for id in (1, 2)]


def run(desk: Desk) -> tuple[str, int, int]:
    """(state, done, passed over)."""
    captioner = Captioner(desk)
    captioner.start("en")
    assert captioner.wait(30)
    return captioner.progress.state, captioner.progress.done, captioner.progress.passed_over


def test_every_picture_gets_one(desk: Desk):
    assert run(desk) == ("done", 2, 0)
    assert captions(desk) == [[("a card", "model")]] * 2


@pytest.mark.parametrize("which", [1, 2])
def test_what_a_person_wrote_meanwhile_stands_alone(desk: Desk, which: int):
    desk.during = lambda: desk.library.set_captions(which, ["my own"])  # which is done while the first is being asked about
    assert run(desk) == ("done", 2, 1)
    assert captions(desk)[which - 1] == [("my own", "person")]
    assert desk.asked == (2 if which == 1 else 1)


def test_an_answer_that_says_nothing_is_not_counted_as_written(desk: Desk):
    desk.text = " \n"
    assert run(desk) == ("done", 2, 2)
    assert captions(desk) == [[], []]


def test_an_answer_that_knows_no_end_is_cut(desk: Desk):
    desk.text = "x" * 5000
    assert run(desk) == ("done", 2, 0)
    assert captions(desk) == [[("x" * 1000, "model")]] * 2
