"""What a dual encoder under training finds among pictures that it is not trained with, and the cosines from which something matches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import VisionTextDualEncoderModel

from multimodal.errors import UserError
from multimodal.training.captioned import Captioned
from multimodal.training.epochs import read_image
from multimodal.training.recall import AT, both_ways
from multimodal.training.towers import Towers

BATCH = 32
MOST = 1_000  # pictures judged on while training goes on
ALIKE_SHARE = 0.001  # of random pairs of pictures that are taken to be alike


class Measuring:
    """Called with the model, gives its Recall@K by name, and their sum as `recall`: what the best of the checkpoints is chosen by."""

    def __init__(self, pictures: Sequence[Captioned], towers: Towers):
        """The first MOST of `pictures`; those that cannot be opened are passed over."""
        self.towers = towers
        self.pictures = []
        for picture in pictures[:MOST]:
            try:
                read_image(picture, towers.side)
            except UserError:
                continue
            self.pictures.append(picture)
        self.captions = [caption for picture in self.pictures for caption in picture.captions]
        self.owners = np.array([row for row, picture in enumerate(self.pictures) for _ in picture.captions], np.int64)

    def __call__(self, model: VisionTextDualEncoderModel) -> dict[str, float]:
        captions, pictures = self.vectors(model)
        found = {f"{way}_R@{k}": recall.at[k] for way, recall in both_ways(captions, pictures, self.owners).items() for k in AT}
        return found | {"recall": sum(found.values())}

    def vectors(self, model: VisionTextDualEncoderModel) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors, float32: of the captions [c, dimension] and of the pictures [p, dimension]."""
        return self._encoded(model, self._texts()), self._encoded(model, self._images())

    def calibrate(self, model: VisionTextDualEncoderModel) -> dict[str, float]:
        """`matches_from`: the cosine from which on taking a caption and a picture to match is right most often, by F1. `alike_from`: the
        one that ALIKE_SHARE of pairs of different pictures are above."""
        captions, pictures = self.vectors(model)
        right = self.owners[:, None] == np.arange(len(pictures))
        pairs = (pictures @ pictures.T)[np.triu_indices(len(pictures), 1)]
        alike = float(np.quantile(pairs, 1 - ALIKE_SHARE)) if len(pairs) else 1.0
        return {"matches_from": best_threshold((captions @ pictures.T).ravel(), right.ravel()), "alike_from": min(alike, 0.99)}

    def _encoded(self, model: VisionTextDualEncoderModel, batches: Iterator[dict[str, torch.Tensor]]) -> np.ndarray:
        device, found = next(model.parameters()).device, []
        with torch.inference_mode():
            for batch in batches:
                inputs = {name: tensor.to(device) for name, tensor in batch.items()}
                features = model.get_image_features if "pixel_values" in inputs else model.get_text_features
                found.append(torch.nn.functional.normalize(features(**inputs).pooler_output.float(), dim=-1).cpu().numpy())
        return np.concatenate(found)

    def _texts(self) -> Iterator[dict[str, torch.Tensor]]:
        for start in range(0, len(self.captions), BATCH):
            part = self.captions[start : start + BATCH]
            yield dict(self.towers.tokenizer(part, padding=True, truncation=True, max_length=self.towers.longest, return_tensors="pt"))

    def _images(self) -> Iterator[dict[str, torch.Tensor]]:
        for start in range(0, len(self.pictures), BATCH):
            images = [read_image(picture, self.towers.side) for picture in self.pictures[start : start + BATCH]]
            yield {"pixel_values": self.towers.image_processor(images=images, return_tensors="pt")["pixel_values"]}


def best_threshold(cosines: np.ndarray, right: np.ndarray) -> float:
    """The cosine from which on taking pairs as right has the highest F1; half-way to the next lower one. Both arrays are [pairs]."""
    order = np.argsort(-cosines)
    hits = right[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + right.sum())
    last = int(f1.argmax())
    return float(cosines[order[last : last + 2]].mean())
