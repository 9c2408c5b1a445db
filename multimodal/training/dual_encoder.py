"""A dual encoder of transformers, learned by contrast: captioned pictures, InfoNCE, and transformers' Trainer around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import softplus
from transformers import (
    BaseImageProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Trainer,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

HOTTEST = math.log(100.0)  # of the logit scale, as in CLIP (Radford et al. 2021, section 2.5)
LEFT_OUT = -1


@dataclass(frozen=True)
class Example:
    """A picture (RGB) with its captions. Examples with one `key` show the same: each one's captions fit all their pictures."""

    picture: Image.Image
    captions: tuple[str, ...]
    key: Hashable


def same_key_or_caption(examples: Sequence[Example]) -> torch.Tensor:
    """Which caption fits which picture, int64 [captions, pictures].

    1 where the keys agree or one of the picture's own captions is the same text, else 0.
    """
    rows = [
        [int(example.key == other.key or caption in other.captions) for other in examples]
        for example in examples
        for caption in example.captions
    ]
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, len(examples))


@dataclass(frozen=True)
class Collator:
    """Examples into the model's inputs, and `matches`: what `judge` says of them, which caption fits which picture.

    That is int64 [captions, pictures] of 1 (it fits), 0 (it does not) and LEFT_OUT (nothing is learned from the pair).
    """

    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    longest: int  # tokens of a caption; what is longer is cut
    judge: Callable[[Sequence[Any]], torch.Tensor] = same_key_or_caption

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        captions = [caption for example in examples for caption in example.captions]
        texts = self.tokenizer(captions, padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        pictures = self.image_processor(images=[example.picture for example in examples], return_tensors="pt")
        return {**texts, "pixel_values": pictures["pixel_values"], "matches": self.judge(examples)}


def make_dual_encoder(vision: PreTrainedConfig, text: PreTrainedConfig, dimension: int, **attributes: object) -> VisionTextDualEncoderModel:
    """A dual encoder with random weights; its vectors have `dimension` numbers. `attributes` are kept in its configuration."""
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=dimension, **attributes)
    return VisionTextDualEncoderModel(config)


def info_nce(logits: torch.Tensor, matches: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
    """InfoNCE over the rows (van den Oord et al. 2018, eq. 4), for rows with several positives, or none.

    `logits` [rows, columns]; `matches` the same shape: 1 positive, 0 negative, LEFT_OUT neither. Each positive is set against the row's
    negatives, and not against other positives; a row's loss is the mean over its positives.
    `threshold`, the logit from which a pair is a match, is one more candidate: a negative in rows with positives, the positive in rows
    without any. Where it is None such rows have no loss.
    """
    positive = matches == 1
    counts = positive.sum(1)
    smallest = torch.finfo(logits.dtype).min / 2
    against = logits.masked_fill(matches != 0, smallest).logsumexp(1)
    without = softplus(against - threshold) if threshold is not None else torch.zeros_like(against)
    if threshold is not None:
        against = torch.logaddexp(against, threshold.expand_as(against))
    # -log(e^p / (e^p + sum e^n)) = softplus(log sum e^n - p)
    fitted = (softplus(against[:, None] - logits) * positive).sum(1) / counts.clamp(min=1)
    rows = torch.where(counts > 0, fitted, without)
    used = len(rows) if threshold is not None else int((counts > 0).sum())
    return rows.sum() / max(1, used)


def contrastive_loss(logits: torch.Tensor, matches: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
    """The mean of InfoNCE from words to pictures and back. `logits` and `matches` are [captions, pictures]; see info_nce."""
    return (info_nce(logits, matches, threshold) + info_nce(logits.T, matches.T, threshold)) / 2


class DualEncoderTrainer(Trainer):
    """Trainer for batches of a Collator.

    `threshold`: the cosine from which words and a picture are to match. None: only their order is learned.
    """

    def __init__(self, *args: Any, threshold: float | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.threshold = threshold

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: object = None
    ) -> Any:
        """The symmetric InfoNCE of the batch, in float32."""
        matches = inputs["matches"]
        scale = self.accelerator.unwrap_model(model).logit_scale
        with torch.no_grad():
            scale.clamp_(max=HOTTEST)
        outputs = model(**{name: tensor for name, tensor in inputs.items() if name != "matches"})
        threshold = None if self.threshold is None else self.threshold * scale.exp()
        loss = contrastive_loss(outputs.logits_per_text.float(), matches, threshold)
        return (loss, outputs) if return_outputs else loss
