"""One answer a session at a time; what is refused loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from multimodal.chat import omni
from multimodal.chat.conversation import Conversation, Turn
from multimodal.data_dir import open_data_dir
from multimodal.desk import Desk
from multimodal.settings import Settings
from multimodal.ui.answering import Answering, Choices, unchanged
from tests.conftest import EXAMPLES
from tests.tiny import write_tiny_omni

CHOICES = Choices("", 16, 0.0, "split", False, None, "auto")
TALK = Conversation((Turn("Hello", answer="Hello!"), Turn("Who are you?", answer="A desk.")))
PICTURE = (str(EXAMPLES / "shapes.png"), "shapes.png")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    """A desk whose model says whatever comes, to the full length, and can speak."""
    folder = tmp_path_factory.mktemp("answering")
    open_data_dir(folder / "data")
    made = Desk(Settings(model_path=str(write_tiny_omni(folder / "tiny")), data_dir=folder / "data"))
    made.open_model()
    return made


@pytest.fixture
def answer(desk: Desk) -> Callable[..., Iterator[tuple]]:
    """answer(turn, kept, before, choices, from_box): what the screen is given, step by step; answer.by is the Answering."""
    answering = Answering(desk)

    def run(turn: Turn, kept=TALK, before=TALK, choices=CHOICES, from_box=False, session="one"):
        return answering.answer(session, kept, before, turn, "en", choices, from_box)

    run.by = answering
    return run


def last(steps: Iterator[tuple]) -> tuple:
    *_, end = steps
    return end


def test_an_answer_comes_in_steps_and_ends_with_the_box_ready(answer):
    steps = list(answer(Turn("What?", files=(PICTURE,)), from_box=True))
    assert len(steps) > 3
    assert steps[0][2]["value"] == {"text": "", "files": []}
    assert steps[0][2]["submit_btn"] is False
    messages, conversation, box = steps[-1]
    assert conversation.turns[:2] == TALK.turns
    assert messages[-1]["content"] == conversation.turns[-1].answer != ""
    assert box["submit_btn"] is True
    assert "value" not in box


def test_a_second_question_of_a_session_changes_nothing_and_another_session_waits_its_turn(answer):
    first = answer(Turn("What?"))
    next(first)
    (step,) = list(answer(Turn("And?"), from_box=True))
    assert all("value" not in part for part in step)
    first.close()
    assert last(answer(Turn("And?"), session="two"))[1].turns[-1].answer


def test_stop_ends_an_answer_and_keeps_what_has_come(answer):
    steps = answer(Turn("What?"), choices=CHOICES._replace(max_new_tokens=4000))
    for _ in range(6):
        next(steps)
    answer.by.stop("one")
    turn = last(steps)[1].turns[-1]
    assert turn.notes == (("stopped", {}),)
    assert turn.answer


def test_a_dropped_answer_is_shown_no_more_and_the_next_one_can_begin(answer):
    steps = answer(Turn("What?"), choices=CHOICES._replace(max_new_tokens=4000))
    for _ in range(6):
        next(steps)
    answer.by.drop("one", Conversation())
    following = answer(Turn("And?"), Conversation(), Conversation())
    next(following)
    assert list(steps) == [unchanged()]
    assert last(following)[1].turns[-1].answer


def test_the_last_word_of_a_dropped_answer_is_what_was_left_in_its_place(answer):
    steps = answer(Turn("What?"), choices=CHOICES._replace(max_new_tokens=4000))
    for _ in range(6):
        next(steps)
    answer.by.drop("one", TALK.before(1))
    ((messages, conversation, box),) = steps
    assert conversation == TALK.before(1)
    assert [message["content"] for message in messages] == ["Hello", "Hello!"]
    assert (box["submit_btn"], box["stop_btn"]) == (True, False)


def test_stop_while_the_files_are_read_asks_nothing(answer):
    steps = answer(Turn("What?", files=(PICTURE,)))
    next(steps)
    answer.by.stop("one")
    (end,) = list(steps)[-1:]
    turn = end[1].turns[-1]
    assert (turn.notes, turn.answer, turn.media) == ((("stopped", {}),), "", ())


def test_what_is_refused_stands_under_the_whole_conversation(answer, tmp_path):
    broken = tmp_path / "a.png"
    broken.write_bytes(b"")
    turn = Turn("What?", files=((str(broken), "a.png"),))
    for kept, before in ((TALK, TALK), (TALK, TALK.before(0))):  # asked for the first time; and the first question edited
        _, conversation, box = last(answer(turn, kept, before, from_box=True))
        assert conversation.turns[:2] == TALK.turns
        assert conversation.turns[2].refusal.code == "file_empty"
        assert box["value"] == {"text": "What?", "files": [str(broken)]}
        assert conversation.without_refused() == TALK


@pytest.mark.parametrize(("turn", "code"), [(Turn(""), "empty_question"), (Turn("", files=(PICTURE,) * 33), "too_many_files")])
def test_a_question_that_cannot_be_one_is_refused(answer, turn, code):
    assert last(answer(turn))[1].turns[-1].refusal.code == code


def test_a_fault_in_the_middle_keeps_the_text_that_has_come(answer, desk):
    count = 0

    def fail(*_):
        nonlocal count
        count += 1
        if count == 9:
            raise ZeroDivisionError

    while desk.status == "loading":
        threading.Event().wait(0.05)
    hook = desk.model.model.thinker.lm_head.register_forward_hook(fail)
    turn = last(answer(Turn("What?"), choices=CHOICES._replace(max_new_tokens=40)))[1].turns[-1]
    hook.remove()
    assert turn.answer
    assert turn.refusal.code == "answer_failed"
    assert last(answer(Turn("What?")))[1].turns[-1].refusal is None


def test_a_spoken_answer_becomes_a_file_that_the_page_can_play(answer, desk, monkeypatch):
    monkeypatch.setattr(omni, "MOST_CODES", 40)
    messages, conversation, _ = last(answer(Turn("What?"), choices=CHOICES._replace(max_new_tokens=3, aloud=True, voice="Ethan")))
    spoken = Path(conversation.turns[-1].spoken)
    assert spoken.parent == desk.settings.data_dir / "uploads"
    assert soundfile.info(spoken).samplerate == 24_000
    assert messages[-1]["content"] == {"path": str(spoken)}
