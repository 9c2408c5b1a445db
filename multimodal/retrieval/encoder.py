"""An encoder of the CLIP kind with its preprocessing: pictures and texts into unit vectors of one space."""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedConfig

from low_vram.memory import release
from multimodal.errors import UserError
from multimodal.retrieval.checkpoint import load_model, refusals

# A picture as the model takes it: its pixels [3, height, width]; or, where the model takes patches in the picture's own proportions (SigLIP
# 2 NaFlex), pixel_values [patches, values of one], pixel_attention_mask [patches] and spatial_shapes [2].
Prepared = torch.Tensor | dict[str, torch.Tensor]

BATCH = 32  # pictures or texts in one pass
SAMPLE = 1024  # values of each parameter that a fingerprint reads, or up to twice as many
# What config.json says that moves no vector: a model that was calibrated anew keeps its space.
NOTES = ("languages", "matches_from", "alike_from", "transformers_version")

# Cosines for checkpoints whose config.json names none. All of them are rules of thumb.
# CLIP: LAION kept captions from 0.28 or 0.3 on (arXiv 2210.08402, 2111.02114); a short text is lower, such as 0.25 for the right word, 0.22
# for a near one and 0.19 for a wrong one (github.com/openai/CLIP, issue 405).
CLIP_MATCHES_FROM = 0.22
# Chinese-CLIP: pairs are at 0.3 to 0.6, its makers advise "0.3, say", and a wrong text was seen above 0.4 (github.com/OFA-Sys/Chinese-CLIP,
# issues 42, 89 and 255): no one cosine parts them well.
CHINESE_CLIP_MATCHES_FROM = 0.33
# SigLIP makes a probability of a cosine by its own scale and bias. It is low even for what is right, so that a hundredth says much.
SIGLIP_MATCHES_FROM = 0.01
# Two pictures: near copies are above some 0.95 (github.com/openai/CLIP, issue 260); this is lower, for the same thing seen another time.
ALIKE_FROM = 0.8

# A vocabulary made for Chinese has thousands of ideographs, BERT's English one a few hundred; one made for English has tens of thousands of
# pieces of words, BERT's Chinese one a few thousand. Pieces of bytes, as in GPT-2's, are not seen to be Chinese.
IDEOGRAPHS = 2000
LATIN_PIECES = 10_000
LATIN = re.compile(r"[#▁Ġ]*[A-Za-z]{2,}(?:</w>)?")


@dataclass(frozen=True)
class Family:
    """What holds for all checkpoints of a model_type: `languages` (None: by the vocabulary), `matches_from` (None: by the model's own scale
    and bias), and `longest_text` in tokens, where it was trained with fewer than it has positions for."""

    languages: tuple[str, ...] | None = None
    matches_from: float | None = None
    longest_text: int | None = None


FAMILIES = {
    # 52: context_length in cn_clip/clip/utils.py. The other positions are as they came with its text model.
    "chinese_clip": Family(("zh",), CHINESE_CLIP_MATCHES_FROM, longest_text=52),
    "clip": Family(("en",), CLIP_MATCHES_FROM),
    "siglip": Family(),  # SigLIP 2 of a fixed size is one as well
    "siglip2": Family(("en", "zh")),
    "vision-text-dual-encoder": Family(matches_from=CLIP_MATCHES_FROM),
}


@dataclass(frozen=True)
class Offer:
    """A checkpoint at Hugging Face: its name there, the languages it understands, and the bytes of its weights (4 for each parameter)."""

    name: str
    languages: tuple[str, ...]
    size: int


MODELS = (
    Offer("OFA-Sys/chinese-clip-vit-base-patch16", ("zh",), 753_051_652),
    Offer("openai/clip-vit-base-patch32", ("en",), 605_109_252),
    Offer("google/siglip2-base-patch16-224", ("en", "zh"), 1_500_751_880),
)

# What a processor calls it that it multiplies bfloat16 by itself. Pictures are encoded so then, in a third of float32's time, and their
# vectors' cosines to float32's are above 0.9999; a card's float16 is no nearer.
MULTIPLIES_BFLOAT16 = ("avx512_bf16", "amx_bf16")


