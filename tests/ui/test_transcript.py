"""What the screen shows of a conversation, and which turn each of its messages belongs to."""

from __future__ import annotations

from pathlib import Path

from multimodal.chat.conversation import Conversation, Turn
from multimodal.errors import UserError
from multimodal.ui.transcript import show, turn_of
from tests.conftest import EXAMPLES

PICTURE = (str(EXAMPLES / "shapes.png"), "shapes.png")
REFUSED = UserError("file_empty", name="a.png")


def conversation(spoken: Path) -> Conversation:
    return Conversation(
        (
            Turn("What?", answer="Circles.", files=(PICTURE, PICTURE), spoken=str(spoken)),
            Turn("", answer="Red.", files=(PICTURE,)),
            Turn("And?", answer="A st", notes=(("stopped", {}),)),
            Turn("This?", files=(("/gone/a.png", "a.png"),), refusal=REFUSED),
        )
    )


def test_every_message_leads_back_to_its_turn(tmp_path):
    spoken = tmp_path / "answer.wav"
    spoken.write_bytes(b"x")
    talk = conversation(spoken)
    messages = show(talk, "en")
    assert [message["role"][0] for message in messages] == list("uuuaa" + "ua" + "ua" + "ua")
    assert [turn_of(talk, place) for place in range(len(messages))] == [0] * 5 + [1] * 2 + [2] * 2 + [3] * 2


def test_files_that_are_gone_are_not_shown(tmp_path):
    messages = show(conversation(tmp_path / "gone.wav"), "en")
    paths = [message["content"]["path"] for message in messages if isinstance(message["content"], dict)]
    assert paths == [PICTURE[0]] * 3


def test_notes_and_refusals_are_said_in_the_language_of_the_screen(tmp_path):
    talk = conversation(tmp_path / "gone.wav")
    for language, stopped in (("en", "Stopped."), ("zh", "已停止。")):
        answers = [message["content"] for message in show(talk, language) if message["role"] == "assistant"]
        assert answers[2] == f"A st\n\n*{stopped}*"
        assert answers[3] == f"⚠️ {REFUSED.say(language)}"


def test_a_hint_stands_only_where_the_answer_is_to_come(tmp_path):
    answers = [message["content"] for message in show(conversation(tmp_path / "gone.wav"), "en", "…") if message["role"] == "assistant"]
    assert [answer.endswith("*…*") for answer in answers] == [False, False, False, True]


def test_a_file_that_could_not_be_read_is_shown_by_its_name():
    messages = show(Conversation((Turn("", files=(PICTURE,), refusal=REFUSED),)), "en")
    assert messages[0]["content"]["file"]["orig_name"] == "shapes.png"
    assert messages[0]["content"]["file"]["mime_type"] == "application/octet-stream"
