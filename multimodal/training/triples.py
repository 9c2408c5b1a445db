"""What a cross encoder learns from, one by one, and as batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from transformers import BaseImageProcessor, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Triple:
    """A picture (RGB) with a caption of its own, a picture that this caption does not fit, and a caption that does not fit this picture;
    None where there is none."""

    picture: Image.Image
    caption: str
    wrong_picture: Image.Image | None
    wrong_caption: str | None


@dataclass(frozen=True)
class TripleCollator:
    """Triples into pairs of a text and a picture.

    `input_ids` and `attention_mask` [texts, tokens], `pixel_values` [images, 3, height, width]; of each pair the row of its text and
    that of its picture, `texts` and `pictures` int64 [pairs]; and `labels` int64 [pairs], 1 where the text describes the picture, else 0.
    """

    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    longest: int  # tokens of a text; what is longer is cut

    def __call__(self, triples: Sequence[Triple]) -> dict[str, torch.Tensor]:
        texts, images = [triple.caption for triple in triples], [triple.picture for triple in triples]
        pairs = [(row, row, 1) for row in range(len(triples))]
        for row, triple in enumerate(triples):
            if triple.wrong_picture is not None:
                pairs.append((row, len(images), 0))
                images.append(triple.wrong_picture)
            if triple.wrong_caption is not None:
                pairs.append((len(texts), row, 0))
                texts.append(triple.wrong_caption)
        columns = torch.tensor(pairs).unbind(1)
        pixels = self.image_processor(images=images, return_tensors="pt")["pixel_values"]
        return self.tokens(texts) | {"pixel_values": pixels} | dict(zip(("texts", "pictures", "labels"), columns, strict=True))

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask` [texts, tokens]."""
        found = self.tokenizer(list(texts), padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        return {name: found[name] for name in ("input_ids", "attention_mask")}
