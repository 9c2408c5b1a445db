"""A model of the BLIP kind, which reads a text while it looks at a picture: how likely the one describes the other."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval, PreTrainedConfig

from low_vram.memory import release
from multimodal.errors import UserError
from multimodal.retrieval.checkpoint import load_model, refusals
from multimodal.retrieval.encoder import MULTIPLIES_BFLOAT16, languages_of

ARCHITECTURE = "BlipForImageTextRetrieval"
BATCH = 8  # pictures in one pass: at 384 pixels a side the attention of one layer alone takes 16 MB for each


def load_reranker(path: str | Path, device: str = "cpu") -> Reranker:
    """The model at `path`, a folder or a hub name as transformers takes it, on `device` ('auto', 'cpu' or 'cuda:N').

    It computes in float32 on a CPU, pictures partly in bfloat16 where the processor is made for it, and in float16 on a card. Code that
    comes with a checkpoint is never run. Raises UserError.
    """
    with refusals(path, device, "cross") as chosen:
        return _load(str(path), chosen)


def _load(path: str, device: str) -> Reranker:
    config, _ = PreTrainedConfig.get_config_dict(path)
    made = config.get("architectures") or [config.get("model_type") or ("unknown", "未知")]
    if config.get("model_type") != "blip" or ARCHITECTURE not in made:
        raise UserError("cross_unknown", path=path, kind=made[0], wanted=ARCHITECTURE)
    model = load_model(BlipForImageTextRetrieval, path, "cross")
    image_processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    return Reranker(Path(path).resolve().name, config, model, image_processor, tokenizer, device)


class Reranker:
    """A model with its image processor and its tokenizer. Several threads may use it at once.

    Scoring raises RuntimeError once it is closed, and torch's own errors where memory runs out.

    `name`: the last part of its path. `languages`: those of 'en' and 'zh' that it understands. `side`: pixels of a picture's shorter side
    beyond which no more is seen.
    """

    def __init__(self, name: str, config: Mapping[str, Any], model: Any, image_processor: Any, tokenizer: Any, device: str):
        """`config`: what config.json says. `model`: in float32; it is moved to `device`."""
        self.name = name
        self.languages = tuple(config.get("languages") or languages_of(tokenizer.get_vocab()))
        self.side = min(dict(image_processor.size).values())
        self._longest_text = min(model.config.text_config.max_position_embeddings, tokenizer.model_max_length)
        self._image_processor, self._tokenizer = image_processor, tokenizer
        self._tokenizing = threading.Lock()  # tokenizers keep how they pad and cut between calls
        self._device, self._dtype = device, torch.float32 if device == "cpu" else torch.float16
        self._bfloat16 = device == "cpu" and any(torch.cpu.get_capabilities().get(name) for name in MULTIPLIES_BFLOAT16)
        self._model = model.to(device, self._dtype)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """One RGB picture as the checkpoint's image processor makes it, float32 [3, height, width] on the CPU. Any thread may do it."""
        return self._image_processor(images=image, return_tensors="pt")["pixel_values"][0]

    def scores(self, texts: Sequence[str], prepared: Sequence[torch.Tensor]) -> np.ndarray:
        """How likely each text describes each picture: float32 [texts, pictures], each pair by itself, from 0 to 1.

        What of a text is longer than the model reads is left out. A picture is looked at once, for all texts.
        """
        model = self._model
        if model is None:
            raise RuntimeError(f"the model {self.name} is closed")
        read = [self._tokenize(text) for text in texts]
        likely = np.empty((len(texts), len(prepared)), np.float32)
        for start in range(0, len(prepared), BATCH):
            batch = torch.stack(list(prepared[start : start + BATCH]))
            with torch.inference_mode():
                seen = self._look(model, batch)
                for row, tokens in enumerate(read):
                    likely[row, start : start + BATCH] = self._match(model, tokens, seen)
        return likely

    def close(self) -> None:
        """Let go of the weights. What is being scored is finished."""
        self._model = None
        release(self._device)

    def _tokenize(self, text: str) -> torch.Tensor:
        """int64 [1, tokens]."""
        with self._tokenizing:
            tokens = self._tokenizer(text, truncation=True, max_length=self._longest_text, return_tensors="pt")
        return tokens["input_ids"].to(self._device)

    def _look(self, model: BlipForImageTextRetrieval, pixels: torch.Tensor) -> torch.Tensor:
        """[pictures, patches and one, width] of pixels [pictures, 3, height, width]."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            seen = model.vision_model(pixel_values=pixels.to(self._device, self._dtype)).last_hidden_state
        return seen.to(self._dtype)

    @staticmethod
    def _match(model: BlipForImageTextRetrieval, tokens: torch.Tensor, seen: torch.Tensor) -> np.ndarray:
        """float32 [pictures]. As the model's own forward, which looks at the picture anew for each text, and makes a mask on the CPU."""
        tokens = tokens.expand(len(seen), -1)
        said = model.text_encoder(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
        )
        return model.itm_head(said.last_hidden_state[:, 0]).float().softmax(dim=1)[:, 1].cpu().numpy()
