"""Encoders give the vectors that transformers gives, know what they are, and say what is wrong with a checkpoint."""

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
from transformers import AutoImageProcessor, AutoModel, AutoProcessor, AutoTokenizer, BertConfig, BertModel

from low_vram.building import BUILDING
from multimodal.errors import UserError
from multimodal.retrieval.encoder import BATCH, MODELS, Encoder, Prepared, languages_of, load_encoder
from tests.retrieval.tiny_encoders import DIMENSION, FAMILIES, POSITIONS, SIDE, write_tiny_encoder

SIZES = ((47, 31), (31, 90), (9, 9), (300, 41), (33, 32), (640, 480))  # width, height
TEXTS = ["a red car", "two Dogs!", "一只猫", "红色的车在山上 x"]
LENGTHS = dict.fromkeys(FAMILIES, POSITIONS) | {"chinese_clip": 52}  # tokens that are read
TOLERANCE = 1e-5


def pictures() -> list[Image.Image]:
    """Noise in large blotches: no two alike, and not flat after they were made smaller."""
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (5, 7, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC) for size in SIZES]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family. Not to be changed."""
    return {family: write_tiny_encoder(tmp_path_factory.mktemp("encoders") / family, family) for family in FAMILIES}


def loaded(folder: Path, *capabilities: str) -> Encoder:
    """The encoder in `folder`, as on a processor with `capabilities`: without any, all is computed in float32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
        return load_encoder(folder)


@pytest.fixture(scope="module")
def encoders(folders: dict[str, Path]) -> dict[str, Encoder]:
    return {family: loaded(folder) for family, folder in folders.items()}


