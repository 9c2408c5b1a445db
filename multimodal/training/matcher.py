"""A cross encoder with its preprocessing: a pretrained BLIP, or a small one that begins from nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    BaseImageProcessor,
    BlipConfig,
    BlipForImageTextRetrieval,
    BlipImageProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from multimodal.errors import UserError
from multimodal.retrieval.checkpoint import load_model, refusals
from multimodal.training.cross_encoder import CrossEncoder
from multimodal.training.tokenizer import make_tokenizer

LONGEST = 64  # tokens of a caption, where the model takes as many
# What begins from nothing, beside its hidden size: for pictures of 128 pixels.
SIDE, PATCH = 128, 16
VOCABULARY = 8_000
LAYERS = 4  # of either tower
WIDENING = 3  # times the hidden size: what is between two layers
HEAD = 64  # numbers of an attention head, where there are enough of them


@dataclass(frozen=True)
class Matcher:
    """A cross encoder, not trained yet, with what its pictures and captions are prepared with. `longest`: tokens of a caption."""

    model: CrossEncoder
    tokenizer: PreTrainedTokenizerBase
    image_processor: BaseImageProcessor
    longest: int

    @property
    def side(self) -> int:
        """Pixels that it sees of a picture's shorter side."""
        return min(dict(self.image_processor.size).values())


def make_matcher(path: str | None, captions: Iterable[str], dimension: int, seed: int, **attributes: object) -> Matcher:
    """`path`: folder or hub name of a BlipForImageTextRetrieval; None begins from nothing, with a tokenizer made from `captions`.

    `dimension`: the hidden size of both towers of what begins from nothing. `attributes` are kept in the configuration. Raises UserError.
    """
    torch.manual_seed(seed)
    if path:
        blip, tokenizer, image_processor = _pretrained(path)
    else:
        tokenizer = make_tokenizer(captions, VOCABULARY, LONGEST)
        blip, image_processor = _small(tokenizer, dimension), BlipImageProcessor(size={"height": SIDE, "width": SIDE})
    blip.config.update(attributes)
    longest = min(LONGEST, blip.config.text_config.max_position_embeddings, tokenizer.model_max_length)
    return Matcher(CrossEncoder(blip), tokenizer, image_processor, longest)


def _pretrained(path: str) -> tuple[BlipForImageTextRetrieval, PreTrainedTokenizerBase, BaseImageProcessor]:
    with refusals(path, "cpu", "cross"):
        kind = PreTrainedConfig.get_config_dict(path)[0].get("model_type")
        if kind != "blip":
            raise UserError("cross_unknown", path=path, kind=kind or ("unknown", "未知"), wanted=BlipForImageTextRetrieval.__name__)
        blip = load_model(BlipForImageTextRetrieval, path, "cross")  # a BLIP for other tasks lacks weights, and is refused
        return blip, *(part.from_pretrained(path, trust_remote_code=False) for part in (AutoTokenizer, AutoImageProcessor))


def _small(tokenizer: PreTrainedTokenizerBase, dimension: int) -> BlipForImageTextRetrieval:
    sizes = {
        "hidden_size": dimension,
        "intermediate_size": WIDENING * dimension,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": heads_of(dimension),
        # BLIP's own of its vision tower, 1e-10, is for one that is loaded; from nothing it learns nothing
        "initializer_range": 0.6 / dimension**0.5,
    }
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LONGEST,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    vision = {"image_size": SIDE, "patch_size": PATCH}
    config = BlipConfig(text_config=sizes | text, vision_config=sizes | vision, image_text_hidden_size=dimension)
    return BlipForImageTextRetrieval(config)


def heads_of(dimension: int) -> int:
    """The most attention heads that divide it without having less than HEAD numbers each; up to 4 whatever they have."""
    return max(count for count in range(1, max(4, dimension // HEAD) + 1) if dimension % count == 0)
