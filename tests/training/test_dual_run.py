"""A dual encoder trained by the command from a small data set: it learns, survives a kill, and is loaded as any other encoder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from multimodal.errors import UserError
from multimodal.retrieval.encoder import load_encoder
from multimodal.training import dual_run, towers
from multimodal.training.dual_run import CURVES, DualOptions, train_dual
from multimodal.training.reading_sets import read_captioned
from tests.conftest import ROOT
from tests.retrieval.tiny_encoders import write_tiny_encoder
from tests.training.minute import MINUTE
from tests.training.two_colours import write_two_colours

SMALL = DualOptions(
    epochs=3, batch_size=8, lr=2e-3, warmup=2, embed_dim=16, device="cpu", precision="float32", workers=0, patience=0, augment=False
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two_colours(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(towers.SIZES, "small", MINUTE)


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model.safetensors")


def refused(data: Path, output: Path, options: DualOptions = SMALL, resume: bool = False) -> UserError:
    with pytest.raises(UserError) as caught:
        train_dual(read_captioned(data), output, options, resume)
    assert re.search("[\u4e00-\u9fff]", caught.value.say("zh"))
    return caught.value


def test_it_learns_and_is_loaded_as_an_encoder_of_both_languages(data: Path, tmp_path: Path):
    recall = train_dual(read_captioned(data), tmp_path / "out", DualOptions(**(vars(SMALL) | {"epochs": 30})))
    assert recall["t2i_R@5"] > 80  # of 16, by chance 31
    encoder = load_encoder(tmp_path / "out")
    assert (encoder.family, encoder.dimension, encoder.languages) == ("vision-text-dual-encoder", 16, ("en", "zh"))
    assert -1 < encoder.matches_from < 1
    pictures = [Image.open(data / f"{number:02}.png").convert("RGB") for number in range(16)]
    found = encoder.encode_texts(["red above blue", "上面红色，下面蓝色"]) @ encoder.encode_pictures(pictures).T
    assert all(8 in ranking[:4] for ranking in np.argsort(-found, axis=1).tolist())
    with Image.open(tmp_path / "out" / CURVES) as curves:
        assert curves.format == "PNG"


def train_process(data: Path, output: Path, *more: str) -> subprocess.Popen:
    """The command in a process of its own, with towers of that size."""
    sizes = {"epochs": 6, "batch_size": 8, "lr": 2e-3, "warmup": 2, "embed_dim": 16, "workers": 1, "seed": 3}
    options = [f"--{name}={value}" for name, value in sizes.items()]
    options += ["--device=cpu", "--precision=float32", "--language=en"]
    arguments = ["train", "dual", "--data", str(data), "--output", str(output), *options, *more]
    imports = "import sys; from multimodal.__main__ import main; from multimodal.training import towers; from tests.training import minute"
    code = f"{imports}; towers.SIZES['small'] = minute.MINUTE; sys.exit(main({arguments!r}))"
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def test_a_killed_training_goes_on_and_ends_at_the_same_weights(data: Path, tmp_path: Path):
    assert "CLIP_MODEL=" in ended(train_process(data, tmp_path / "whole"))
    killed = train_process(data, tmp_path / "killed")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("checkpoints/checkpoint-*/trainer_state.json")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    newest = max((tmp_path / "killed" / "checkpoints").iterdir(), key=lambda folder: int(folder.name.split("-")[1]))
    torn = Path(shutil.copytree(newest, newest.with_name("checkpoint-999")))
    (torn / "trainer_state.json").write_text('{"epoch"')  # as by a kill while it was saved
    ended(train_process(data, tmp_path / "killed", "--resume"))
    whole, gone_on = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.allclose(whole[name], gone_on[name], atol=1e-6) for name in whole)
    assert not torn.exists()


def test_another_training_in_the_same_place_is_refused(data: Path, tmp_path: Path):
    train_dual(read_captioned(data), tmp_path / "out", DualOptions(**(vars(SMALL) | {"epochs": 1})))
    before = weights(tmp_path / "out")
    assert refused(data, tmp_path / "out").code == "training_there"
    other = refused(data, tmp_path / "out", DualOptions(**(vars(SMALL) | {"epochs": 1, "lr": 1.0})), resume=True)
    assert (other.code, other.facts["what"]) == ("training_other", "lr")
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(tmp_path / "out").items())


def test_a_loss_that_is_no_number_ends_it_and_the_last_checkpoint_stays(data: Path, tmp_path: Path):
    options = DualOptions(**(vars(SMALL) | {"epochs": 4}))

    class Spoil(dual_run.TrainerCallback):
        def on_epoch_begin(self, arguments, state, control, model=None, **others):
            if state.epoch and state.epoch >= 2:
                with torch.no_grad():
                    model.text_projection.weight.fill_(float("nan"))

    with pytest.raises(UserError) as caught:
        train_dual(read_captioned(data), tmp_path / "out", options, callbacks=[Spoil()])
    assert caught.value.code == "training_nan"
    (kept, *_) = sorted((tmp_path / "out" / "checkpoints").iterdir(), reverse=True)
    assert all(tensor.isfinite().all() for tensor in load_file(kept / "model.safetensors").values())


def test_pictures_that_break_meanwhile_are_passed_over(data: Path, tmp_path: Path):
    copy = Path(shutil.copytree(data, tmp_path / "set"))
    found = read_captioned(copy)
    for number in (1, 2, 33):
        (copy / f"{number:02}.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    recall = train_dual(found, tmp_path / "out", DualOptions(**(vars(SMALL) | {"epochs": 1})))
    assert 0 <= recall["recall"] <= 600


def test_a_set_that_nothing_can_be_learned_from_is_refused(data: Path, tmp_path: Path):
    one = Path(shutil.copytree(data, tmp_path / "one"))
    (one / "set.jsonl").write_text('{"image": "00.png", "caption": "red"}')
    assert refused(one, tmp_path / "out").code == "training_too_few"
    torn = Path(shutil.copytree(data, tmp_path / "torn"))
    found = read_captioned(torn)
    for file in torn.glob("*.png"):
        file.write_bytes(b"torn")
    with pytest.raises(UserError) as caught:
        train_dual(found, tmp_path / "out2", SMALL)
    assert caught.value.code == "training_no_pictures"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(13, "Permission denied")])
def test_a_disk_that_takes_no_more_ends_it_in_a_sentence(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(dual_run.DualEncoderTrainer, "_save_checkpoint", full)
    assert refused(data, tmp_path / "out").code == "training_disk"


def test_pretrained_towers_are_taken_and_what_can_be_none_is_told(data: Path, tmp_path: Path):
    clip = write_tiny_encoder(tmp_path / "clip")
    options = DualOptions(**(vars(SMALL) | {"epochs": 1, "vision": str(clip)}))
    train_dual(read_captioned(data), tmp_path / "out", options)
    assert load_encoder(tmp_path / "out").encode_texts(["red"]).shape == (1, 16)
    for name, path in (("vision", tmp_path / "nothing"), ("text", data)):
        code = refused(data, tmp_path / name, DualOptions(**(vars(SMALL) | {name: str(path)}))).code
        assert code in ("encoder_broken", "encoder_not_fetched", "backbone_unknown")


def options_of(command: Sequence[str]) -> list[str]:
    run = subprocess.run([sys.executable, "-m", "multimodal", *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return [str(run.returncode), run.stdout, run.stderr]


def test_recall_is_told_as_a_table_as_json_and_as_a_page(data: Path, tmp_path: Path):
    model = ["evaluate", "--model", str(ROOT / "assets" / "demo-encoder"), "--data", str(data), "--split", "val"]
    status, said, told = options_of([*model, "--json", "--html", str(tmp_path / "page.html")])
    assert status == "0", told
    answer = json.loads(said)
    assert (answer["pictures"], answer["captions"]) == (16, 32)
    assert set(answer["t2i"]) == set(answer["i2t"]) == {"R@1", "R@5", "R@10", "median rank"}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<section>") == 24
    assert "上面" in page
    assert "http" not in page
    status, said, told = options_of([*model[:-1], "test", "--language", "zh"])
    assert (status, said) == ("1", "")
    assert "换一个 --split" in told
