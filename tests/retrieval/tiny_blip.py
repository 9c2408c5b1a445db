"""A small BLIP for image-text retrieval on the disk, of transformers' own class, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BlipConfig, BlipForImageTextRetrieval, BlipImageProcessor, BlipProcessor

from tests.retrieval.tiny_encoders import SIDE, TEXT, TOWER, VISION, bert_tokenizer

LENGTH = 30  # tokens that are read


def write_tiny_blip(folder: Path, seed: int = 0, **said: object) -> Path:
    """A checkpoint in `folder` that sees SIDE pixels a side; `said` goes into its config.json.

    Its weights are spread wide, so that one pair of text and picture is clear of the next.
    """
    torch.manual_seed(seed)
    tokenizer = bert_tokenizer(length=512)
    text = TEXT | {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "encoder_hidden_size": TOWER["hidden_size"]}
    vision = VISION | {"initializer_range": 0.02}  # BLIP's own is next to nothing
    model = BlipForImageTextRetrieval(BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=16))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    model.config.update(said)
    model.save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer).save_pretrained(folder)
    return folder
