"""The loader: what stands in the checkpoint is in the model, where the plan says, and in no second copy."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5OmniForConditionalGeneration

from low_vram import sim
from low_vram.arrangement import AUDIO, DEVICE, HEAD, LAYERS, MOVED, TALKER, VISION, Arrangement
from low_vram.budget import Machine
from low_vram.footprint import UnknownModel
from low_vram.load import Cancelled, Loaded, load_omni, new_name, open_checkpoint, plan_for
from low_vram.quantize import Int8Linear, NF4Linear
from tests.low_vram.answers import answer
from tests.low_vram.conftest import LIMITS, PLENTY
from tests.tiny import write_tiny_omni


@pytest.fixture
def copy(tmp_path):
    """A checkpoint of its own, to be changed."""
    return write_tiny_omni(tmp_path / "copy")


def load(path, device: str = "cpu", precisions=None, places=None, dtype=torch.float32, **how) -> Loaded:
    checkpoint = open_checkpoint(str(path))
    plan = plan_for(checkpoint, PLENTY, dtype, limits=asdict(LIMITS))
    arrangement = Arrangement(
        dict.fromkeys(plan.part_bytes, DEVICE) | (places or {}), dict.fromkeys(plan.part_bytes, "stored") | (precisions or {}), LIMITS
    )
    return load_omni(checkpoint, replace(plan, arrangement=arrangement), device, dtype, **how)


def test_it_is_the_model_that_transformers_loads(folder):
    stock = Qwen2_5OmniForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    ours = load(folder).model
    for kind in ("named_parameters", "named_buffers"):
        wanted, found = dict(getattr(stock, kind)()), dict(getattr(ours, kind)())
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert ours.speaker_map.keys() == stock.speaker_map.keys()
    assert ours.thinker.generation_config.to_dict() == stock.thinker.generation_config.to_dict()
    assert not ours.training


def test_the_names_of_older_checkpoints_are_understood(copy):
    weights = load_file(copy / "model.safetensors")
    old = {}
    for name, tensor in weights.items():
        name = new_name(name).replace("thinker.model.language_model.", "thinker.model.")
        old[name.replace("thinker.model.visual.", "thinker.visual.").replace("thinker.model.audio_tower.", "thinker.audio_tower.")] = tensor
    assert any(name.startswith("thinker.visual.") for name in old)
    save_file(old, copy / "model.safetensors", {"format": "pt"})
    found = load(copy).model
    assert torch.equal(found.thinker.model.visual.blocks[0].attn.q.weight, old["thinker.visual.blocks.0.attn.q.weight"])
    assert torch.equal(found.thinker.model.language_model.layers[0].mlp.up_proj.weight, old["thinker.model.layers.0.mlp.up_proj.weight"])


def test_a_checkpoint_in_several_files_is_read(copy):
    weights = load_file(copy / "model.safetensors")
    bias = next(name for name in weights if "thinker" in name and name.endswith("layers.0.self_attn.q_proj.bias") and "audio" not in name)
    weights[bias] = torch.randn_like(weights[bias])
    (copy / "model.safetensors").unlink()
    names = sorted(weights)
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}  # a layer's weight and its bias in different ones
    for file, part in files.items():
        save_file({name: weights[name] for name in part}, copy / file, {"format": "pt"})
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    found = load(copy, precisions={LAYERS: "int8"}).model
    attention = found.thinker.model.language_model.layers[0].self_attn.q_proj
    assert torch.equal(attention.bias, weights[bias])


@pytest.mark.parametrize("name", ["../a.safetensors", "/etc/a.safetensors", "b\\a.safetensors"])
def test_an_index_that_points_elsewhere_is_refused(copy, name):
    (copy / "model.safetensors").rename(copy / "a.safetensors")
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(UnknownModel):
        load(copy)


def test_progress_is_told_and_loading_can_be_cancelled(folder):
    told = []
    load(folder, progress=lambda done, total: told.append((done, total)) or True)
    assert len(told) > 100
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == pytest.approx(told[-1][1], rel=0.02)
    with pytest.raises(Cancelled):
        load(folder, progress=lambda done, total: done < total / 2)


def test_a_cancelled_load_leaves_nothing_on_the_card(folder):
    sim.install()
    gc.collect()
    before = sim.memory_allocated()
    with pytest.raises(Cancelled):
        load(folder, sim.DEVICE, progress=lambda done, total: done < total / 2)
    gc.collect()
    assert sim.memory_allocated() == before


def test_loading_never_has_a_second_copy_on_the_card(folder):
    sim.install()
    gc.collect()
    before = sim.memory_allocated()
    sim.reset_peak()
    loaded = load(folder, sim.DEVICE, places={VISION: MOVED, AUDIO: MOVED})
    gc.collect()
    live = sim.memory_allocated() - before
    predicted = sum(size for part, size in loaded.plan.part_bytes.items() if part not in (VISION, AUDIO))
    assert live == pytest.approx(predicted, rel=0.01)
    assert sim.max_memory_allocated() - before <= live * 1.01


def test_a_tensor_that_is_missing_is_named(copy):
    weights = load_file(copy / "model.safetensors")
    gone = next(name for name in weights if "mlp" in name)
    del weights[gone]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(KeyError, match="lacks 1 tensors"):
        load(copy)


def test_a_tensor_of_another_shape_is_named(copy):
    weights = load_file(copy / "model.safetensors")
    name = next(name for name in weights if name.endswith("lm_head.weight"))
    weights[name] = weights[name][:-1].clone()
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(KeyError, match="shape"):
        load(copy)


def test_a_checkpoint_that_is_quantized_already_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(UnknownModel, match="gptq"):
        open_checkpoint(str(copy))


@pytest.mark.parametrize("device", ["cpu", "sim:0"])
@pytest.mark.parametrize(("precision", "kind"), [("nf4", NF4Linear), ("int8", Int8Linear)])
def test_parts_are_kept_in_the_precision_of_the_plan(precision, kind, device, folder, footprint):
    sim.install()
    loaded = load(folder, device, precisions=dict.fromkeys((LAYERS, HEAD, TALKER, VISION), precision))
    model = loaded.model
    assert type(model.thinker.lm_head) is kind
    assert type(model.thinker.model.language_model.layers[0].mlp.up_proj) is kind
    assert type(model.talker.model.layers[0].mlp.up_proj) is kind
    assert type(model.thinker.model.visual.blocks[0].mlp.up_proj) is kind
    assert type(model.thinker.model.audio_tower.layers[0].fc1) is torch.nn.Linear
    from low_vram.stages import Stages

    text, codes, _ = answer(Stages(model, device, loaded.arrangement), footprint, "mix")
    assert len(text) == 8
    assert codes.shape[1] > 0


def test_the_plan_for_a_checkpoint_fits_the_machine(folder):
    checkpoint = open_checkpoint(str(folder))
    plan = plan_for(checkpoint, Machine(2**31, 2**33), torch.float32)
    assert plan.fits
    assert plan.taken == ()