def load_encoder(path: str | Path, device: str = "cpu") -> Encoder:
    """The encoder at `path`, a folder or a hub name as transformers takes it, on `device` ('auto', 'cpu' or 'cuda:N').

    It computes in float32 on a CPU, pictures partly in bfloat16 where the processor is made for it, and in float16 on a card. Safetensors
    are preferred; of a pytorch_model.bin, torch unpickles tensors alone. Code that comes with a checkpoint is never run. Raises UserError.
    """
    with refusals(path, device, "encoder") as chosen:
        return _load(str(path), chosen)


def _load(path: str, device: str) -> Encoder:
    config, _ = PreTrainedConfig.get_config_dict(path)
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise UserError("encoder_unknown", path=path, kind=kind or ("unknown", "未知"), wanted=", ".join(FAMILIES))
    model = load_model(AutoModel, path, "encoder")
    image_processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    name = Path(path).resolve().name
    preprocessing, _ = image_processor.get_image_processor_dict(path)
    return Encoder(f"{name}-{_fingerprint(config, preprocessing, model)}", name, config, model, image_processor, tokenizer, device)


def _fingerprint(config: Mapping[str, Any], preprocessing: Mapping[str, Any], model: torch.nn.Module) -> str:
    """Twelve hexadecimal digits of what a picture's vector depends on: what the files say of the model and of its preprocessing, and the
    shape of each parameter with some of its values, spread over it.

    Training moves them all, so that some suffice. Their names are left out, for they change from one version of transformers to the next.
    """
    said = {key: value for key, value in config.items() if key not in NOTES and not key.startswith("_")}
    digest = hashlib.sha256(json.dumps([said, preprocessing], sort_keys=True).encode())
    parts = []
    for parameter in model.parameters():
        values = parameter.detach().flatten()
        sample = values[:: max(1, len(values) // SAMPLE)].numpy()
        parts.append(f"{tuple(parameter.shape)}".encode() + sample.tobytes())
    for part in sorted(parts):
        digest.update(part)
    return digest.hexdigest()[:12]


class Encoder:
    """A model with its image processor and its tokenizer. Several threads may use it at once.

    Encoding raises RuntimeError once it is closed, and torch's own errors where memory runs out.

    `family`: its model_type. `name`: the last part of its path. `space`: that and a fingerprint; only vectors of one space can be compared.
    `dimension`: of a vector. `languages`: those of 'en' and 'zh' that it understands. `matches_from`: the cosine from which on a text and
    a picture are taken to match, `alike_from`: two pictures. `side`: pixels of a picture's shorter side beyond which no more is seen.
    """

    def __init__(self, space: str, name: str, config: Mapping[str, Any], model: Any, image_processor: Any, tokenizer: Any, device: str):
        """`config`: what config.json says. `model`: in float32; it is moved to `device`."""
        self.space, self.name, self.family = space, name, config["model_type"]
        family, text = FAMILIES[self.family], model.config.text_config
        self._scale = model.logit_scale.exp().item()
        self._bias = model.logit_bias.item() if hasattr(model, "logit_bias") else None  # SigLIP's alone
        self.dimension = model.config.projection_dim if self._bias is None else model.config.vision_config.hidden_size
        self.languages = tuple(config.get("languages") or family.languages or languages_of(tokenizer.get_vocab()))
        matches_from = self._cosine_of(SIGLIP_MATCHES_FROM) if family.matches_from is None else family.matches_from
        self.matches_from = float(config.get("matches_from", matches_from))
        self.alike_from = float(config.get("alike_from", ALIKE_FROM))
        self.side = _side(image_processor)
        positions = text.max_position_embeddings
        if "roberta" in text.model_type:
            positions -= text.pad_token_id + 1  # it counts its positions from behind the padding's
        self._longest_text = min(positions, tokenizer.model_max_length, family.longest_text or positions)
        self._image_processor, self._tokenizer = image_processor, tokenizer
        self._tokenizing = threading.Lock()  # tokenizers keep how they pad and cut between calls
        self._device, self._dtype = device, torch.float32 if device == "cpu" else torch.float16
        self._bfloat16 = device == "cpu" and any(torch.cpu.get_capabilities().get(name) for name in MULTIPLIES_BFLOAT16)
        self._model = model.to(device, self._dtype)

    def prepare(self, image: Image.Image) -> Prepared:
        """One RGB picture as the checkpoint's image processor makes it, on the CPU. Any thread may do it, beside others."""
        parts = {name: value[0] for name, value in self._image_processor(images=image, return_tensors="pt").items()}
        return parts["pixel_values"] if len(parts) == 1 else parts

    def encode_prepared(self, batch: Sequence[Prepared]) -> np.ndarray:
        """Unit vectors, float32 [len(batch), dimension]."""

        def stack(batch: Sequence[Prepared]) -> dict[str, torch.Tensor]:
            parts = [one if isinstance(one, dict) else {"pixel_values": one} for one in batch]
            return {name: torch.stack([one[name] for one in parts]) for name in parts[0]}

        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            return self._encode(batch, stack, self._loaded().get_image_features)

    def encode_pictures(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Unit vectors of RGB pictures, float32 [len(images), dimension]."""
        return self.encode_prepared([self.prepare(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 [len(texts), dimension]. What of a text is longer than the model reads is left out."""
        return self._encode(texts, self._tokenize, self._loaded().get_text_features)

    def probabilities(self, picture_vectors: np.ndarray, text_vectors: np.ndarray) -> np.ndarray:
        """How likely text m is right for picture n, float32 [n, m], from vectors [n, dimension] and [m, dimension].

        Of CLIP and its like they are one choice among these texts (each row sums to 1); of SigLIP each pair is judged by itself.
        """
        cosines = np.asarray(picture_vectors, np.float32) @ np.asarray(text_vectors, np.float32).T
        logits = torch.from_numpy(self._scale * cosines)
        return (logits.softmax(dim=1) if self._bias is None else (logits + self._bias).sigmoid()).numpy()

    def close(self) -> None:
        """Let go of the weights. What is being encoded is finished."""
        self._model = None
        release(self._device)

    def _loaded(self) -> Any:
        model = self._model
        if model is None:
            raise RuntimeError(f"the encoder {self.name} is closed")
        return model

    def _tokenize(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        # SigLIP was trained on lower case, padded to the full length and without a mask, which not all of its tokenizers know
        whole = self._bias is not None
        texts, padding = ([text.lower() for text in texts], "max_length") if whole else (list(texts), "longest")
        with self._tokenizing:
            tokens = self._tokenizer(texts, padding=padding, truncation=True, max_length=self._longest_text, return_tensors="pt")
        return {"input_ids": tokens["input_ids"]} if whole else dict(tokens)

    def _encode(self, items: Sequence[Any], collate: Callable[..., dict[str, torch.Tensor]], features: Callable[..., Any]) -> np.ndarray:
        vectors = [np.empty((0, self.dimension), np.float32)]
        for start in range(0, len(items), BATCH):
            inputs = collate(items[start : start + BATCH])
            with torch.inference_mode():
                found = features(**{name: self._move(value) for name, value in inputs.items()})
                pooled = found if isinstance(found, torch.Tensor) else found.pooler_output  # a tensor before transformers 5
                vectors.append(torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy())
        return np.concatenate(vectors)

    def _move(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self._device, self._dtype if value.is_floating_point() else None)

    def _cosine_of(self, probability: float) -> float:
        """Where sigmoid(scale * cosine + bias) is `probability`."""
        return (math.log(probability / (1 - probability)) - self._bias) / self._scale


def languages_of(vocabulary: Iterable[str]) -> tuple[str, ...]:
    """Those of 'en' and 'zh' that a tokenizer's vocabulary seems made for; 'en' where it seems made for neither."""
    pieces = list(vocabulary)
    chinese = len({sign for piece in pieces for sign in piece if "\u4e00" <= sign <= "\u9fff"}) >= IDEOGRAPHS
    english = sum(LATIN.fullmatch(piece) is not None for piece in pieces) >= LATIN_PIECES
    return (*(("en",) if english or not chinese else ()), *(("zh",) if chinese else ()))


def _side(image_processor: Any) -> int:
    patches = getattr(image_processor, "max_num_patches", None)
    if patches:
        return image_processor.patch_size * math.isqrt(patches)
    return min(dict(image_processor.size).values())
