"""Small encoders of every family on the disk, of transformers' own classes, with random weights. `write_tiny_encoder` makes one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessor,
    ChineseCLIPModel,
    ChineseCLIPProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    GemmaTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    Siglip2Config,
    Siglip2ImageProcessor,
    Siglip2Model,
    Siglip2Processor,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
    ViTConfig,
    ViTImageProcessor,
)

SIDE, PATCH, DIMENSION, POSITIONS = 32, 8, 24, 20
LETTERS = [chr(code) for code in range(33, 127)]
HANZI = list("一只猫在红色的车上狗蓝天海山大小")
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = TOWER | {"max_position_embeddings": POSITIONS}
VISION = TOWER | {"image_size": SIDE, "patch_size": PATCH}


def bert_tokenizer(length: int) -> BertTokenizer:
    """One that reads sign by sign, up to `length` tokens."""
    signs = [*LETTERS, *HANZI]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs)]
    return BertTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, model_max_length=length)


def _clip_tokenizer() -> CLIPTokenizer:
    pieces = [*LETTERS, *(f"{sign}</w>" for sign in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, merges=[], model_max_length=POSITIONS)


def _gemma_tokenizer(kind: type[PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
    """As in the SigLIP 2 checkpoints: without a length of its own, padded on the right, and without a mask."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS, *HANZI]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    return kind(vocab=vocabulary, merges=[], padding_side="right", model_input_names=["input_ids"])


def _clip() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = _clip_tokenizer()
    text = TEXT | {"vocab_size": len(tokenizer), "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIMENSION))
    images = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    return model, CLIPProcessor(images, tokenizer)


def _chinese_clip() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = bert_tokenizer(length=512)
    text = TEXT | {"vocab_size": len(tokenizer), "max_position_embeddings": 64}
    model = ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIMENSION))
    images = ChineseCLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    return model, ChineseCLIPProcessor(images, tokenizer)


def _siglip() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = _gemma_tokenizer(GemmaTokenizer)
    text = TEXT | {"vocab_size": len(tokenizer), "projection_size": DIMENSION, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=VISION | {"hidden_size": DIMENSION}))
    return model, SiglipProcessor(SiglipImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)


def _siglip2() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = _gemma_tokenizer(Siglip2Tokenizer)
    text = TEXT | {"vocab_size": len(tokenizer), "projection_size": DIMENSION, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    vision = TOWER | {"hidden_size": DIMENSION, "patch_size": PATCH, "num_patches": 16}
    images = Siglip2ImageProcessor(patch_size=PATCH, max_num_patches=16)
    return Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)), Siglip2Processor(images, tokenizer)


def _dual_encoder() -> tuple[PreTrainedModel, ProcessorMixin]:
    tokenizer = bert_tokenizer(length=POSITIONS)
    text, vision = BertConfig(**TEXT, vocab_size=len(tokenizer)), ViTConfig(**VISION)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=DIMENSION)
    images = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    return VisionTextDualEncoderModel(config), VisionTextDualEncoderProcessor(images, tokenizer)


FAMILIES: dict[str, Callable[[], tuple[PreTrainedModel, ProcessorMixin]]] = {
    "clip": _clip,
    "chinese_clip": _chinese_clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "vision-text-dual-encoder": _dual_encoder,
}


def write_tiny_encoder(folder: Path, family: str = "clip", seed: int = 0, **said: object) -> Path:
    """A checkpoint of `family` in `folder`; `said` goes into its config.json. Vectors have DIMENSION values, pictures SIDE pixels a side.

    Its weights are spread wide, so that one picture is clear of the next.
    """
    torch.manual_seed(seed)
    model, processor = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
        if hasattr(model, "logit_bias"):  # as SigLIP's are after training
            model.logit_scale.fill_(4.7)
            model.logit_bias.fill_(-12.9)
    model.config.update(said)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
