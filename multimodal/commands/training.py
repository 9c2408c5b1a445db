"""`train dual` and `train cross`: a training, how far it is, and what came of it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields

from accelerate import PartialState
from transformers import TrainerCallback

from multimodal.commands.model_name import model_name
from multimodal.commands.progress_line import LOG_SECONDS, TERMINAL_SECONDS, with_progress
from multimodal.commands.session import as_path, speaks_utf8
from multimodal.commands.train_phrases import train_phrase
from multimodal.errors import length_text
from multimodal.settings import Settings
from multimodal.training.captioned import Captioned
from multimodal.training.cross_run import CrossOptions, train_cross
from multimodal.training.dual_run import DualOptions, train_dual
from multimodal.training.reading_sets import read_captioned


class Telling(TrainerCallback):
    """How far the training is, on stderr: one line that changes on a terminal, and one for each epoch."""

    def __init__(self, language: str):
        self.language = language
        self._terminal, self._shown, self._loss = sys.stderr.isatty(), 0, "…"
        self._begun, self._first, self._due = 0.0, 0, 0.0

    def on_train_begin(self, arguments, state, control, **others) -> None:
        self._begun, self._first = time.monotonic(), state.global_step

    def on_log(self, arguments, state, control, logs=None, **others) -> None:
        if logs and "loss" in logs:
            self._loss = f"{float(logs['loss']):.3f}"

    def on_step_end(self, arguments, state, control, **others) -> None:
        now, done = time.monotonic(), state.global_step - self._first
        if not state.is_world_process_zero or now < self._due:
            return
        self._due = now + (TERMINAL_SECONDS if self._terminal else LOG_SECONDS)
        left = length_text((state.max_steps - state.global_step) * (now - self._begun) / max(1, done))
        facts = {"epoch": int(state.epoch) + 1, "epochs": int(arguments.num_train_epochs), "step": state.global_step}
        self._say(train_phrase("step", self.language, **facts, steps=state.max_steps, loss=self._loss, left=left))

    def on_evaluate(self, arguments, state, control, metrics=None, **others) -> None:
        if not state.is_world_process_zero:
            return
        epoch = round(state.epoch)
        if "eval_accuracy" in metrics:
            text = train_phrase("told_apart", self.language, epoch=epoch, accuracy=f"{metrics['eval_accuracy']:.1f}")
        else:
            recalls = {way: f"{metrics[f'eval_{way}_R@1']:.1f}" for way in ("t2i", "i2t")}
            text = train_phrase("judged", self.language, epoch=epoch, **recalls)
        self._say(text, stays=True)

    def _say(self, text: str, stays: bool = False) -> None:
        if self._terminal:
            print(f"\r{text.ljust(self._shown)}", end="\n" if stays else "", file=sys.stderr, flush=True)
            self._shown = 0 if stays else len(text)
        else:
            print(text, file=sys.stderr, flush=True)


def train(options: argparse.Namespace, settings: Settings, language: str) -> int:
    """0 once the model is in --output. Raises UserError."""

    def encoding(pictures: Sequence[Captioned]) -> Iterator[Captioned]:
        return with_progress(iter(pictures), len(pictures), train_phrase("encoding", language), language)

    data, output = read_captioned(as_path(options.data)), as_path(options.output)
    cross = options.command == "cross"
    kind = CrossOptions if cross else DualOptions
    chosen = kind(**{field.name: getattr(options, field.name) for field in fields(kind)})
    try:
        if cross:
            dual = options.dual and model_name(options.dual)
            found = train_cross(data, dual, output, chosen, options.resume, [Telling(language)], encoding)
        else:
            found = train_dual(data, output, chosen, options.resume, [Telling(language)])
    except KeyboardInterrupt:
        print(f"\n{train_phrase('broken_off', language)}", file=sys.stderr)
        return 1
    if not PartialState().is_main_process:  # one of several speaks
        return 0
    if options.json:
        measured = found if "accuracy" in found else {"recall": found}
        print(json.dumps({"path": str(output), **measured}, ensure_ascii=not speaks_utf8()))
    else:
        print(train_phrase("trained_cross" if cross else "trained", language, path=output))
    return 0
