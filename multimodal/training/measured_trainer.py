"""transformers' Trainer whose checkpoints are judged by a measure of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn import Module
from transformers import Trainer


class MeasuredTrainer(Trainer):
    """`measure`: what `evaluate` tells of the model, by name."""

    def __init__(self, *args: Any, measure: Callable[[Any], dict[str, float]] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.measure = measure

    def evaluate(self, eval_dataset: object = None, ignore_keys: object = None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """What `measure` finds, logged."""
        model: Module = self.accelerator.unwrap_model(self.model)
        model.eval()
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.measure(model).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
