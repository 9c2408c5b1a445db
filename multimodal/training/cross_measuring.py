"""What a cross encoder under training finds among pictures that it is not trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from multimodal.retrieval.encoder import Encoder
from multimodal.training.captioned import Captioned
from multimodal.training.cross_encoder import CrossEncoder
from multimodal.training.encoding import encoded
from multimodal.training.epochs import read_image
from multimodal.training.fitting import Fitting
from multimodal.training.matcher import Matcher
from multimodal.training.negatives import AnyNegatives
from multimodal.training.recall import AT, recall_of
from multimodal.training.reranking import judged, shortlist
from multimodal.training.triple_epochs import TripleEpochs
from multimodal.training.triples import TripleCollator

BATCH = 32  # texts, or triples, in one pass
MOST = 200  # pictures judged on while training goes on
K = 10  # of the dual encoder's best that are put in order


class Reranking:
    """Called with the model, gives the Recall@K by name once it has put a dual encoder's best K in order, and the sum of both R@1 as
    `recall`: what the best of the checkpoints is chosen by. Words are the first caption of each picture."""

    best = "recall"

    def __init__(self, pictures: Sequence[Captioned], matcher: Matcher, encoder: Encoder):
        """The first MOST of `pictures`; those that cannot be opened are passed over. Raises UserError where none can."""
        kept, vectors = encoded(encoder, pictures[:MOST])
        self.fitting, self._matcher = Fitting(kept), matcher
        self._collator = TripleCollator(matcher.tokenizer, matcher.image_processor, matcher.longest)
        captions, rows = encoder.encode_texts(self.fitting.captions), np.arange(len(kept))
        self._t2i = shortlist(captions[self.fitting.firsts], vectors, rows, rows, K)
        self._i2t = shortlist(vectors, captions, rows, self.fitting.owners, K)

    def __call__(self, model: CrossEncoder) -> dict[str, float]:
        def judge(picture: int, captions: Sequence[int]) -> np.ndarray:
            image = read_image(self.fitting.pictures[picture], self._matcher.side)
            pixels = self._matcher.image_processor(images=[image], return_tensors="pt")["pixel_values"].to(device)
            found = []
            for start in range(0, len(captions), BATCH):
                texts = self._collator.tokens([self.fitting.captions[number] for number in captions[start : start + BATCH]])
                count = len(texts["input_ids"])
                pairs = {"texts": torch.arange(count), "pictures": torch.zeros(count, dtype=torch.long)}
                inputs = {name: tensor.to(device) for name, tensor in (texts | pairs).items()}
                found.append(model(pixel_values=pixels, **inputs).float().softmax(1)[:, 1].cpu().numpy())
            return np.concatenate(found)

        device = next(model.parameters()).device
        with torch.inference_mode():
            scores = judged(self._t2i, self._i2t, self.fitting.firsts, judge)
        ways = zip(("t2i", "i2t"), (self._t2i, self._i2t), scores, strict=True)
        recalls = {way: recall_of(found.ranks_after(score, K)).at for way, found, score in ways}
        return {f"{way}_R@{k}": at[k] for way, at in recalls.items() for k in AT} | {"recall": sum(at[1] for at in recalls.values())}


class Accuracy:
    """Called with the model, gives the percentage of pairs that it is right about, as `accuracy`: of right ones and of wrong ones half
    each, so that chance finds 50."""

    best = "accuracy"

    def __init__(self, pictures: Sequence[Captioned], matcher: Matcher, seed: int):
        """Of the first MOST of `pictures`; one that cannot be opened is passed over. Raises UserError where none can."""
        self.fitting = Fitting(pictures[:MOST])
        self._triples = TripleEpochs(self.fitting, AnyNegatives(self.fitting), matcher.side, seed, augment=False)
        self._collator = TripleCollator(matcher.tokenizer, matcher.image_processor, matcher.longest)
        _ = self._triples[0]

    def __call__(self, model: CrossEncoder) -> dict[str, float]:
        device, found = next(model.parameters()).device, []
        with torch.inference_mode():
            for start in range(0, len(self._triples), BATCH):
                triples = [self._triples[place] for place in range(start, min(start + BATCH, len(self._triples)))]
                inputs = {name: tensor.to(device) for name, tensor in self._collator(triples).items()}
                labels = inputs.pop("labels")
                found.append(torch.stack([labels, model(**inputs).argmax(1) == labels]).cpu())
        labels, right = torch.cat(found, dim=1)
        parts = [right[labels == label].float().mean().item() for label in (0, 1) if (labels == label).any()]
        return {"accuracy": 100 * sum(parts) / len(parts)}
