"""A cross encoder trained from a small data set: it learns, survives a kill, is loaded as any other, and what it adds is measured."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import TrainerCallback

from multimodal.__main__ import main
from multimodal.errors import UserError
from multimodal.retrieval.reranker import load_reranker
from multimodal.settings import KEYS
from multimodal.training import matcher
from multimodal.training.cross_encoder import CrossEncoder, CrossEncoderTrainer
from multimodal.training.cross_run import CrossOptions, train_cross
from multimodal.training.curves import CURVES
from multimodal.training.dual_run import DualOptions, train_dual
from multimodal.training.fitting import Fitting
from multimodal.training.matcher import heads_of, make_matcher
from multimodal.training.negatives import AnyNegatives
from multimodal.training.reading_sets import read_captioned
from multimodal.training.triple_epochs import TripleEpochs
from multimodal.training.triples import TripleCollator
from tests.conftest import ROOT
from tests.retrieval.tiny_blip import write_tiny_blip
from tests.retrieval.tiny_encoders import write_tiny_encoder
from tests.training.two_colours import write_two_colours

DUAL = str(ROOT / "assets" / "demo-encoder")
SIZES = {"epochs": 1, "batch_size": 8, "lr": 4e-3, "warmup": 10, "embed_dim": 32, "workers": 0, "patience": 0}
SMALL = SIZES | {"device": "cpu", "precision": "float32", "augment": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two_colours(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What begins from nothing is small, and one core computes: several are slower for so little."""
    for name, value in {"SIDE": 32, "PATCH": 8, "VOCABULARY": 400, "LAYERS": 2}.items():
        monkeypatch.setattr(matcher, name, value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(data: Path, output: Path, dual: str | None = None, resume: bool = False, **options: object) -> dict[str, float]:
    return train_cross(read_captioned(data), dual, output, CrossOptions(**(SMALL | options)), resume)


def refused(data: Path, output: Path, dual: str | None = None, resume: bool = False, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        trained(data, output, dual, resume, **options)
    assert re.search("[\u4e00-\u9fff]", caught.value.say("zh"))
    return caught.value


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model.safetensors")


def test_it_learns_and_is_loaded_as_a_reranker_of_both_languages(data: Path, tmp_path: Path) -> None:
    found = trained(data, tmp_path / "out", epochs=60, embed_dim=48)
    assert found["accuracy"] > 60  # by chance 50
    reranker = load_reranker(tmp_path / "out")
    assert (reranker.languages, reranker.side) == (("en", "zh"), 32)
    pictures = read_captioned(data).of("val")
    prepared = [reranker.prepare(Image.open(picture.image).convert("RGB")) for picture in pictures]
    scores = reranker.scores([picture.captions[0] for picture in pictures], prepared)
    right = np.eye(len(pictures), dtype=bool)
    assert scores[right].mean() > scores[~right].mean() + 0.05
    with Image.open(tmp_path / "out" / CURVES) as curves:
        assert curves.format == "PNG"


def test_the_matching_half_judges_as_the_whole_model_does(data: Path, tmp_path: Path) -> None:
    made = make_matcher(str(write_tiny_blip(tmp_path / "blip")), [], 0, seed=0)
    model, fitting = made.model.eval(), Fitting(read_captioned(data).of("train"))
    triples = TripleEpochs(fitting, AnyNegatives(fitting), made.side, seed=1, augment=True)
    batch = TripleCollator(made.tokenizer, made.image_processor, made.longest)([triples[place] for place in range(6)])
    assert batch["labels"].tolist() == [1] * 6 + [0] * 12
    texts, pictures = batch.pop("texts"), batch.pop("pictures")
    with torch.inference_mode():
        whole = [
            model.blip(**{name: batch[name][text, None] for name in ("input_ids", "attention_mask")}, pixel_values=pixels[None]).itm_score
            for text, pixels in zip(texts, batch["pixel_values"][pictures], strict=True)
        ]
        del batch["labels"]
        torch.testing.assert_close(model(**batch, texts=texts, pictures=pictures), torch.cat(whole), rtol=1e-3, atol=1e-4)


def test_an_epoch_is_the_same_wherever_it_is_read_and_all_of_it_may_be_wrong_but_the_caption(data: Path) -> None:
    fitting = Fitting(read_captioned(data).of("train"))
    epochs, again = (TripleEpochs(fitting, AnyNegatives(fitting), 32, seed=5) for _ in range(2))

    def said(of: TripleEpochs) -> list[tuple[object, ...]]:
        read = [of[place] for place in range(8)]
        return [(one.picture.tobytes(), one.caption, one.wrong_picture.tobytes(), one.wrong_caption) for one in read]

    first = said(epochs)
    assert first == said(again)
    assert all(wrong not in fitting.pictures[place].captions for place, (_, _, _, wrong) in enumerate(first))
    assert all(own in fitting.pictures[place].captions for place, (_, own, _, _) in enumerate(first))
    epochs.set_epoch(1)
    assert said(epochs) != first


def test_with_a_dual_encoder_it_learns_from_its_best_and_is_judged_by_putting_them_in_order(data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "set"))
    (copy / "03.png").write_bytes(b"torn")
    (copy / "35.png").write_bytes(b"torn")
    found = trained(copy, tmp_path / "out", DUAL, model=str(write_tiny_blip(tmp_path / "blip")), batch_size=4, accumulate=2)
    assert set(found) == {"recall", *(f"{way}_R@{k}" for way in ("t2i", "i2t") for k in (1, 5, 10))}
    assert load_reranker(tmp_path / "out").side == 32
    begun = json.loads((tmp_path / "out" / "training.json").read_text())
    assert begun["dual"].startswith("demo-encoder-")
    assert (tmp_path / "out" / CURVES).stat().st_size > 1000


def process(data: Path, output: Path, *more: str) -> subprocess.Popen:
    """The command in a process of its own, with the tiny model."""
    options = [f"--{name}={value}" for name, value in (SIZES | {"epochs": 8, "seed": 3, "workers": 1}).items()]
    arguments = ["train", "cross", "--data", str(data), "--output", str(output), "--dual", DUAL, *options, *more]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "tests.training.tiny_command", *arguments, "--device=cpu", "--precision=float32", "--language=en"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(running: subprocess.Popen) -> str:
    said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    return said


def test_a_killed_training_goes_on_and_ends_at_the_same_weights(data: Path, tmp_path: Path) -> None:
    whole = process(data, tmp_path / "whole")
    killed = process(data, tmp_path / "killed")
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("checkpoints/checkpoint-*/trainer_state.json")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    said = ended(whole)
    assert f"CROSS_MODEL={tmp_path / 'whole'}" in said
    assert "Epoch 8: words to pictures R@1" in said
    ended(process(data, tmp_path / "killed", "--resume"))
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_another_training_in_the_same_place_is_refused(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path / "out")
    before = weights(tmp_path / "out")
    assert refused(data, tmp_path / "out").code == "training_there"
    other = refused(data, tmp_path / "out", DUAL, resume=True, lr=1.0)
    assert (other.code, other.facts["what"]) == ("training_other", "dual, lr")
    with pytest.raises(UserError) as caught:
        train_dual(read_captioned(data), tmp_path / "out", DualOptions(**SMALL), resume=True)
    assert (caught.value.code, caught.value.facts["what"]) == ("training_other", "size, trains")
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(tmp_path / "out").items())


