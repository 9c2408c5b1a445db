"""A BLIP that judges whether words describe a picture, by cross attention, with transformers' Trainer around it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import BlipForImageTextRetrieval

from multimodal.errors import UserError
from multimodal.training.cached import Batch
from multimodal.training.measured_trainer import MeasuredTrainer


class CrossEncoder(torch.nn.Module):
    """The matching half of `blip`: its projections into a space of vectors, which the judgement does not use, stay as they are.

    BlipForImageTextRetrieval's own forward would see a picture once for every pair that it is in.
    """

    def __init__(self, blip: BlipForImageTextRetrieval):
        super().__init__()
        self.blip = blip
        for projection in (blip.vision_proj, blip.text_proj):
            projection.requires_grad_(False)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, pixel_values: torch.Tensor, texts: torch.Tensor, pictures: torch.Tensor
    ) -> torch.Tensor:
        """Logits [pairs, 2] of a TripleCollator's pairs: that the text does not describe the picture, and that it does."""
        seen = self.blip.vision_model(pixel_values=pixel_values).last_hidden_state[pictures]
        # without a mask for the patches, of which all are seen
        read = self.blip.text_encoder(input_ids=input_ids[texts], attention_mask=attention_mask[texts], encoder_hidden_states=seen)
        return self.blip.itm_head(read.last_hidden_state[:, 0])


class CrossEncoderTrainer(MeasuredTrainer):
    """Trainer for batches of a TripleCollator: the image-text matching loss of ALBEF (Li et al. 2021, arXiv 2107.07651, eq. 4) and BLIP
    (Li et al. 2022, arXiv 2201.12086, section 3.2), a cross entropy over right and wrong pairs."""

    def compute_loss(
        self, model: torch.nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: object = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The mean over the pairs."""
        logits = model(**{name: tensor for name, tensor in inputs.items() if name != "labels"})
        loss = cross_entropy(logits.float(), inputs["labels"])
        return (loss, logits) if return_outputs else loss

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Raises UserError where the loss is no number any more."""
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise UserError("training_nan", step=self.state.global_step + 1)
        return loss
