"""A dual encoder of transformers, learned by contrast, with transformers' Trainer around it."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import PreTrainedConfig, VisionTextDualEncoderConfig, VisionTextDualEncoderModel

from multimodal.errors import UserError
from multimodal.training.cached import Batch, backward, gathered, pieces_of
from multimodal.training.contrastive import contrastive_loss, same_key_or_caption
from multimodal.training.layers import parameter_groups
from multimodal.training.measured_trainer import MeasuredTrainer

HOTTEST = math.log(100.0)  # of the logit scale, as in CLIP (Radford et al. 2021, section 2.5)
FITTING = ("keys", "texts", "owners", "matches")  # of a batch: what tells which caption fits which picture


def make_dual_encoder(vision: PreTrainedConfig, text: PreTrainedConfig, dimension: int, **attributes: object) -> VisionTextDualEncoderModel:
    """A dual encoder with random weights; its vectors have `dimension` numbers. `attributes` are kept in its configuration."""
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=dimension, **attributes)
    return VisionTextDualEncoderModel(config)


class DualEncoderTrainer(MeasuredTrainer):
    """Trainer for batches of a Collator. Every caption of a step is set against every picture of it: of all processes, and of all batches
    that are accumulated.

    `piece`: captions and pictures computed at once; None: a whole batch of a process. It moves nothing but memory and time.
    `threshold`: the cosine from which words and a picture are to match. None: only their order is learned.
    `layer_decay`: of the learning rate from a layer to the one below; see parameter_groups.
    """

    def __init__(
        self,
        *args: Any,
        piece: int | None = None,
        threshold: float | None = None,
        layer_decay: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.piece, self.threshold, self.layer_decay = piece, threshold, layer_decay
        self._held: list[Batch] = []  # of the step that is being gathered

    def training_step(self, model: torch.nn.Module, inputs: Batch, num_items_in_batch: object = None) -> torch.Tensor:
        """Hold the batch until the step has all of its own, then compute all their gradients. Returns the loss: 0 for what is held.

        Raises UserError where the loss is no number any more.
        """
        self._held.append(self._prepare_inputs(inputs))
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        batches, self._held = self._held, []
        model.train()
        scale = self.accelerator.unwrap_model(model).logit_scale
        with torch.no_grad():
            scale.clamp_(max=HOTTEST)
        matches = self._matches(batches)

        def loss(captions: torch.Tensor, pictures: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            heat = scale.exp()
            return contrastive_loss(heat * captions @ pictures.T, matches, None if self.threshold is None else self.threshold * heat)

        inputs_alone = [{name: tensor for name, tensor in batch.items() if name not in FITTING} for batch in batches]
        pieces = [piece for batch in inputs_alone for piece in pieces_of(batch, self.piece)]
        found = backward(self.accelerator, model, pieces, _features, loss, scale, self.compute_loss_context_manager)
        if not torch.isfinite(found):
            raise UserError("training_nan", step=self.state.global_step + 1)
        return found

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW, deeper layers at lower rates."""
        if self.optimizer is None:
            groups = parameter_groups(self.model, self.args.learning_rate, self.layer_decay, self.args.weight_decay)
            self.optimizer = torch.optim.AdamW(groups, betas=(self.args.adam_beta1, self.args.adam_beta2), eps=self.args.adam_epsilon)
        return self.optimizer

    def _matches(self, batches: list[Batch]) -> torch.Tensor:
        """int64 [captions, pictures] of all batches of all processes, in the order in which `backward` joins their features."""
        if "matches" in batches[0]:
            if len(batches) > 1 or self.accelerator.num_processes > 1:
                raise ValueError("what a judge says of one batch cannot be joined with another's")
            return batches[0]["matches"]
        owners, before = [], 0
        for batch in batches:
            owners.append(batch["owners"] + before)
            before += len(batch["keys"])
        keys = gathered(self.accelerator, torch.cat([batch["keys"] for batch in batches]))
        texts = gathered(self.accelerator, torch.cat([batch["texts"] for batch in batches]))
        owned, before = [], 0
        for own, part in zip(gathered(self.accelerator, torch.cat(owners)), keys, strict=True):
            owned.append(own + before)
            before += len(part)
        return same_key_or_caption(torch.cat(keys), torch.cat(texts), torch.cat(owned))


def _features(model: torch.nn.Module, piece: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    outputs = model(**piece)
    return outputs.text_embeds, outputs.image_embeds
