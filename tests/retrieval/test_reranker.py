"""A cross-attention model says of every pair what transformers says, and what is wrong with its checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import init_empty_weights
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

from low_vram.building import BUILDING
from multimodal.errors import UserError
from multimodal.retrieval.reranker import BATCH, Reranker, load_reranker
from tests.retrieval.tiny_blip import LENGTH, write_tiny_blip
from tests.retrieval.tiny_encoders import SIDE, write_tiny_encoder

SIZES = ((47, 31), (31, 90), (9, 9), (300, 41), (33, 32))  # width, height
TEXTS = ["a red car", "two Dogs on the hill!", "一只猫"]
TOLERANCE = 1e-5


def pictures() -> list[Image.Image]:
    """Noise in large blotches: no two alike."""
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (5, 7, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC) for size in SIZES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return write_tiny_blip(tmp_path_factory.mktemp("blip") / "blip")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """One to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def loaded(folder: Path, *capabilities: str) -> Reranker:
    """The model in `folder`, as on a processor with `capabilities`: without any, all is computed in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
        return load_reranker(folder)


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Reranker:
    return loaded(folder)


def own_scores(folder: Path, texts: list[str]) -> np.ndarray:
    """Each pair by itself through the model's own forward, as its model card says: float32 [texts, pictures]."""
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    likely = np.empty((len(texts), len(SIZES)), np.float32)
    for row, text in enumerate(texts):
        tokens = tokenizer(text, truncation=True, max_length=LENGTH, return_tensors="pt")
        for column, picture in enumerate(pictures()):
            pixels = processor(images=picture, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                said = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels)
            likely[row, column] = said.itm_score.softmax(dim=1)[0, 1]
    return likely


def scored(reranker: Reranker, texts: list[str]) -> np.ndarray:
    return reranker.scores(texts, [reranker.prepare(picture) for picture in pictures()])


def say(folder: Path, name: str = "config.json", **changes: object) -> None:
    said = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps(said | changes), encoding="utf-8")


def test_every_pair_is_judged_as_by_the_models_own_forward(folder: Path, reranker: Reranker):
    wanted, likely = own_scores(folder, TEXTS), scored(reranker, TEXTS)
    np.testing.assert_allclose(likely, wanted, atol=TOLERANCE)
    assert likely.dtype == np.float32
    assert wanted.std(axis=0).min() > 1e-3 < wanted.std(axis=1).min()  # or the pairs would prove nothing


def test_pictures_may_be_looked_at_in_bfloat16(folder: Path, reranker: Reranker):
    exact, quick = scored(reranker, TEXTS), scored(loaded(folder, "avx512_bf16"), TEXTS)
    assert not np.array_equal(exact, quick)
    assert quick.dtype == np.float32
    np.testing.assert_allclose(quick, exact, atol=0.1)  # random weights blow differences up


def test_a_picture_is_prepared_as_by_the_checkpoints_own_processor(folder: Path, reranker: Reranker):
    processor = AutoImageProcessor.from_pretrained(folder)
    for picture in pictures():
        assert torch.equal(reranker.prepare(picture), processor(images=picture, return_tensors="pt")["pixel_values"][0])
    assert (reranker.name, reranker.side) == ("blip", SIDE)


def test_languages_are_the_configs_or_go_by_the_vocabulary(reranker: Reranker, tmp_path: Path):
    assert reranker.languages == ("en",)
    assert load_reranker(write_tiny_blip(tmp_path, languages=["en", "zh"])).languages == ("en", "zh")


def test_a_picture_is_looked_at_once_however_many_texts_there_are(reranker: Reranker, monkeypatch: pytest.MonkeyPatch):
    looks, forward = [], type(reranker._model.vision_model).forward

    def counted(self: object, pixel_values: torch.Tensor, **more: object) -> object:
        looks.append(len(pixel_values))
        return forward(self, pixel_values=pixel_values, **more)

    prepared = [reranker.prepare(picture) for picture in pictures()] * 3
    one_by_one = np.concatenate([reranker.scores(TEXTS, [one]) for one in prepared], axis=1)
    monkeypatch.setattr(type(reranker._model.vision_model), "forward", counted)
    np.testing.assert_allclose(reranker.scores(TEXTS, prepared), one_by_one, atol=TOLERANCE)
    assert looks == [BATCH, len(prepared) - BATCH]


