"""The command under torchrun: two processes learn what one does with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from multimodal.demo import captioned_scenes
from multimodal.demo.captioned_scenes import write_set
from tests.conftest import ROOT
from tests.training.one_step import LOOPBACK

MORE = ["--epochs=2", "--lr=1e-3", "--warmup=1", "--embed_dim=16", "--device=cpu", "--precision=float32", "--workers=0", "--patience=0"]


def trained(data: Path, output: Path, launcher: list[str], batch: int) -> dict[str, torch.Tensor]:
    command = [sys.executable, *launcher, "-m", "tests.training.tiny_command", "train", "dual", *MORE]
    command += [f"--data={data}", f"--output={output}"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error", **LOOPBACK}
    run = subprocess.run([*command, f"--batch_size={batch}"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr.count("Epoch 2: words to pictures") == 1  # one of them speaks
    return load_file(output / "model.safetensors")


def test_two_processes_learn_what_one_does_with_twice_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(captioned_scenes, "JUDGED", 8)
    data = write_set(tmp_path / "set", 16)
    one = trained(data, tmp_path / "one", [], 8)
    here = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    two = trained(data, tmp_path / "two", ["-m", "torch.distributed.run", "--nproc-per-node=2", *here], 4)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=2e-4, msg=name)
