"""However a model is arranged, its answers are the same; and what is moved in is given back."""

from __future__ import annotations

import gc
from dataclasses import asdict, replace

import pytest
import torch

from low_vram import sim
from low_vram.arrangement import AUDIO, DEVICE, EMBEDDINGS, HEAD, HOST, LAYERS, MOVED, PARTS, SOUND, TALKER, VISION, Arrangement
from low_vram.cases import ask
from low_vram.ladder import rungs
from low_vram.load import load_omni, plan_for
from low_vram.parts import Part
from low_vram.request import weigh
from low_vram.stages import Stages
from tests.low_vram.answers import QUESTIONS, answer
from tests.low_vram.conftest import LIMITS, PLENTY

TOWERS = (VISION, AUDIO)
ARRANGEMENTS = {
    "chunks": {"chunk": 5},
    "pieces": {"patches": 32, "windows": 1},
    "towers moved": {"places": dict.fromkeys(TOWERS, MOVED)},
    "towers on the host": {"places": dict.fromkeys(TOWERS, HOST)},
    "speech moved": {"places": {TALKER: MOVED, SOUND: MOVED}},
    "embeddings on the host": {"places": {EMBEDDINGS: HOST}},
    "thinker moved": {"places": {LAYERS: MOVED, HEAD: MOVED}},
    "cache on the host": {"cache": HOST},
    "everything": {
        "places": {**dict.fromkeys((*TOWERS, LAYERS, HEAD, TALKER, SOUND), MOVED), EMBEDDINGS: HOST},
        "cache": HOST,
        "chunk": 3,
        "patches": 16,
        "windows": 1,
    },
}


@pytest.fixture(scope="module")
def expected(tiny_checkpoint, footprint) -> dict[str, tuple]:
    """The answers of the model on the CPU, in one piece."""
    plan = plan_for(tiny_checkpoint, PLENTY, torch.float32, limits=asdict(LIMITS))
    plain = Arrangement(dict.fromkeys(plan.part_bytes, DEVICE), dict.fromkeys(plan.part_bytes, "stored"), LIMITS)
    loaded = load_omni(tiny_checkpoint, replace(plan, arrangement=plain), "cpu", torch.float32)
    stages = Stages(loaded.model, "cpu", plain)
    return {question: answer(stages, footprint, question, aloud=True) for question in QUESTIONS}


def assert_same(found: tuple, wanted: tuple) -> None:
    assert found[0] == wanted[0]
    assert found[1].tolist() == wanted[1].tolist()
    if found[2] is not None:
        torch.testing.assert_close(found[2], wanted[2], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_an_arrangement_changes_no_answer(name, question, arranged, footprint, expected):
    aloud = question == "mix" and name in ("speech moved", "everything")
    assert_same(answer(arranged(**ARRANGEMENTS[name]), footprint, question, aloud=aloud), expected[question])


@pytest.mark.parametrize("saving", [{"chunk": 5}, {"patches": 32, "windows": 1}])
def test_nor_does_it_on_the_cpu(saving, arranged, footprint, expected):
    assert_same(answer(arranged("cpu", **saving), footprint, "mix"), expected["mix"])


def test_each_step_of_the_ladder_keeps_the_answer_while_the_model_is_loaded(arranged, footprint, expected):
    stages = arranged()
    for step in rungs(on_cpu=False):
        if step.live:
            stages.arrange(step.change(stages.arrangement))
            if step.code not in ("fewer_pixels", "fewer_frames", "least_pixels", "shorter_sound", "shorter_context"):
                assert_same(answer(stages, footprint, "picture"), expected["picture"])
    assert set(stages.parts.places.values()) == {MOVED, HOST}


def test_a_part_can_come_back_to_the_device(arranged, footprint, expected):
    stages = arranged(**ARRANGEMENTS["everything"])
    whole = stages.arrangement.placed(DEVICE, *PARTS)
    stages.arrange(whole)
    assert {tensor.device.type for tensor in stages.model.parameters()} == {"sim"}
    assert_same(answer(stages, footprint, "mix"), expected["mix"])


def held() -> int:
    gc.collect()
    return sim.memory_allocated()


def test_what_is_moved_in_is_given_back_to_the_byte(arranged, footprint):
    stages = arranged(**ARRANGEMENTS["everything"])
    before = held()
    answer(stages, footprint, "mix", aloud=True)
    first = held()
    answer(stages, footprint, "mix", aloud=True)
    assert held() == first  # a leak would grow with each answer
    assert first - before < 4096  # what modules make once for themselves


def test_a_part_is_given_back_when_its_stage_fails(arranged):
    stages = arranged(places={VISION: MOVED})
    before = held()
    with pytest.raises(RuntimeError), torch.inference_mode():
        stages.look(torch.zeros(16, 3), torch.tensor([[1, 4, 4]]))
    assert held() == before
    assert {tensor.device.type for tensor in stages.model.thinker.model.visual.parameters()} == {"cpu"}


def test_only_the_part_at_work_is_on_the_device(arranged, footprint):
    stages = arranged(**ARRANGEMENTS["everything"])
    seen: dict[str, set[str]] = {}

    def note(part: str):
        def hook(*_):
            seen[part] = {p for p in PARTS if next(stages.model.get_submodule(p).parameters()).device.type == "sim"}

        return hook

    for part in PARTS:
        if part != SOUND:
            stages.model.get_submodule(part).register_forward_pre_hook(note(part))
    stages.model.token2wav.code2wav_dit_model.register_forward_pre_hook(note(SOUND))
    answer(stages, footprint, "mix", aloud=True)
    assert seen[VISION] == {VISION}
    assert seen[AUDIO] == {AUDIO}
    assert seen[TALKER] == {TALKER}
    assert seen[SOUND] == {SOUND}
    assert seen[HEAD] == {LAYERS, HEAD} or seen[HEAD] == {HEAD}  # the layers' first parameter may be the embeddings'


def test_moves_happen_at_the_borders_of_stages_only(arranged, footprint, monkeypatch):
    stages = arranged(places=dict.fromkeys((LAYERS, HEAD), MOVED))
    moves = []
    copy_in = Part._copy_in
    monkeypatch.setattr(Part, "_copy_in", lambda self, owners: (moves.append(self), copy_in(self, owners)))
    with torch.inference_mode():
        prompt = ask(stages, footprint, weigh(QUESTIONS["text"], LIMITS))
        stages.think(prompt, [], lambda token: None, 10, do_sample=False)
    assert len(moves) == 2  # the layers and the head, once for ten tokens


def test_the_cache_on_the_host_takes_nothing_on_the_device(arranged, footprint):
    peaks = {}
    for cache in (DEVICE, HOST):
        stages = arranged(cache=cache, chunk=16)
        with torch.inference_mode():
            prompt = ask(stages, footprint, weigh(QUESTIONS["sound"], LIMITS))
            before = held()
            sim.reset_peak()
            stages.think(prompt, [], lambda token: None, 200, do_sample=False)
        peaks[cache] = sim.max_memory_allocated() - before
    whole = (prompt.tokens + 200) * footprint.thinker.cache_elements * 4
    assert peaks[DEVICE] - peaks[HOST] > whole * 0.3  # one layer of three is there while it computes


def test_a_tensor_on_the_wrong_side_is_an_error_here_as_on_a_card(arranged, footprint):
    stages = arranged()
    stages.model.thinker.lm_head.to("cpu")
    with pytest.raises(RuntimeError, match="same device"):
        answer(stages, footprint, "text")
