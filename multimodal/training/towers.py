"""The towers of a dual encoder with their preprocessing: pretrained ones, or small ones that begin from nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    BaseImageProcessor,
    BertConfig,
    CLIPVisionModel,
    ConvNextConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    ViTImageProcessor,
)

from low_vram.memory import ran_out
from multimodal.errors import UserError
from multimodal.training.tokenizer import make_tokenizer

log = logging.getLogger(__name__)

LONGEST = 64  # tokens of a caption, where the text tower takes as many: Flickr8k's longest has some 40 words


@dataclass(frozen=True)
class Size:
    """Of what begins from nothing: pixels of a picture's `side`, pieces of the `vocabulary`, tokens of the `longest` caption, and what
    transformers' ConvNext and BERT are made with."""

    side: int
    vocabulary: int
    longest: int
    vision: Mapping[str, Any]
    text: Mapping[str, Any]


SIZES = {
    # about eight million parameters
    "small": Size(
        128,
        8_000,
        LONGEST,
        {"hidden_sizes": [48, 96, 192, 320], "depths": [2, 2, 4, 2]},
        {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 768, "hidden_dropout_prob": 0.1},
    ),
    # about one million: enough for a toy world, and quickly trained on a processor
    "tiny": Size(
        64,
        704,
        32,
        {"hidden_sizes": [24, 48, 120, 144], "depths": [1, 1, 3, 1], "initializer_range": 0.05},
        {
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 256,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "type_vocab_size": 1,
            "initializer_range": 0.05,
        },
    ),
}


@dataclass(frozen=True)
class Towers:
    """A dual encoder, not trained yet, with what its pictures and captions are prepared with. `longest`: tokens of a caption."""

    model: VisionTextDualEncoderModel
    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    longest: int

    @property
    def side(self) -> int:
        """Pixels that the vision tower sees of a picture's shorter side."""
        return min(dict(self.image_processor.size).values())


def make_towers(
    vision: str | None, text: str | None, captions: Iterable[str], dimension: int, seed: int, size: str = "small", **attributes: object
) -> Towers:
    """`vision` and `text`: folders or hub names of transformers' models; None begins from nothing, with a tokenizer made from `captions`,
    in one of SIZES.

    `dimension`: of the vectors. `attributes` are kept in the configuration. Raises UserError.
    """
    torch.manual_seed(seed)
    made = SIZES[size]
    if text:
        text_model, tokenizer = _pretrained(text), _processor(AutoTokenizer, text)
    else:
        tokenizer = make_tokenizer(captions, made.vocabulary, made.longest)
        sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": made.longest, "pad_token_id": tokenizer.pad_token_id}
        text_model = AutoModel.from_config(BertConfig(**made.text, **sizes))
    if vision:
        vision_model, image_processor = _pretrained(vision, vision=True), _processor(AutoImageProcessor, vision)
    else:
        # ConvNext has no hidden_size of its own; the dual encoder asks for it
        width = made.vision["hidden_sizes"][-1]
        config = ConvNextConfig(**made.vision, image_size=made.side, hidden_size=width, layer_scale_init_value=0.5)
        vision_model = AutoModel.from_config(config)
        image_processor = ViTImageProcessor(size={"height": made.side, "width": made.side})
    config = VisionTextDualEncoderConfig.from_vision_text_configs(
        vision_model.config, text_model.config, projection_dim=dimension, **attributes
    )
    model = VisionTextDualEncoderModel(config, vision_model, text_model)
    positions = getattr(model.config.text_config, "max_position_embeddings", LONGEST)
    if "roberta" in model.config.text_config.model_type:
        positions -= model.config.text_config.pad_token_id + 1  # it counts its positions from behind the padding's
    return Towers(model, tokenizer, image_processor, min(LONGEST, positions, tokenizer.model_max_length))


def _pretrained(path: str, vision: bool = False) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if vision and config.model_type == "clip":  # as VisionTextDualEncoderModel.from_vision_text_pretrained does
            model = CLIPVisionModel.from_pretrained(path, config=config.vision_config, dtype=torch.float32)
        else:
            model = AutoModel.from_pretrained(path, dtype=torch.float32, trust_remote_code=False)
    except Exception as error:  # the libraries have many ways to refuse a checkpoint
        raise _refused(path, error) from error
    if not hasattr(model.config, "hidden_size"):
        raise UserError("backbone_unknown", path=path, kind=model.config.model_type)
    return model


def _processor(kind: type, path: str) -> PreTrainedTokenizerBase | BaseImageProcessor:
    try:
        return kind.from_pretrained(path, trust_remote_code=False)
    except Exception as error:
        raise _refused(path, error) from error


def _refused(path: str, error: Exception) -> UserError:
    if ran_out(error):
        return UserError("model_too_large", path=path)
    log.exception("Loading %s failed", path)
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    fetching = isinstance(error, OSError) and not Path(path).is_dir()
    return UserError("encoder_not_fetched" if fetching else "encoder_broken", path=path, reason=reason)