def test_a_loss_that_is_no_number_ends_it_and_the_last_checkpoint_stays(data: Path, tmp_path: Path) -> None:
    class Spoil(TrainerCallback):
        def on_epoch_begin(self, arguments, state, control, model=None, **others):
            if state.epoch and state.epoch >= 1:
                with torch.no_grad():
                    model.blip.itm_head.weight.fill_(float("nan"))

    with pytest.raises(UserError) as caught:
        train_cross(read_captioned(data), None, tmp_path / "out", CrossOptions(**(SMALL | {"epochs": 3})), callbacks=[Spoil()])
    assert caught.value.code == "training_nan"
    (kept,) = (tmp_path / "out" / "checkpoints").iterdir()
    assert all(tensor.isfinite().all() for tensor in load_file(kept / "model.safetensors").values())


def captions_alone(folder: Path, *said: str) -> Path:
    lines = [json.dumps({"image": f"{number:02}.png", "caption": caption, "split": "train"}) for number, caption in enumerate(said)]
    (folder / "set.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_set_that_nothing_can_be_learned_from_is_refused(data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "set"))
    assert refused(captions_alone(copy, "red"), tmp_path / "out").code == "training_too_few"
    assert refused(captions_alone(copy, "red", "Red", "red"), tmp_path / "out").code == "training_all_alike"
    found = read_captioned(captions_alone(copy, "red", "green", "blue"))
    (copy / "01.png").write_bytes(b"torn")
    (copy / "02.png").write_bytes(b"torn")
    for dual, broken, code in ((DUAL, "01.png", "training_too_few"), (None, "00.png", "training_no_pictures")):
        (copy / broken).write_bytes(b"torn")
        with pytest.raises(UserError) as caught:
            train_cross(found, dual, tmp_path / "out", CrossOptions(**(SMALL | {"workers": 1})), resume=True)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("method", "error", "code"),
    [
        ("_save_checkpoint", OSError(28, "No space left on device"), "training_disk"),
        ("compute_loss", torch.OutOfMemoryError("out of memory"), "training_batch_too_large"),
    ],
)
def test_what_the_machine_has_no_room_for_ends_it_in_a_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, code: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(CrossEncoderTrainer, method, full)
    assert refused(data, tmp_path / "out").code == code


