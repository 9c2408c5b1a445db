"""What a training is made of: towers, groups of parameters, looks of a picture, examples of an epoch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from PIL import Image
from transformers import BertConfig, ConvNextConfig, ViTConfig

from multimodal.training.augmentation import Augmentation
from multimodal.training.captioned import Captioned
from multimodal.training.dual_encoder import make_dual_encoder
from multimodal.training.epochs import Epochs
from multimodal.training.layers import parameter_groups
from multimodal.training.tokenizer import make_tokenizer
from multimodal.training.towers import make_towers
from tests.conftest import ROOT

CAPTIONS = ["a red circle", "two dogs in the snow", "红色的圆形", "一只狗"]


def half_and_half() -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30, 0], pixels[:, 30:, 2] = 250, 250
    return Image.fromarray(pixels)


def red_is_left(picture: Image.Image) -> bool:
    pixels = np.asarray(picture.convert("RGB"), np.int64)
    return bool(pixels[:, 0, 0].mean() > pixels[:, -1, 0].mean())


@pytest.mark.parametrize(
    ("captions", "sides"),
    [
        (["a dog"], {True, False}),
        (["a dog", "the dog on the left"], {True}),
        (["RIGHT of it"], {True}),
        (["右边有一只狗"], {True}),
        (["a bright copyright sign"], {True, False}),
    ],
)
def test_a_picture_is_mirrored_only_where_no_caption_speaks_of_its_sides(captions: list[str], sides: set[bool]):
    augmentation = Augmentation()
    assert {red_is_left(augmentation(half_and_half(), captions, seed)) for seed in range(30)} == sides


def test_a_look_is_that_of_its_seed_and_leaves_chance_alone():
    augmentation, picture = Augmentation(), half_and_half()
    state = torch.get_rng_state()
    one, same, other = (augmentation(picture, CAPTIONS, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes() or one.size != other.size
    assert 0.6 < one.width * one.height / (60 * 40) <= 1.05
    assert Augmentation()(Image.new("RGB", (1, 1)), [], 0).size == (1, 1)


def test_an_epoch_is_the_same_wherever_it_is_read_and_no_two_are_alike(tmp_path: Path):
    half_and_half().save(tmp_path / "a.png")
    pictures = [Captioned(tmp_path / "a.png", tuple(f"caption {number}" for number in range(9)), "train")] * 20
    epochs, again = Epochs(pictures, 16, seed=5), Epochs(pictures, 16, seed=5)

    def said(of: Epochs) -> list[tuple[str, ...]]:
        return [of[place].captions for place in range(20)]

    first = said(epochs)
    assert first == said(again)
    assert len(set(first)) > 4
    epochs.set_epoch(1)
    assert said(epochs) != first
    assert said(Epochs(pictures, 16, seed=6)) != first


def test_deeper_layers_change_less_and_norms_do_not_decay():
    text = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16)
    for vision in (
        ViTConfig(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8),
        ConvNextConfig(hidden_sizes=[8, 16, 16], depths=[1, 1, 1], num_stages=3, hidden_size=16),
    ):
        model = make_dual_encoder(vision, text, 8)
        groups = parameter_groups(model, 1.0, 0.5, 0.1)
        rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
        decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
        named = dict(model.named_parameters())
        assert len(rate) == len(named) == sum(len(group["params"]) for group in groups)
        assert rate[id(named["logit_scale"])] == rate[id(named["visual_projection.weight"])] == 1
        layers = [next(rate[id(named[name])] for name in named if f"text_model.encoder.layer.{number}." in name) for number in range(3)]
        assert layers == [0.25, 0.5, 1]
        assert rate[id(named["text_model.embeddings.word_embeddings.weight"])] == 0.125
        assert min(rate[id(named[name])] for name in named if name.startswith("vision_model.")) == 0.125
        assert all(decay[id(parameter)] == (0.1 if parameter.ndim > 1 else 0) for parameter in named.values())


def test_towers_begin_from_nothing_with_a_tokenizer_of_the_captions():
    towers = make_towers(None, None, CAPTIONS, 24, seed=1, languages=["en", "zh"])
    assert towers.model.config.projection_dim == 24
    assert towers.model.config.languages == ["en", "zh"]
    assert towers.side == 128
    tokens = towers.tokenizer(["A RED circle", "红色"], padding=True)["input_ids"]
    assert towers.tokenizer.decode(tokens[0], skip_special_tokens=True).replace(" ", "") == "aredcircle"
    assert towers.longest == 64
    same = make_towers(None, None, CAPTIONS, 24, seed=1)
    assert all(map(torch.equal, towers.model.parameters(), same.model.parameters()))


def test_any_text_can_be_written_with_a_tokenizer_of_a_few_captions():
    tokenizer = make_tokenizer(CAPTIONS, 400, 16)
    for text in ("a red circle", "Ünïcödé 🙂", "從來沒有見過"):
        assert tokenizer.unk_token_id not in tokenizer(text)["input_ids"]
    assert len(tokenizer("word " * 99, truncation=True)["input_ids"]) == 16


def test_the_deepspeed_configuration_is_one_and_leaves_to_the_command_what_is_the_commands():
    path = ROOT / "assets" / "deepspeed-zero2.json"
    config = HfDeepSpeedConfig(json.loads(path.read_text(encoding="utf-8")))
    assert config.is_zero2()
    assert not config.is_offload()
    assert {config.get_value(name) for name in ("train_batch_size", "gradient_accumulation_steps", "gradient_clipping")} == {"auto"}
