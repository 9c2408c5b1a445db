"""Memory runs out, at every stage and anywhere: the answer is finished or refused, and nothing is lost or kept."""

from __future__ import annotations

import gc
from dataclasses import replace
from random import Random

import pytest
import torch

from low_vram import sim
from low_vram.arrangement import DEVICE, HOST, MOVED, PARTS
from low_vram.cases import ask
from low_vram.footprint import Footprint
from low_vram.ladder import next_live
from low_vram.recover import NothingLeft, recovering
from low_vram.request import weigh
from low_vram.stages import Stages
from tests.low_vram.answers import QUESTIONS, answer
from tests.low_vram.conftest import LIMITS

TOKENS = 6


class Attempt:
    """An answer that goes on from what it has, as the desk's does."""

    def __init__(self, stages: Stages, footprint: Footprint, question: str, codes: int = 0):
        self.stages, self.footprint, self.codes_wanted = stages, footprint, codes
        self.load = weigh(replace(QUESTIONS[question], answer=TOKENS), LIMITS)
        self.tokens: list[int] = []
        self.shown: list[int] = []
        self.said = None
        self.codes = None
        self.say = self.shown.append

    def __call__(self) -> None:
        with torch.inference_mode():
            prompt = ask(self.stages, self.footprint, self.load)
            if self.said is None:
                self.said = self.stages.think(prompt, self.tokens, self.say, TOKENS, heard=bool(self.codes_wanted), do_sample=False)
            if self.codes_wanted:
                torch.manual_seed(3)
                voice = self.stages.model.speaker_map["Ethan"]
                self.codes = self.stages.talk(prompt, self.said, voice, self.codes_wanted)


def test_running_out_takes_a_step_and_goes_on(arranged, footprint):
    stages = arranged()
    wanted = answer(stages, footprint, "picture", TOKENS)[0]
    attempt, steps = Attempt(stages, footprint, "picture"), []
    with sim.fail_at(40):
        recovering(stages, attempt, steps.append)
    assert [step.code for step in steps] == ["towers_moved"]
    assert attempt.shown == wanted
    assert stages.parts.places["thinker.model.visual"] == MOVED


def test_text_that_was_shown_stays_and_is_not_shown_again(arranged, footprint):
    stages = arranged()
    wanted = answer(stages, footprint, "mix", TOKENS)[:2]
    attempt, steps, at = Attempt(stages, footprint, "mix", codes=6), [], []

    def fail_once(*_):
        if len(attempt.shown) == 3 and not at:
            at.append(len(attempt.shown))
            raise torch.OutOfMemoryError("no more")

    stages.model.thinker.lm_head.register_forward_hook(fail_once)
    recovering(stages, attempt, steps.append)
    assert at == [3]
    assert len(steps) == 1
    assert attempt.shown == wanted[0]
    assert attempt.codes.tolist() == wanted[1].tolist()  # the talker heard the whole answer, not its second half


def test_memory_that_runs_out_after_the_last_token_adds_none(arranged, footprint):
    stages = arranged()
    wanted = answer(stages, footprint, "picture", TOKENS)[:2]
    attempt, steps = Attempt(stages, footprint, "picture", codes=6), []

    def say(token: int) -> None:
        attempt.shown.append(token)
        if len(attempt.shown) == TOKENS:
            raise torch.OutOfMemoryError("no more")

    attempt.say = say
    recovering(stages, attempt, steps.append)
    assert len(steps) == 1
    assert attempt.shown == attempt.tokens == wanted[0]
    assert attempt.codes.tolist() == wanted[1].tolist()


def test_other_errors_are_not_recovered_from(arranged):
    stages, before = arranged(), None
    with pytest.raises(ZeroDivisionError):
        recovering(stages, lambda: 1 / 0, lambda step: pytest.fail("no step"))
    assert before is None


def test_at_the_ladders_end_it_says_so_and_the_next_question_is_answered(arranged, footprint):
    stages = arranged()
    steps = []

    def always() -> None:
        raise torch.OutOfMemoryError("no more")

    with pytest.raises(NothingLeft):
        recovering(stages, always, steps.append)
    assert len(steps) > 5
    assert len({step.code for step in steps}) == len(steps) or steps[-1].code == "shorter_context"
    assert next_live(stages.arrangement, on_cpu=False) is None
    attempt = Attempt(stages, footprint, "text")
    recovering(stages, attempt, steps.append)
    assert len(attempt.shown) == TOKENS


def live() -> int:
    gc.collect()
    return sim.memory_allocated()


@pytest.mark.parametrize("question", ["text", "mix"])
def test_a_cap_that_is_too_small_is_stayed_under(question, arranged, footprint):
    """Half of what the answer takes: it is finished all the same, with parts on the host."""
    stages = arranged()
    before = live()
    sim.reset_peak()
    wanted = answer(stages, footprint, question, TOKENS)[0]
    needed = sim.max_memory_allocated()
    attempt, steps = Attempt(stages, footprint, question), []
    with sim.cap(int(before * 0.97 + (needed - before) * 0.2)):
        recovering(stages, attempt, steps.append)
    assert steps
    assert attempt.shown == wanted
    assert {DEVICE, MOVED, HOST} >= set(stages.parts.places.values()) != {DEVICE}


@pytest.fixture(scope="module")
def runs() -> int:
    """How often memory is made to run out."""
    return 200


def test_memory_that_runs_out_anywhere_loses_nothing(runs, arranged, footprint):
    """Allocations refused at random points, one or several in an answer, in every stage in turn."""
    random = Random(8)
    stages = arranged()
    start = stages.arrangement
    wanted = {question: answer(stages, footprint, question, TOKENS)[:2] for question in ("text", "picture", "sound")}
    counts = {}
    for question in wanted:
        begin = sim.allocations()
        Attempt(stages, footprint, question, codes=6)()
        counts[question] = sim.allocations() - begin
    before = live()
    gc.freeze()  # what is collected after each refusal is then the run's own
    refused = 0
    for run in range(runs):
        question = random.choice(list(wanted))
        stages.arrange(start)
        attempt, steps = Attempt(stages, footprint, question, codes=6), []

        points = [random.randint(1, counts[question]) for _ in range(random.choice((1, 1, 1, 2, 3)))]

        def failing(attempt: Attempt = attempt, points: list[int] = points) -> None:
            if not points:
                return attempt()
            with sim.fail_at(points.pop()):
                return attempt()

        recovering(stages, failing, steps.append)
        refused += bool(steps)
        assert attempt.shown == wanted[question][0], run
        assert attempt.codes.tolist() == wanted[question][1].tolist(), run
    assert refused > runs * 0.9
    gc.unfreeze()
    stages.arrange(start)
    assert live() == pytest.approx(before, rel=0.02)
    assert set(stages.parts.places) == set(PARTS)
