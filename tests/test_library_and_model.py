"""Both halves together: the library's pictures and the chat model, in one desk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from multimodal.ask_library import Source, Statement, ask_library
from multimodal.captioner import Captioner
from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.events import Done
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.retrieval.records import Filter
from multimodal.settings import Settings
from tests.conftest import EXAMPLES

PICTURES = ("pair.png", "shapes.png")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk whose library holds two pictures, and none of the examples that come along."""
    desk = Desk(Settings(data_dir=tmp_path_factory.mktemp("desk")))
    desk.library.open(wait=True)
    desk.library.take([(EXAMPLES / name, name) for name in PICTURES])
    desk.open_model()
    yield desk
    desk.close()


def said(desk: Desk, question: str, picture: Path) -> str:
    """What the model answers to one picture."""
    turn = Turn(question, tuple(take(picture, picture.name, desk.limits)))
    return next(event for event in desk.answer(Conversation((turn,)), Options(), threading.Event()) if isinstance(event, Done)).text


def test_every_statement_is_the_models_answer_to_the_picture_it_names(desk):
    question = "What is on the left?"
    events = list(ask_library(desk, question, 2, Options(), threading.Event()))
    hits = next(event for event in events if isinstance(event, Source)).hits
    complete = [event for event in events if isinstance(event, Statement) and event.complete]
    assert {hit.picture.name for hit in hits} == set(PICTURES)
    assert [statement.number for statement in complete] == [1, 2]
    for statement in complete:
        assert statement.text == said(desk, question, EXAMPLES / hits[statement.number - 1].picture.name) != ""


def test_only_the_pictures_of_the_filter_are_asked(desk):
    events = list(ask_library(desk, "What is it?", 2, Options(), threading.Event(), Filter(name="pair")))
    assert [hit.picture.name for hit in events[0].hits] == ["pair.png"]


def test_a_picture_whose_file_has_gone_is_passed_over_with_its_reason(desk, tmp_path):
    lost = shutil.copy(EXAMPLES / "shapes.png", tmp_path / "lost.png")
    Path(lost).write_bytes(Path(lost).read_bytes() + b" ")  # other bytes: another picture
    desk.library.adding.add_files([Path(lost)])
    assert desk.library.adding.wait(60)
    Path(lost).unlink()
    events = list(ask_library(desk, "What is it?", 3, Options(), threading.Event(), Filter(name="lost")))
    assert [event.refusal.code for event in events if isinstance(event, Statement)] == ["original_gone"]


def test_stop_ends_the_asking(desk):
    stop = threading.Event()
    stop.set()
    events = list(ask_library(desk, "What is it?", 2, Options(), stop))
    assert [type(event) for event in events] == [Source]


@pytest.mark.parametrize(
    ("question", "count", "code"), [("", 2, "search_empty"), ("What?", 0, "search_count"), ("What?", 21, "search_count")]
)
def test_what_cannot_be_asked_is_said(desk, question, count, code):
    for wanted in (None, Filter(name="pair")):
        with pytest.raises(UserError) as refused:
            list(ask_library(desk, question, count, Options(), threading.Event(), wanted))
        assert refused.value.code == code


def test_captions_are_written_for_pictures_without_one_and_are_found(desk):
    library, captioner = desk.library, Captioner(desk)
    own, other = (next(iter(library.page(Filter(name=name)))).id for name in PICTURES)
    library.set_captions(own, ["my own words"])
    captioner.start("en")
    assert captioner.wait(60)
    assert captioner.progress.state == "done"
    assert [(caption.text, caption.origin) for caption in library.picture(own).captions] == [("my own words", "person")]
    (written,) = library.picture(other).captions
    assert written.origin == "model"
    assert written.text == said(desk, "Describe the picture in one sentence.", EXAMPLES / "shapes.png")
    assert other in [picture.id for picture in library.page(Filter(text=written.text))]
    library.adding.wait(60)
    assert written.id in [hit.caption.id for hit in library.captions_of(other, 5)]
