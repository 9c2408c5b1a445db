"""The training of a dual encoder beside a plain loop, with the same model, examples and loss; and the memory of cached features.

Speed: steps of 64 pictures with a small ViT and BERT, ours and the plain loop in turn. Memory: what the first step of 256 pictures takes
above what lay there before, gradients included, each in a process of its own: all at once, and in pieces of 16.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, PrinterCallback, TrainingArguments, ViTConfig, ViTImageProcessor

from multimodal.training.contrastive import contrastive_loss, same_key_or_caption
from multimodal.training.dual_encoder import DualEncoderTrainer, make_dual_encoder
from multimodal.training.examples import Collator, Example
from multimodal.training.tokenizer import make_tokenizer

SIDE, LONGEST = 112, 24
WARM = 2  # steps before those that count
WORDS = ("red", "green", "blue", "small", "large", "round", "square", "bright", "dark", "old", "new", "circle", "star")


class Noise(Dataset):
    """Pictures of noise, each with a caption of its own; made beforehand, so that nothing of their making counts."""

    def __init__(self, count: int):
        random = np.random.default_rng(0)
        self.examples = []
        for place in range(count):
            image = Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
            self.examples.append(Example(image, (" ".join(random.choice(WORDS, 8)),), place))

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: int) -> Example:
        return self.examples[place]


def make_parts(count: int):
    """(model, collator, examples) of a ViT and a BERT with six layers of 384 each."""
    torch.manual_seed(0)
    examples = Noise(count)
    tokenizer = make_tokenizer([caption for example in examples.examples for caption in example.captions], 400, LONGEST)
    vision = ViTConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=6, intermediate_size=1536, image_size=SIDE)
    text = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        intermediate_size=1536,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    collator = Collator(tokenizer, ViTImageProcessor(size={"height": SIDE, "width": SIDE}), LONGEST)
    return make_dual_encoder(vision, text, 256), collator, examples


def arguments_of(folder: Path, batch: int, steps: int) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=1e-4,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        logging_steps=10_000,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def ours(batch: int, steps: int, piece: int | None = None) -> float:
    """Pictures a second."""
    model, collator, examples = make_parts(batch * 4)
    times: list[float] = []

    class Timed(DualEncoderTrainer):
        def training_step(self, *arguments: object, **others: object) -> torch.Tensor:
            times.append(time.monotonic())
            return super().training_step(*arguments, **others)

    with tempfile.TemporaryDirectory() as folder:
        arguments = arguments_of(Path(folder), batch, WARM + steps + 1)
        trainer = Timed(model, arguments, data_collator=collator, train_dataset=examples, piece=piece)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return steps * batch / (times[WARM + steps] - times[WARM])


def plain(batch: int, steps: int) -> float:
    """Pictures a second of the loop that everybody writes first, its gradients clipped as ours are."""
    model, collator, examples = make_parts(batch * 4)
    loader = DataLoader(examples, batch, collate_fn=collator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    done, times = 0, []
    while done <= WARM + steps:
        for inputs in loader:
            times.append(time.monotonic())
            matches = same_key_or_caption(inputs.pop("keys"), inputs.pop("texts"), inputs.pop("owners"))
            outputs = model(**inputs)
            contrastive_loss(outputs.logits_per_text, matches).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
    return steps * batch / (times[WARM + steps] - times[WARM])


def peak(batch: int, piece: int | None) -> int:
    """Bytes that the first step takes above what lies there before it."""
    model, collator, examples = make_parts(batch)
    process, found = psutil.Process(), []

    class Measured(DualEncoderTrainer):
        def training_step(self, *arguments: object, **others: object) -> torch.Tensor:
            before, most, ended = process.memory_info().rss, [0], threading.Event()

            def watch() -> None:
                while not ended.wait(0.005):
                    most[0] = max(most[0], process.memory_info().rss)

            watching = threading.Thread(target=watch)
            watching.start()
            loss = super().training_step(*arguments, **others)
            ended.set()
            watching.join()
            found.append(max(most[0] - before, 0))
            return loss

    with tempfile.TemporaryDirectory() as folder:
        trainer = Measured(model, arguments_of(Path(folder), batch, 1), data_collator=collator, train_dataset=examples, piece=piece)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return found[-1]


def alone(step, *arguments):
    """The step in a process of its own, so that no other's memory counts in it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(step, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--large", type=int, default=256, help="the batch whose memory is measured")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(arguments.runs):
        rates["ours"].append(ours(arguments.batch, arguments.steps))
        rates["plain"].append(plain(arguments.batch, arguments.steps))
    figures = {name: statistics.median(found) for name, found in rates.items()}
    figures["ratio"] = statistics.median(one / other for one, other in zip(rates["ours"], rates["plain"], strict=True))
    figures["whole_bytes"], figures["cached_bytes"] = alone(peak, arguments.large, None), alone(peak, arguments.large, 16)
    figures["memory_ratio"] = figures["cached_bytes"] / figures["whole_bytes"]
    print(f"{os.cpu_count()} cores, float32; medians of {arguments.runs}\n")
    print("| | ours | plain loop | ours to plain |\n|---|---|---|---|")
    print(f"| pictures/s, batch of {arguments.batch} | {figures['ours']:.1f} | {figures['plain']:.1f} | {figures['ratio']:.3f} |\n")
    print(f"| a step of {arguments.large} | in pieces of 16 | at once | ratio |\n|---|---|---|---|")
    print(
        f"| GB above the model | {figures['cached_bytes'] / 1e9:.2f} | {figures['whole_bytes'] / 1e9:.2f} | {figures['memory_ratio']:.2f} |"
    )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
