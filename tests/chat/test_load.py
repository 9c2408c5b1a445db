"""Every checkpoint loads or fails in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from multimodal.chat.load import load
from multimodal.errors import UserError
from tests.tiny import write_tiny_omni


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def refused(path: Path | str) -> UserError:
    with pytest.raises(UserError) as error:
        load(str(path), "cpu")
    return error.value


def test_a_speaking_checkpoint_has_its_voices(folder):
    model = load(str(folder), "cpu")
    assert model.voices == ("Chelsie", "Ethan")
    assert model.no_speech is None


def test_without_its_voices_file_it_loads_without_speech(folder):
    (folder / "spk_dict.pt").unlink()
    model = load(str(folder), "cpu")
    assert model.voices == ()
    assert model.no_speech == "voices missing"
    assert not hasattr(model.model, "talker")


@pytest.mark.parametrize("content", [b"", b"not a file of torch", b"PK\x03\x04 cut short"])
def test_with_a_damaged_voices_file_it_loads_without_speech(folder, content):
    (folder / "spk_dict.pt").write_bytes(content)
    assert load(str(folder), "cpu").no_speech == "voices damaged"


@pytest.mark.parametrize("voice", [{"cond": torch.zeros(1)}, torch.zeros(1), "Chelsie"])
def test_with_a_voices_file_of_another_kind_it_loads_without_speech(folder, voice):
    torch.save({"Chelsie": voice}, folder / "spk_dict.pt")
    assert load(str(folder), "cpu").no_speech == "voices damaged"


def test_a_voices_file_that_would_run_code_is_not_run(folder, tmp_path):
    witness = tmp_path / "witness"

    class Attack:
        def __reduce__(self):
            return (Path.touch, (witness,))

    torch.save(Attack(), folder / "spk_dict.pt")
    assert load(str(folder), "cpu").no_speech == "voices damaged"
    assert not witness.exists()


def test_a_checkpoint_without_a_talker_says_so(tmp_path):
    assert load(str(write_tiny_omni(tmp_path / "mute", speaks=False)), "cpu").no_speech == "no talker"


def test_an_empty_folder_is_not_a_model(tmp_path):
    assert refused(tmp_path).code == "model_not_found"


def test_a_hub_name_that_cannot_be_reached_says_why():
    error = refused("nobody/no-such-model")
    assert error.code == "model_not_fetched"
    assert "nobody/no-such-model" in str(error)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a card")
def test_a_card_that_is_not_there_is_a_sentence(folder):
    with pytest.raises(UserError) as error:
        load(str(folder), "cuda:3")
    assert error.value.code == "no_device"
    assert "cuda:3" in str(error.value)


@pytest.mark.parametrize(
    "text", ["[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."]
)
def test_a_model_too_large_for_the_host_is_a_sentence(folder, text, monkeypatch):
    def run_out(*_, **__):
        raise RuntimeError(text)

    monkeypatch.setattr(torch.nn.Module, "__init__", run_out)
    assert refused(folder).code == "model_too_large"


def test_a_model_of_another_kind_is_named(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "qwen2"}))
    error = refused(folder)
    assert error.code == "model_not_omni"
    assert "qwen2" in str(error)


@pytest.mark.parametrize("damage", ["cut", "missing", "garbage", "config", "tokenizer"])
def test_a_damaged_checkpoint_is_a_sentence(folder, damage):
    weights = folder / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:100_000])
    elif damage == "missing":
        weights.unlink()
    elif damage == "garbage":
        weights.write_bytes(b"\xff" * 1000)
    elif damage == "config":
        (folder / "config.json").write_text("{")
    else:
        (folder / "tokenizer.json").write_text("{")
    error = refused(folder)
    assert error.code in ("model_broken", "model_not_found")
    assert "\n" not in error.say("en")
    assert error.say("zh")
