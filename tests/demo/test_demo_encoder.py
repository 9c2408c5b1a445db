"""The demo encoder: what is true of a scene and how it is said, the loss it learns by, its training, and what the bundled one finds."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize
from transformers import AutoImageProcessor, AutoTokenizer, VisionTextDualEncoderModel

from multimodal.demo import encoder, recall, world
from multimodal.demo.captions import caption, draw_outside, is_held_out_text, say
from multimodal.demo.claims import SEVERAL, Claim, Part, altered, draw_part_claim, is_held_out, is_true, whole
from multimodal.demo.library import draw_library, make_library
from multimodal.retrieval.encoder import Encoder, load_encoder
from tests.conftest import ROOT

BUNDLED = ROOT / "assets" / "demo-encoder"
WHITE, NIGHT = (250, 250, 248), (44, 48, 58)


def scene(layout: str, *kinds: str, background: tuple[int, int, int] = WHITE) -> world.Scene:
    things = tuple(world.Thing(shape, colour, 0.3, 0.3, 0.1) for colour, shape in (kind.split() for kind in kinds))
    return world.Scene(layout, things, 1.0, background, background)


CIRCLES = scene("alike", *["red circle"] * 3)
PAIR = scene("beside", "blue star", "green square", background=NIGHT)
STAR, SQUARE, RED = Part(1, "blue", "star"), Part(1, "green", "square"), Part(None, "red", None)


@pytest.mark.parametrize(
    ("claim", "shown", "true"),
    [
        (Claim((Part(3, "red", "circle"),)), CIRCLES, True),
        (Claim((Part(2, "red", "circle"),)), CIRCLES, False),
        (Claim((Part(1, "red", "circle"),)), CIRCLES, None),
        (Claim((Part(SEVERAL, None, "circle"),)), CIRCLES, True),
        (Claim((RED,)), CIRCLES, True),
        (Claim((RED,)), PAIR, False),
        (Claim((RED,), "left"), CIRCLES, None),
        (Claim((Part(2, None, None),)), PAIR, True),
        (Claim((STAR, SQUARE), "left of"), PAIR, True),
        (Claim((SQUARE, STAR), "left of"), PAIR, False),
        (Claim((STAR, SQUARE), "above"), PAIR, False),
        (Claim((SQUARE, STAR), "beside"), PAIR, True),
        (Claim((SQUARE, STAR), "and"), replace(PAIR, layout="above"), True),
        (Claim((STAR,), "left"), PAIR, True),
        (Claim((STAR,), "right"), PAIR, False),
        (Claim((STAR,), None, "dark"), PAIR, True),
        (Claim((STAR,), None, "light"), PAIR, False),
    ],
)
def test_what_is_true_of_a_scene(claim, shown, true):
    assert is_true(claim, shown) is true


def test_what_is_drawn_of_a_scene_is_true_and_can_be_said():
    random = Random(0)
    for _ in range(300):
        shown = world.draw_scene(random)
        for claim in (whole(shown), draw_part_claim(random, shown)):
            assert is_true(claim, shown) is True
            assert altered(random, claim) != claim
            for language in ("en", "zh"):
                assert "{" not in say(random, claim, language)


def test_a_scene_in_one_plain_sentence():
    assert caption(PAIR, "en") == "A blue star to the left of a green square."
    assert caption(CIRCLES, "en") == "Three red circles."
    assert caption(CIRCLES, "zh") == "三个红色的圆形。"


def test_training_never_meets_what_is_held_out():
    scenes = encoder.Scenes(0, 300)
    for place in range(len(scenes)):
        example = scenes[place]
        assert example.scene is None or not is_held_out(whole(example.scene))
        said = [claim for claim in example.claims if claim and (claim.relation or claim.parts[0].number != 1)]
        assert not any(map(is_held_out, said))  # one thing by itself is also said of pictures with two
        assert not any(map(is_held_out_text, example.captions))


@torch.inference_mode()
def vectors(folder: Path, texts: list[str], images: list[Image.Image]) -> torch.Tensor:
    """Unit vectors of the texts, then of the images, as transformers itself loads and computes them."""
    model = VisionTextDualEncoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=True, truncation=True, return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(folder)(images=images, return_tensors="pt")
    found = (model.get_text_features(**tokens).pooler_output, model.get_image_features(**pixels).pooler_output)
    return normalize(torch.cat(found), dim=-1)


def test_an_interrupted_training_ends_at_the_same_weights_and_exports_them(tmp_path, monkeypatch):
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)

    def run(folder: Path, *stops: int) -> dict[str, torch.Tensor]:
        for stop in stops:

            class Ending(scenes):
                def __getitem__(self, place: int):
                    if place >= stop * 4:  # noqa: B023
                        raise IndexError
                    return super().__getitem__(place)

            monkeypatch.setattr(encoder, "Scenes", Ending)
            with nullcontext() if stop == 4 else pytest.raises(IndexError):
                encoder.train(folder, steps=4, batch=4)
        return VisionTextDualEncoderModel.from_pretrained(folder / "checkpoint-4").state_dict()

    scenes = encoder.Scenes
    monkeypatch.setattr(encoder, "SAVE_EVERY", 2)
    monkeypatch.setattr(encoder, "make_tokenizer", lambda: tokenizer)
    whole_run, halved = run(tmp_path / "whole", 4), run(tmp_path / "halved", 3, 4)
    assert all(torch.allclose(whole_run[name], halved[name], atol=1e-5) for name in whole_run)

    monkeypatch.setattr(recall, "COUNT", 4)
    encoder.export(tmp_path / "halved", tmp_path / "model")
    texts, image = ["two red circles", "一个蓝色的星形"], world.paint(CIRCLES)
    exported = load_encoder(tmp_path / "model")
    assert exported.languages == ("en", "zh")
    assert -1 <= exported.matches_from <= 1
    model = VisionTextDualEncoderModel.from_pretrained(tmp_path / "halved" / "checkpoint-4").eval()
    with torch.inference_mode():
        pixels = encoder.make_image_processor()(images=image, return_tensors="pt")
        trained = normalize(model.get_image_features(**pixels).pooler_output, dim=-1)
    found = vectors(tmp_path / "model", texts, [image])
    torch.testing.assert_close(found[2:], trained, atol=5e-3, rtol=0)  # exported in float16


def test_the_library_is_the_same_each_time_and_half_of_it_new_to_the_encoder(tmp_path):
    samples = make_library(tmp_path / "a", 8)
    assert make_library(tmp_path / "b", 8) == samples == draw_library(8)
    assert [is_held_out(whole(sample.scene)) for sample in samples] == [False, True] * 4
    for sample in samples:
        assert (tmp_path / "a" / sample.name).read_bytes() == (tmp_path / "b" / sample.name).read_bytes()


def bundled(*capabilities: str) -> Encoder:
    """As on a processor with `capabilities`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
        return load_encoder(BUNDLED)


