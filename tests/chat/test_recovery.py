"""A conversation on a card whose memory runs out: answered all the same, or refused in one sentence, and nothing is lost."""

from __future__ import annotations

import gc
import threading
from dataclasses import asdict
from random import Random

import numpy as np
import pytest
import torch
from transformers import Qwen2_5OmniProcessor

from low_vram import sim
from low_vram.arrangement import DEVICE
from low_vram.budget import Machine
from low_vram.load import load_omni, open_checkpoint, plan_for
from low_vram.plan import RESERVE
from low_vram.request import Limits
from multimodal.chat import load as load_module
from multimodal.chat import omni
from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice, Text
from multimodal.chat.load import Wishes
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.errors import UserError
from tests.chat.conftest import clip, picture, sound

LIMITS = Limits(pixels=40_000, side=300, frame_pixels=20_000, frames=6, seconds=20, context=1500, speech=1)
QUESTION = Turn("What is this?", (picture(), sound()))
OPTIONS = Options(max_new_tokens=10)


@pytest.fixture
def on_card(tiny_folder, monkeypatch) -> Omni:
    """A model that can speak, as a whole on the simulated card."""
    sim.install()
    monkeypatch.setattr(omni, "MOST_CODES", 6)
    checkpoint = open_checkpoint(str(tiny_folder))
    plan = plan_for(checkpoint, Machine(2**40, 2**40), torch.float32, limits=asdict(LIMITS))
    return Omni(load_omni(checkpoint, plan, sim.DEVICE, torch.float32), Qwen2_5OmniProcessor.from_pretrained(tiny_folder))


def ask(model: Omni, options: Options = OPTIONS, turn: Turn = QUESTION) -> list:
    return list(model.answer(Conversation((turn,)), options, threading.Event()))


def text_of(events: list) -> str:
    assert isinstance(events[-1], Done)
    shown = "".join(event.piece for event in events if isinstance(event, Text))
    assert shown == events[-1].text
    return shown


def test_the_person_is_told_once_that_there_was_less_memory(on_card):
    wanted = text_of(ask(on_card))
    on_card.encoder._kept.clear()
    with sim.fail_at(30):
        events = ask(on_card)
    assert text_of(events) == wanted
    assert [(event.code, event.facts) for event in events if isinstance(event, Notice)] == [("less_memory", {"step": "towers_moved"})]


def test_a_spoken_answer_survives_too(on_card):
    options = Options(max_new_tokens=6, voice="Ethan")
    torch.manual_seed(1)
    begin = sim.allocations()
    wanted = [event.samples for event in ask(on_card, options) if isinstance(event, Speech)]
    count = sim.allocations() - begin
    for part in (0.3, 0.6, 0.9):  # in the talker, in the transformer of token2wav, in its vocoder
        torch.manual_seed(1)
        with sim.fail_at(int(count * part)):
            events = ask(on_card, options)
        (speech,) = [event for event in events if isinstance(event, Speech)]
        assert speech.samples.shape == wanted[0].shape
        assert np.isfinite(speech.samples).all()
        assert [event.code for event in events if isinstance(event, Notice)].count("speaking") == 1


def test_smaller_pictures_are_said_with_their_sizes(on_card):
    on_card.stages.arrange(on_card.stages.arrangement)
    events = ask(on_card, Options(max_new_tokens=3, detail="fast"))
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.code == "shrunk"
    before, after = notice.facts["before"], notice.facts["after"]
    assert before == "{} × {}".format(*picture().original)
    assert before != after
    assert not [event for event in ask(on_card, Options(max_new_tokens=3, detail="fine")) if isinstance(event, Notice)]


def test_a_clip_is_thinned_evenly(on_card):
    events = ask(on_card, turn=Turn("?", (clip(seconds=9.0),)))
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.facts["before"].startswith("18 × ")
    assert notice.facts["after"].startswith("6 × ")


def test_what_can_never_fit_is_refused_and_the_next_question_is_answered(on_card):
    wanted = text_of(ask(on_card))
    on_card.encoder._kept.clear()
    with sim.cap(1000), pytest.raises(UserError) as refused:
        ask(on_card)
    assert refused.value.code == "out_of_memory"
    assert "\n" not in refused.value.say("zh")
    assert text_of(ask(on_card)) == wanted


def test_memory_that_runs_out_anywhere_loses_no_answer(on_card):
    random = Random(3)
    wanted = text_of(ask(on_card))
    start = on_card.stages.arrangement
    begin = sim.allocations()
    on_card.encoder._kept.clear()
    ask(on_card)
    count = sim.allocations() - begin
    gc.collect()
    before, hit = sim.memory_allocated(), 0
    for run in range(30):
        on_card.stages.arrange(start)
        on_card.encoder._kept.clear()
        with sim.fail_at(random.randint(1, count)):
            events = ask(on_card)
        assert text_of(events) == wanted, run
        hit += any(isinstance(event, Notice) for event in events)
    assert hit > 25
    on_card.stages.arrange(start)
    gc.collect()
    assert sim.memory_allocated() == pytest.approx(before, rel=0.02)


@pytest.fixture
def card(tiny_folder, monkeypatch):
    """card(part): the machine has a card of which that part of what the model takes is there, and says that there is plenty."""
    sim.install()
    gc.collect()
    plan = plan_for(open_checkpoint(str(tiny_folder)), Machine(2**40, 2**40), torch.float32, limits=asdict(LIMITS))
    needed = sum(plan.part_bytes.values())

    def make(part: float) -> None:
        claimed = Machine(int(plan.prediction.device * 1.1) + RESERVE, 2**40)
        monkeypatch.setattr(load_module, "choose_machine", lambda device, budget: (sim.DEVICE, claimed))
        sim.set_cap(sim.memory_allocated() + int(needed * part))

    yield make
    sim.set_cap(None)


def test_loading_that_runs_out_of_memory_is_planned_anew(tiny_folder, card):
    card(0.9)
    model = load_module.load(str(tiny_folder), "auto", Wishes(limits=asdict(LIMITS)))
    assert set(model.stages.parts.places.values()) != {DEVICE}
    assert text_of(ask(model, turn=Turn("Hello!")))


def test_on_a_card_that_is_full_a_question_ends_in_a_sentence(tiny_folder, card):
    card(0)
    with pytest.raises(UserError) as refused:
        ask(load_module.load(str(tiny_folder), "auto", Wishes(limits=asdict(LIMITS))))
    assert refused.value.code in ("out_of_memory", "does_not_fit")
    gc.collect()
    card(2)
    model = load_module.load(str(tiny_folder), "auto", Wishes(limits=asdict(LIMITS)))
    assert text_of(ask(model, turn=Turn("Hello!")))


def test_what_will_not_fit_is_not_tried_unless_asked_for(tiny_folder, monkeypatch):
    monkeypatch.setattr(load_module, "choose_machine", lambda device, budget: ("cpu", Machine(None, 10**6)))
    with pytest.raises(UserError) as refused:
        load_module.load(str(tiny_folder), "auto")
    assert refused.value.code == "does_not_fit"
    assert refused.value.say("en").count(".") <= 8
    assert text_of(ask(load_module.load(str(tiny_folder), "auto", Wishes(anyway=True)), turn=Turn("Hello!")))