def test_what_can_be_no_cross_encoder_and_no_dual_encoder_is_told(data: Path, tmp_path: Path) -> None:
    clip, blip = str(write_tiny_encoder(tmp_path / "clip")), write_tiny_blip(tmp_path / "blip")
    assert refused(data, tmp_path / "out", model=clip).code == "cross_unknown"
    assert refused(data, tmp_path / "out", model=str(tmp_path)).code == "cross_not_found"
    assert refused(data, tmp_path / "out", dual=str(blip)).code == "encoder_unknown"
    kept = {name: tensor for name, tensor in weights(blip).items() if "itm_head" not in name}
    torch.save(kept, blip / "pytorch_model.bin")
    (blip / "model.safetensors").unlink()
    assert refused(data, tmp_path / "out", model=str(blip)).code == "cross_broken"


@pytest.mark.parametrize(("width", "heads"), [(768, 12), (512, 8), (256, 4), (32, 4), (100, 4), (30, 3), (7, 1)])
def test_heads_divide_the_width(width: int, heads: int) -> None:
    assert heads_of(width) == heads


def test_its_projections_stay_as_they_are(tmp_path: Path) -> None:
    model: CrossEncoder = make_matcher(None, ["a dog"], 32, seed=0, languages=["en"]).model
    still = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert still == {f"blip.{tower}_proj.{part}" for tower in ("vision", "text") for part in ("weight", "bias")}
    assert model.blip.config.languages == ["en"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """run(arguments): (exit status, stdout, stderr) of `evaluate --model_type cross`, in this process."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)

    def start(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["evaluate", "--model_type", "cross", "--split", "val", "--language", "en", "--device", "cpu", *map(str, arguments)])
        return status, *capsys.readouterr()

    return start


def test_the_gain_and_the_time_of_each_k_are_told_as_a_table_and_as_json(data: Path, tmp_path: Path, run) -> None:
    model = ["--model", write_tiny_blip(tmp_path / "blip"), "--dual", DUAL, "--data", data]
    status, said, told = run(*model, "--k", "9,2", "--json")
    assert status == 0, told
    answer = json.loads(said)
    assert (answer["pictures"], answer["captions"], answer["split"]) == (16, 32, "val")
    assert [row["k"] for row in answer["sweep"]] == [0, 2, 9]
    for row in answer["sweep"]:
        for way in ("t2i", "i2t"):
            assert set(row[way]) == {"R@1", "R@5", "R@10", "median rank", "ms"}
            assert row[way]["ms"] > 0
    last = answer["sweep"][-1]
    assert (answer["t2i"], answer["i2t"]) == (last["t2i"], last["i2t"])
    alone, two = answer["sweep"][0]["t2i"], answer["sweep"][1]["t2i"]
    assert (alone["R@5"], alone["R@10"]) == (two["R@5"], two["R@10"])  # which two are first does not move what lies behind
    assert alone["R@5"] != last["t2i"]["R@5"]
    assert main(["evaluate", "--model", DUAL, "--data", str(data), "--split", "val", "--device", "cpu"]) == 0
    status, said, told = run(*model, "--limit", "4", "--k", "3")
    assert status == 0, told
    head, line, *rows, note = said.splitlines()[-5:]
    assert head.startswith("| K | words to pictures: R@1 |")
    assert line == f"|{' --- |' * 11}"
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 3"]
    assert note.startswith("4 pictures, 8 captions;")


def test_what_is_missing_or_not_for_it_is_said_in_a_sentence(data: Path, run, capsys: pytest.CaptureFixture) -> None:
    status, said, told = run("--model", "x", "--data", data)
    assert (status, said) == (1, "")
    assert told.startswith("Re-ranking puts the best of a dual encoder in order")
    assert run("--model", "x", "--dual", "y", "--data", data, "--html", "page.html")[2].startswith("--html is not for --model_type cross")
    assert main(["evaluate", "--model", "x", "--data", str(data), "--k", "5", "--language", "en"]) == 1
    assert capsys.readouterr().err.startswith("--k is not for --model_type dual")
    with pytest.raises(SystemExit):
        run("--model", "x", "--dual", "y", "--data", data, "--k", "5,0")