def test_the_bundled_encoder_is_small_and_its_vectors_are_those_of_transformers():
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) <= 2_300_000
    texts, images = ["two red circles", "Ünïcödé 🙂 漢字", "左边是蓝色的星形" * 20], [world.paint(PAIR), world.paint(CIRCLES, 240)]
    loaded = bundled()
    own = torch.cat([torch.from_numpy(loaded.encode_texts(texts)), torch.from_numpy(loaded.encode_pictures(images))])
    torch.testing.assert_close(vectors(BUNDLED, texts, images), own, atol=1e-5, rtol=0)
    assert (loaded.languages, loaded.dimension) == (("en", "zh"), encoder.DIMENSION)
    assert 0 < loaded.matches_from < loaded.alike_from < 1


def test_on_a_processor_that_multiplies_bfloat16_the_vectors_of_pictures_are_nearly_the_same():
    images = [world.paint(sample.scene) for sample in draw_library(20)]
    exact, quick = bundled().encode_pictures(images), bundled("avx512_bf16").encode_pictures(images)
    assert not np.array_equal(quick, exact)
    np.testing.assert_array_less(0.9999, (quick * exact).sum(axis=1))


def test_the_bundled_encoder_finds_what_it_should():
    table = recall.evaluate(BUNDLED)
    for language in ("en", "zh"):
        assert table["words to pictures: these together"][language]["R@5"] >= 90
        assert table["picture to captions"][language]["R@5"] >= 90
        assert table["words from outside the world"][language]["something shown"] <= 5


def test_the_bundled_tokenizer_is_the_one_that_is_made():
    bundled = AutoTokenizer.from_pretrained(BUNDLED)
    assert encoder.make_tokenizer().get_vocab() == bundled.get_vocab()
    assert bundled.unk_token_id not in bundled("Ünïcödé 🙂 漢字 \x00 xyz").input_ids


def test_texts_from_outside_are_of_their_language():
    random = Random(0)
    for _ in range(50):
        assert draw_outside(random, "en").isascii()
        assert not draw_outside(random, "zh").isascii()
