"""Predictions, held against what a model with layers of the published size takes on the simulated card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5OmniConfig

import low_vram.verify
from low_vram import footprint, sim
from low_vram.__main__ import main
from low_vram.budget import Machine
from low_vram.cases import CASES
from low_vram.footprint import KNOWN, check_config, measure
from low_vram.plan import RESERVE, make_plan
from low_vram.verify import verify

KNOWN_FOLDER = Path(footprint.__file__).parent / "known"


def short_model() -> dict:
    """The 3B model's configuration with two layers a part, and few words."""
    content = json.loads((KNOWN_FOLDER / KNOWN["3b"]).read_text())
    thinker, talker, sound = content["thinker_config"], content["talker_config"], content["token2wav_config"]["dit_config"]
    ids = {key: 3000 + place for place, key in enumerate(sorted(key for key in thinker if key.endswith(("token_id", "token_index"))))}
    thinker |= ids
    talker |= {key: ids[key] for key in ids if key in talker}
    talker |= {"tts_text_start_token_id": 2001, "tts_text_end_token_id": 2002, "tts_text_pad_token_id": 2003, "num_hidden_layers": 2}
    thinker["text_config"] |= {"num_hidden_layers": 2, "vocab_size": 4096, "max_window_layers": 2}
    thinker["vision_config"] |= {"depth": 2, "fullatt_block_indexes": [1]}
    thinker["audio_config"] |= {"encoder_layers": 2, "num_hidden_layers": 2}
    sound |= {"depth": 2, "num_hidden_layers": 2, "look_ahead_layers": [1], "look_backward_layers": [0]}
    return content


@pytest.fixture(scope="module")
def config() -> Qwen2_5OmniConfig:
    return check_config(short_model(), "short")


@pytest.fixture(autouse=True)
def uncapped():
    yield
    sim.set_cap(None)


QUESTIONS = {
    "text": CASES["text"],
    "picture": CASES["picture"],
    "sound": replace(CASES["sound-600"], audio=60),
    "video": replace(CASES["video-15"], video=4),
}


@pytest.mark.parametrize(("name", "squeezed"), [("text", False), ("picture", False), ("picture", True), ("sound", True), ("video", True)])
def test_what_is_predicted_is_measured_within_a_tenth(name, squeezed, config, monkeypatch):
    monkeypatch.setattr(low_vram.verify, "SPOKEN", 0.3)  # the vocoder is of the published size, and slow
    budget = make_plan(measure(config), Machine(2**40, 2**40), QUESTIONS[name]).prediction.device
    machine = Machine(int(budget * (0.8 if squeezed else 1.05)) + RESERVE, 2**40)
    (result,) = verify(config, machine, sim.DEVICE, {name: QUESTIONS[name]}, torch.bfloat16, {})
    assert result.completed
    assert result.measured_bytes == pytest.approx(result.predicted_bytes, rel=0.1)


def test_the_command_prints_its_cases_as_json(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(short_model()))
    assert main(["verify", "--model", str(tmp_path), "--cap", "4GiB", "--case", "text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    (case,) = found["cases"]
    assert case["name"] == "text"
    assert case["completed"] is True
    assert case["measured_bytes"] == pytest.approx(case["predicted_bytes"], rel=0.1)
