"""The first step of a small training, in this process or as one of several: its loss and its gradients.

`python one_step.py OUTPUT BATCH PIECE ACCUMULATE`, as torchrun would start it; the first process writes OUTPUT.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import Dataset
from transformers import BertConfig, TrainerCallback, TrainingArguments, ViTConfig, ViTImageProcessor

from multimodal.training.dual_encoder import DualEncoderTrainer, make_dual_encoder
from multimodal.training.examples import Collator, Example
from tests.retrieval.tiny_encoders import bert_tokenizer

EXAMPLES = 32
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}  # the machine's own name need not lead anywhere
LENGTH = 12


class Few(Dataset):
    """Pictures of noise; some share a caption, two show the same, some have two captions."""

    def __len__(self) -> int:
        return EXAMPLES

    def __getitem__(self, place: int) -> Example:
        pixels = np.random.default_rng(place).integers(0, 256, (16, 16, 3), np.uint8)
        captions = (f"a {'b' * (place % 7)} {'c' * (place // 7)}",) if place % 3 else ("a cat", f"b {'a' * place}")
        return Example(Image.fromarray(pixels), captions, "the same" if place in (3, 20) else place)


class Ending(Exception):
    """The first step's gradients are there."""


class Keep(TrainerCallback):
    """Keeps the gradients before anything is done with them."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, arguments, state, control, model=None, **others):
        self.found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
        raise Ending


class KeepLoss(DualEncoderTrainer):
    """Keeps what the last training_step of the step returned."""

    def training_step(self, *arguments, **others) -> torch.Tensor:
        self.loss = super().training_step(*arguments, **others)
        return self.loss


def make_trainer(folder: Path, batch: int, piece: int | None, accumulate: int, dropout: float = 0.0) -> KeepLoss:
    torch.manual_seed(0)
    vision = ViTConfig(hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=16, patch_size=8)
    tokenizer = bert_tokenizer(LENGTH)
    text = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        max_steps=1,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        max_grad_norm=0.0,
        report_to="none",
        disable_tqdm=True,
    )
    collator = Collator(tokenizer, ViTImageProcessor(size={"height": 16, "width": 16}), LENGTH)
    return KeepLoss(make_dual_encoder(vision, text, 16), arguments, data_collator=collator, train_dataset=Few(), piece=piece)


def first_step(batch: int, piece: int | None, accumulate: int) -> dict[str, torch.Tensor]:
    """The gradients by the names of their parameters, and `loss`."""
    keep = Keep()
    with TemporaryDirectory() as folder:
        trainer = make_trainer(Path(folder), batch, piece, accumulate)
        trainer.add_callback(keep)
        with suppress(Ending):
            trainer.train()
    return {name.removeprefix("module."): gradient for name, gradient in keep.found.items()} | {"loss": trainer.loss.reshape(1)}


if __name__ == "__main__":
    output, batch, piece, accumulate = sys.argv[1:]
    found = first_step(int(batch), int(piece) or None, int(accumulate))
    if torch.distributed.get_rank() == 0:
        save_file(found, output)
    torch.distributed.destroy_process_group()
