"""What a dual encoder learns from, one by one, and as batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import BaseImageProcessor, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Example:
    """A picture (RGB) with its captions. Examples with one `key` show the same: each one's captions fit all their pictures."""

    picture: Image.Image
    captions: tuple[str, ...]
    key: Hashable


@dataclass(frozen=True)
class Collator:
    """Examples into the model's inputs, with what tells which caption fits which picture.

    That is `keys`, `texts` and `owners` as `contrastive.same_key_or_caption` takes them, which can be joined with those of other batches.
    With a `judge`, who knows more, it is `matches` instead, his int64 [captions, pictures] of 1 (it fits), 0 (it does not) and LEFT_OUT
    (nothing is learned from the pair): such a batch stands alone.
    """

    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    longest: int  # tokens of a caption; what is longer is cut
    judge: Callable[[Sequence[Any]], torch.Tensor] | None = None

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        captions = [caption for example in examples for caption in example.captions]
        batch = dict(self.tokenizer(captions, padding=True, truncation=True, max_length=self.longest, return_tensors="pt"))
        pictures = self.image_processor(images=[example.picture for example in examples], return_tensors="pt")
        batch["pixel_values"] = pictures["pixel_values"]
        if self.judge:
            return batch | {"matches": self.judge(examples)}
        owners = [number for number, example in enumerate(examples) for _ in example.captions]
        return batch | {
            "keys": torch.tensor([number_of(example.key) for example in examples]),
            "texts": torch.tensor([number_of(caption) for caption in captions]),
            "owners": torch.tensor(owners),
        }


def number_of(value: Hashable) -> int:
    """63 bits that stand for `value` in every process."""
    return int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=8).digest(), "big") >> 1
