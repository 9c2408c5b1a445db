"""One loss and its gradients, however the batch is divided: into pieces, into accumulated batches, among processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.training.one_step import EXAMPLES, LOOPBACK, first_step, make_trainer

WAYS = {  # batch of a process, piece (0: none), accumulated batches
    "pieces of 8": (32, 8, 1),
    "pieces of 5, which do not divide it": (32, 5, 1),
    "four accumulated batches of 8": (8, 0, 4),
    "two accumulated batches of 16, in pieces of 8": (16, 8, 2),
}
AMONG_TWO = {"16 each": (16, 0, 1), "16 each, in pieces of 8": (16, 8, 1), "two accumulated batches of 8 each": (8, 0, 2)}


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """Of one process with the whole batch in one."""
    found = first_step(EXAMPLES, None, 1)
    assert found["loss"] > 1
    assert {"logit_scale", "visual_projection.weight", "text_model.embeddings.word_embeddings.weight"} < found.keys()
    assert all(gradient.abs().max() > 0 for name, gradient in found.items() if "key.bias" not in name)
    return found


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=2e-5 * float(gradient.abs().max()) + 1e-7, msg=f"{name}: %s")


@pytest.mark.parametrize("way", WAYS)
def test_a_divided_batch_has_the_gradients_of_the_whole(whole: dict[str, torch.Tensor], way: str):
    batch, piece, accumulate = WAYS[way]
    assert_same(first_step(batch, piece or None, accumulate), whole)


@pytest.mark.parametrize("way", AMONG_TWO)
def test_two_processes_have_the_gradients_of_one(tmp_path: Path, whole: dict[str, torch.Tensor], way: str):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output, running = tmp_path / "gradients.safetensors", []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
        command = [sys.executable, "-m", "tests.training.one_step", str(output), *map(str, AMONG_TWO[way])]
        environment = os.environ | {name: str(value) for name, value in place.items()} | LOOPBACK
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for process in running:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert_same(load_file(output), whole)


def test_what_is_dropped_out_in_the_first_pass_is_dropped_out_in_the_second(tmp_path: Path):
    trainer, seen = make_trainer(tmp_path, EXAMPLES, 8, 1, dropout=0.3), []
    trainer.model.register_forward_hook(lambda model, inputs, outputs: seen.append(outputs.text_embeds.detach()))
    trainer.train()
    half = len(seen) // 2
    assert half == 6  # 43 captions
    for first, second in zip(seen[:half], seen[half:], strict=True):
        torch.testing.assert_close(second, first)
    assert not torch.allclose(seen[0][:1], seen[1][:1])
