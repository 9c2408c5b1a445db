"""The desk's own promises: one model is loaded at a time, and visitors are not told where things lie."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.settings import Settings


def test_of_two_who_wait_for_the_answer_one_gets_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    desk = Desk(Settings(data_dir=tmp_path))
    desk.open_model()
    while desk.status == "loading":
        time.sleep(0.01)
    may_end, begun, refused = threading.Event(), [], []

    def slow(*arguments: object) -> None:
        begun.append(arguments)
        may_end.wait(20)
        raise UserError("model_not_found", path="nowhere")

    def switch() -> None:
        try:
            desk.switch(None)
        except UserError as error:
            refused.append(error.code)

    monkeypatch.setattr("multimodal.desk.load", slow)
    waiting = [threading.Thread(target=switch) for _ in range(2)]
    with desk._turn:  # an answer is under way
        for thread in waiting:
            thread.start()
        time.sleep(0.1)
    for thread in waiting:
        thread.join(20)
    may_end.set()
    assert (len(begun), refused) == (1, ["loading"])


@pytest.mark.parametrize(("share", "told"), [(False, True), (True, False)])
def test_only_the_owner_is_told_where_a_model_was_looked_for(tmp_path: Path, share: bool, told: bool):
    desk = Desk(Settings(model_path=str(tmp_path / "private" / "model-x"), data_dir=tmp_path, share=share))
    desk.open_model()
    while desk.status == "loading":
        time.sleep(0.01)
    for language in ("en", "zh"):
        assert "model-x" in desk.failure.say(language)
        assert ("private" in desk.failure.say(language)) is told