@pytest.fixture
def clip(folders: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to be changed, in a folder called clip."""
    return Path(shutil.copytree(folders["clip"], tmp_path / "clip"))


def own_inputs(folder: Path, family: str, texts: list[str]) -> dict[str, torch.Tensor]:
    """Pictures and texts by the checkpoint's own processors, used as its model card says."""
    siglip = family.startswith("siglip")
    texts, padding = ([text.lower() for text in texts], "max_length") if siglip else (texts, True)
    tokenizer, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    tokens = tokenizer(texts, padding=padding, truncation=True, max_length=LENGTHS[family], return_tensors="pt")
    return {**tokens, **processor(images=pictures(), return_tensors="pt")}


def say(folder: Path, name: str = "config.json", **changes: object) -> None:
    said = json.loads((folder / name).read_text(encoding="utf-8"))
    (folder / name).write_text(json.dumps(said | changes), encoding="utf-8")


def assert_same(found: Prepared, wanted: dict[str, torch.Tensor]) -> None:
    parts = found if isinstance(found, dict) else {"pixel_values": found}
    assert parts.keys() == wanted.keys()
    assert all(torch.equal(parts[name], wanted[name][0]) for name in wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_and_probabilities_are_those_of_transformers(folders, encoders, family):
    encoder, inputs = encoders[family], own_inputs(folders[family], family, TEXTS)
    with torch.inference_mode():
        wanted = AutoModel.from_pretrained(folders[family])(**inputs)
    seen, read = encoder.encode_pictures(pictures()), encoder.encode_texts(TEXTS)
    np.testing.assert_allclose(seen, torch.nn.functional.normalize(wanted.image_embeds, dim=-1), atol=TOLERANCE)
    np.testing.assert_allclose(read, torch.nn.functional.normalize(wanted.text_embeds, dim=-1), atol=TOLERANCE)
    logits = wanted.logits_per_image
    likely = logits.sigmoid() if family.startswith("siglip") else logits.softmax(dim=1)
    np.testing.assert_allclose(encoder.probabilities(seen, read), likely, atol=TOLERANCE)
    assert seen.dtype == read.dtype == np.float32
    assert seen.shape == (len(SIZES), DIMENSION)
    assert encoder.dimension == DIMENSION
    assert encoder.family == encoder.name == family
    assert max((seen @ seen.T)[~np.eye(len(SIZES), dtype=bool)]) < 0.999  # or the pictures would prove nothing


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_computed_in_bfloat16(folders, encoders, family):
    quick = loaded(folders[family], "avx512_bf16")
    exact, seen = encoders[family].encode_pictures(pictures()), quick.encode_pictures(pictures())
    assert not np.array_equal(seen, exact)
    assert seen.dtype == np.float32
    np.testing.assert_array_less(0.9, (seen * exact).sum(axis=1))  # random weights blow differences up; see the bundled encoder's test
    np.testing.assert_array_equal(quick.encode_texts(TEXTS), encoders[family].encode_texts(TEXTS))


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_prepared_as_by_the_checkpoints_own_processor(folders, encoders, family):
    processor = AutoImageProcessor.from_pretrained(folders[family])
    for picture in pictures():
        assert_same(encoders[family].prepare(picture), processor(images=picture, return_tensors="pt"))
    assert encoders[family].side == SIDE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_is_too_long_is_cut_at_the_models_length(folders, encoders, family):
    long = ["一只猫在红色的车上" * 40, "a red car " * 40]
    inputs = own_inputs(folders[family], family, long)
    assert inputs["input_ids"].shape[1] == LENGTHS[family]
    with torch.inference_mode():
        wanted = AutoModel.from_pretrained(folders[family])(**inputs).text_embeds
    np.testing.assert_allclose(encoders[family].encode_texts(long), torch.nn.functional.normalize(wanted, dim=-1), atol=TOLERANCE)


def test_positions_of_a_roberta_are_counted_from_behind_the_padding(tmp_path):
    folder = write_tiny_encoder(tmp_path / "dual", "vision-text-dual-encoder")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    say(folder, text_config=text | {"model_type": "xlm-roberta", "pad_token_id": 1, "architectures": None})
    say(folder, "tokenizer_config.json", model_max_length=10**30)
    assert load_encoder(folder).encode_texts(["a" + " b" * 100]).shape == (1, DIMENSION)


@pytest.mark.parametrize("family", ["siglip", "siglip2"])
def test_siglip_reads_in_lower_case(encoders, family):
    upper, lower = encoders[family].encode_texts(["A Red CAR", "a red car"])
    np.testing.assert_allclose(upper, lower, atol=TOLERANCE)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_what_its_items_are_one_by_one(encoders, family):
    encoder = encoders[family]
    texts = ["a " + "b" * (place % 9) + "c" * (place // 9) for place in range(BATCH + 3)]
    np.testing.assert_allclose(
        encoder.encode_texts(texts), np.concatenate([encoder.encode_texts([text]) for text in texts]), atol=TOLERANCE
    )
    prepared = [encoder.prepare(picture) for picture in pictures()] * 6
    one_by_one = np.concatenate([encoder.encode_prepared([one]) for one in prepared[: len(SIZES)]])
    np.testing.assert_allclose(encoder.encode_prepared(prepared), np.tile(one_by_one, (6, 1)), atol=TOLERANCE)
    assert encoder.encode_texts([]).shape == encoder.encode_pictures([]).shape == (0, DIMENSION)


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_do_not_disturb_each_other(encoders, family):
    encoder, seen = encoders[family], pictures()
    read = [text * count for count in (1, 2, 3) for text in TEXTS]
    wanted = encoder.encode_pictures(seen), encoder.encode_texts(read)
    with ThreadPoolExecutor(6) as threads:
        looks = [threads.submit(encoder.encode_pictures, [picture]) for picture in seen * 2]
        reads = [threads.submit(encoder.encode_texts, [text]) for text in read * 2]
        np.testing.assert_allclose(np.concatenate([look.result() for look in looks]), np.tile(wanted[0], (2, 1)), atol=TOLERANCE)
        np.testing.assert_allclose(np.concatenate([each.result() for each in reads]), np.tile(wanted[1], (2, 1)), atol=TOLERANCE)


def test_weights_of_the_older_form_give_the_same_vectors(folders, encoders, tmp_path):
    """pytorch_model.bin, vocab.txt and preprocessor_config.json, as in the Chinese-CLIP repositories."""
    folder = Path(shutil.copytree(folders["chinese_clip"], tmp_path / "old"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    processor = AutoProcessor.from_pretrained(folder)
    pieces = processor.tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.get)), encoding="utf-8")
    processor.image_processor.save_pretrained(folder)
    for name in ("model.safetensors", "processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    old, new = loaded(folder), encoders["chinese_clip"]
    np.testing.assert_array_equal(old.encode_pictures(pictures()), new.encode_pictures(pictures()))
    np.testing.assert_array_equal(old.encode_texts(TEXTS), new.encode_texts(TEXTS))


def test_a_copy_is_of_the_same_space(clip, encoders):
    (clip / "README.md").write_text("other words")
    say(clip, matches_from=0.4, alike_from=0.9, languages=["zh"], transformers_version="9.9")
    assert load_encoder(clip).space == encoders["clip"].space
    assert encoders["clip"].space.startswith("clip-")


@pytest.mark.parametrize("part", ["visual_projection.weight", "vision_model.post_layernorm.bias"])
def test_other_weights_are_another_space(clip, encoders, part):
    weights = load_file(clip / "model.safetensors")
    weights[part] += 1e-4
    save_file(weights, clip / "model.safetensors", metadata={"format": "pt"})
    assert load_encoder(clip).space != encoders["clip"].space


def test_another_preprocessing_is_another_space(clip, encoders):
    processing = json.loads((clip / "processor_config.json").read_text())["image_processor"]
    say(clip, "processor_config.json", image_processor=processing | {"resample": 2})
    assert load_encoder(clip).space != encoders["clip"].space


def test_what_a_config_says_of_cosines_and_languages_counts(tmp_path):
    folder = write_tiny_encoder(tmp_path / "own", "vision-text-dual-encoder", matches_from=0.41, alike_from=0.0, languages=["en", "zh"])
    encoder = load_encoder(folder)
    assert (encoder.matches_from, encoder.alike_from, encoder.languages) == (0.41, 0.0, ("en", "zh"))


def test_siglip_matches_where_its_probability_is_one_percent(encoders):
    cosine = encoders["siglip"].matches_from
    picture, text = np.eye(1, DIMENSION, dtype=np.float32), np.zeros((1, DIMENSION), np.float32)
    text[0, :2] = cosine, np.sqrt(1 - cosine**2)
    assert encoders["siglip"].probabilities(picture, text).item() == pytest.approx(0.01, rel=1e-3)
    assert 0.05 < cosine < 0.1


def test_languages_go_by_family_and_else_by_the_vocabulary(encoders):
    assert {family: encoder.languages for family, encoder in encoders.items()} == {
        "clip": ("en",),
        "chinese_clip": ("zh",),
        "siglip": ("en",),
        "siglip2": ("en", "zh"),
        "vision-text-dual-encoder": ("en",),
    }
    chinese = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    english = [
        f"{start}{a}{b}{c}"
        for start in ("", "##")
        for a in "abcdefghijklmnopqrst"
        for b in "abcdefghijklmnopqrst"
        for c in "aeiouxyzmnpqrst"
    ]
    assert languages_of([*chinese, *english[:3000]]) == ("zh",)
    assert languages_of([*chinese[:300], *english]) == ("en",)
    assert languages_of([*(f"▁{sign}" for sign in chinese), *english]) == ("en", "zh")


def test_no_code_of_a_checkpoint_is_run(clip, tmp_path):
    trace = tmp_path / "trace"
    (clip / "modeling.py").write_text(f"open({str(trace)!r}, 'w')\nclass Any: pass\n")
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        say(clip, name, auto_map={f"Auto{kind}": "modeling.Any" for kind in ("Config", "Model", "ImageProcessor", "Processor")})
    load_encoder(clip)
    assert not trace.exists()


class Trace:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_would_run_code_is_refused(clip, tmp_path):
    (clip / "model.safetensors").unlink()
    torch.save({"logit_scale": Trace(tmp_path / "trace")}, clip / "pytorch_model.bin")
    with pytest.raises(UserError) as raised:
        load_encoder(clip)
    assert raised.value.code == "encoder_broken"
    assert not (tmp_path / "trace").exists()


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def other_kind(folder: Path) -> None:
    shutil.rmtree(folder)
    BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)).save_pretrained(
        folder
    )


def no_kind(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def damaged_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "clip"')


def senseless_config(folder: Path) -> None:
    say(folder, projection_dim="many")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def half_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "text" not in name}, folder / "model.safetensors", metadata={"format": "pt"}
    )


def other_shapes(folder: Path) -> None:
    say(folder, projection_dim=DIMENSION * 2)


def damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def no_preprocessing(folder: Path) -> None:
    (folder / "processor_config.json").unlink()


@pytest.mark.parametrize(
    ("harm", "code", "told"),
    [
        (no_folder, "encoder_not_found", ""),
        (no_config, "encoder_not_found", ""),
        (other_kind, "encoder_unknown", "bert"),
        (no_kind, "encoder_unknown", "chinese_clip, clip, siglip"),
        (damaged_config, "encoder_broken", "JSON"),
        (senseless_config, "encoder_broken", "projection_dim"),
        (no_weights, "encoder_broken", "safetensors"),
        (cut_weights, "encoder_broken", ""),
        (half_weights, "encoder_broken", "weights are missing"),
        (other_shapes, "encoder_broken", ""),
        (damaged_tokenizer, "encoder_broken", ""),
        (no_preprocessing, "encoder_broken", ""),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_said(clip: Path, harm: Callable[[Path], None], code: str, told: str):
    harm(clip)
    with pytest.raises(UserError) as raised:
        load_encoder(clip)
    assert raised.value.code == code
    assert str(clip) in raised.value.say("en")
    assert str(clip) in raised.value.say("zh")
    assert told in raised.value.say("en")


def test_a_name_that_cannot_be_fetched_is_said():
    with pytest.raises(UserError) as raised:
        load_encoder("nobody/no-such-encoder")
    assert raised.value.code == "encoder_not_fetched"
    assert "nobody/no-such-encoder" in raised.value.say("zh")


def test_a_card_that_is_not_there_is_said(clip):
    with pytest.raises(UserError) as raised:
        load_encoder(clip, "cuda:99")
    assert raised.value.code == "no_device"


def test_a_closed_encoder_has_let_go_of_its_weights(clip):
    encoder = load_encoder(clip)
    encoder.close()
    with pytest.raises(RuntimeError, match="closed"):
        encoder.encode_texts(["a"])
    assert not [value for value in vars(encoder).values() if isinstance(value, torch.nn.Module)]


def test_the_models_on_offer_begin_with_the_chinese_one():
    assert MODELS[0].languages == ("zh",)
    assert len({offer.name for offer in MODELS}) == len(MODELS)


def test_an_encoder_waits_while_another_model_is_built_or_it_would_have_no_weights(folders):
    with ThreadPoolExecutor(1) as pool:
        with BUILDING, init_empty_weights():  # as the chat model is built
            loading = pool.submit(load_encoder, folders["clip"])
            assert not wait([loading], 1).done
        assert loading.result(60).encode_texts(["a"]).shape == (1, DIMENSION)