def test_there_may_be_nothing_to_score(reranker: Reranker):
    assert reranker.scores(TEXTS, []).shape == (3, 0)
    assert reranker.scores([], [reranker.prepare(pictures()[0])]).shape == (0, 1)


def test_a_text_that_is_too_long_is_cut_at_the_models_length(folder: Path, reranker: Reranker):
    long = ["a red car " * 40, "一只猫" * 40]
    np.testing.assert_allclose(scored(reranker, long), own_scores(folder, long), atol=TOLERANCE)


def test_threads_do_not_disturb_each_other(reranker: Reranker):
    wanted = scored(reranker, TEXTS)
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(scored, reranker, [text]) for text in TEXTS * 3]
        np.testing.assert_allclose(np.concatenate([each.result() for each in done]), np.tile(wanted, (3, 1)), atol=TOLERANCE)


def test_weights_of_the_older_form_say_the_same(copy: Path, reranker: Reranker):
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    np.testing.assert_array_equal(scored(loaded(copy), TEXTS), scored(reranker, TEXTS))


def test_no_code_of_a_checkpoint_is_run(copy: Path, tmp_path: Path):
    trace = tmp_path / "trace"
    (copy / "modeling.py").write_text(f"open({str(trace)!r}, 'w')\nclass Any: pass\n")
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        say(copy, name, auto_map={f"Auto{kind}": "modeling.Any" for kind in ("Config", "Model", "ImageProcessor", "Processor")})
    load_reranker(copy)
    assert not trace.exists()


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def other_kind(folder: Path) -> None:
    shutil.rmtree(folder)
    write_tiny_encoder(folder)


def other_head(folder: Path) -> None:
    say(folder, architectures=["BlipForConditionalGeneration"])


def no_kind(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def no_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "itm_head" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def no_preprocessing(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


@pytest.mark.parametrize(
    ("harm", "code", "told"),
    [
        (no_folder, "cross_not_found", ""),
        (no_config, "cross_not_found", ""),
        (other_kind, "cross_unknown", "CLIPModel"),
        (other_head, "cross_unknown", "BlipForConditionalGeneration"),
        (no_kind, "cross_unknown", "BlipForImageTextRetrieval"),
        (no_weights, "cross_broken", "safetensors"),
        (no_head, "cross_broken", "2 of its weights are missing"),
        (damaged_tokenizer, "cross_broken", ""),
        (no_preprocessing, "cross_broken", ""),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_said(copy: Path, harm: Callable[[Path], None], code: str, told: str):
    harm(copy)
    with pytest.raises(UserError) as raised:
        load_reranker(copy)
    assert raised.value.code == code
    assert str(copy) in raised.value.say("en")
    assert str(copy) in raised.value.say("zh")
    assert told in raised.value.say("en")


def test_a_name_that_cannot_be_fetched_is_said():
    with pytest.raises(UserError) as raised:
        load_reranker("nobody/no-such-blip")
    assert raised.value.code == "cross_not_fetched"
    assert "nobody/no-such-blip" in raised.value.say("zh")


def test_a_card_that_is_not_there_is_said(folder: Path):
    with pytest.raises(UserError) as raised:
        load_reranker(folder, "cuda:99")
    assert raised.value.code == "no_device"


def test_a_closed_one_has_let_go_of_its_weights(folder: Path):
    reranker = load_reranker(folder)
    prepared = reranker.prepare(pictures()[0])
    reranker.close()
    with pytest.raises(RuntimeError, match="closed"):
        reranker.scores(["a"], [prepared])
    assert not [value for value in vars(reranker).values() if isinstance(value, torch.nn.Module)]


def test_it_waits_while_another_model_is_built_or_it_would_have_no_weights(folder: Path):
    with ThreadPoolExecutor(1) as pool:
        with BUILDING, init_empty_weights():  # as the chat model is built
            loading = pool.submit(load_reranker, folder)
            assert not wait([loading], 1).done
        assert scored(loading.result(60), ["a"]).shape == (1, len(SIZES))
