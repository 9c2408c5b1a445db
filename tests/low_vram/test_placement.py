"""Where the parts of a model go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5OmniConfig

from low_vram.footprint import PARTS, part_bytes
from low_vram.memory import free_on, read_memory
from low_vram.placement import choose_device, choose_dtype, fit, make_device_map

SIZES = {
    "thinker.model.language_model": 60,
    "thinker.lm_head": 6,
    "thinker.model.visual": 13,
    "thinker.model.audio_tower": 12,
    "talker": 8,
    "token2wav": 18,
}
CONFIGS = Path(__file__).parents[3] / "shared" / "configs"


def on_card(room: int) -> set[str]:
    return {part for part, place in fit(SIZES, room, "cuda:0").items() if place == "cuda:0"}


def test_with_room_for_all_everything_is_on_the_card():
    assert on_card(117) == set(SIZES)


def test_the_towers_leave_the_card_first():
    assert on_card(116) == {"thinker.model.language_model", "thinker.lm_head", "talker", "token2wav"}


def test_then_the_parts_that_speak():
    assert on_card(91) == {"thinker.model.language_model", "thinker.lm_head"}
    assert on_card(0) == {"thinker.model.language_model", "thinker.lm_head"}


def test_a_machine_without_a_card_needs_no_map():
    assert make_device_map(Qwen2_5OmniConfig(), torch.bfloat16, "cpu") is None
    assert choose_device("cpu") == "cpu"


def test_half_precision_is_widened_where_a_processor_is_slow_in_it():
    assert choose_dtype(torch.float16, "cpu") == torch.float32
    assert choose_dtype(torch.bfloat16, "cpu") == torch.bfloat16


def test_the_parts_cover_every_parameter():
    from transformers import Qwen2_5OmniForConditionalGeneration

    from multimodal.demo import blank  # the small configuration of the demo model

    config = blank.make_config(blank.make_tokenizer())
    model = Qwen2_5OmniForConditionalGeneration(config)
    assert sum(part_bytes(config, torch.float32).values()) == sum(p.numel() for p in model.parameters()) * 4
    assert all(name.startswith(PARTS) for name, _ in model.named_parameters())


@pytest.mark.parametrize(("size", "gigabytes"), [("3b", 11.97), ("7b", 22.36)])
def test_the_published_models_have_the_bytes_of_their_files(size, gigabytes):
    file = CONFIGS / f"qwen2.5-omni-{size}.json"
    if not file.exists():
        pytest.skip("the published configurations are not here")
    sizes = part_bytes(Qwen2_5OmniConfig.from_dict(json.loads(file.read_text())), torch.bfloat16)
    assert set(sizes) == set(PARTS)
    assert sum(sizes.values()) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_memory_is_read():
    memory = read_memory("cpu")
    assert 0 < memory.host_used < memory.host_total
    assert 0 < free_on("cpu") <= memory.host_total
    assert memory.device_total is None
