"""What a Qwen2.5-Omni is made of, from its configuration alone: on the meta device, without weights."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

from low_vram.arrangement import EMBEDDINGS, LAYERS, PARTS, SOUND, TALKER
from low_vram.quantize import can_fuse, int8_bytes, nf4_bytes

KNOWN = {"3b": "qwen2.5-omni-3b.json", "7b": "qwen2.5-omni-7b.json"}


class UnknownModel(ValueError):
    """The configuration is missing, incomplete, or of another kind; the message is a sentence that says so."""


@dataclass(frozen=True)
class Part:
    """The tensors of one part: how many linear layers of each shape (out, in, with bias), and the elements of everything else.

    `fixed` are the bytes of buffers, which stay as they are in any precision.
    """

    linears: tuple[tuple[tuple[int, int, bool], int], ...]
    others: int
    fixed: int

    def bytes(self, precision: str, width: int, on_cpu: bool = False) -> int:
        """In 'nf4', 'int8' or 'stored' precision, where an element takes `width` bytes; a CPU's kernels want a little more."""
        total = self.others * width + self.fixed
        for (rows, columns, bias), count in self.linears:
            if precision == "nf4":
                fused = on_cpu and can_fuse(columns, rows, torch.bfloat16 if width == 2 else torch.float32)
                weight = nf4_bytes(rows, columns, fused)
            else:
                weight = int8_bytes(rows, columns) if precision == "int8" else rows * columns * width
            total += count * (weight + (rows * width if bias else 0))
        return total

    @property
    def largest(self) -> int:
        """Elements of the largest linear layer: what unpacking one takes."""
        return max((rows * columns for (rows, columns, _), _ in self.linears), default=0)


@dataclass(frozen=True)
class Decoder:
    """The shape of a text model, the thinker's or the talker's. Sizes in elements."""

    inputs: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    middle: int
    vocabulary: int

    @property
    def cache_elements(self) -> int:
        """Of the KV cache, for one token."""
        return 2 * self.layers * self.kv_heads * self.head_size


@dataclass(frozen=True)
class Footprint:
    """Everything that memory is planned by. A model without speech has no talker and no token2wav."""

    parts: dict[str, Part]
    thinker: Decoder
    talker: Decoder | None
    vision: dict[str, int]
    audio: dict[str, int]
    sound: dict[str, int] | None
    most_context: int
    width: int  # bytes of an element as stored

    def part_bytes(self, part: str, precision: str = "stored", width: int | None = None, on_cpu: bool = False) -> int:
        """Bytes of `part`. Without a precision of its own, token2wav computes in float32."""
        return self.parts[part].bytes(precision, 4 if part == SOUND else width or self.width, on_cpu)

    @cached_property
    def total(self) -> int:
        """Bytes of the whole model as stored."""
        return sum(self.part_bytes(part) for part in self.parts)


def read_config(model: str) -> Qwen2_5OmniConfig:
    """The configuration of '3b', '7b', or the folder or JSON file at `model`. Raises UnknownModel."""
    file = Path(__file__).parent / "known" / KNOWN[model.lower()] if model.lower() in KNOWN else Path(model)
    file = file / "config.json" if file.is_dir() else file
    if not file.is_file():
        raise UnknownModel(f"There is no configuration at {model}: give {' or '.join(KNOWN)}, a checkpoint's folder, or its config.json.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownModel(f"{file} cannot be read as JSON: {error}") from error
    return check_config(content, str(model))


def check_config(content: object, name: str) -> Qwen2_5OmniConfig:
    """The configuration in `content`, a JSON object. Raises UnknownModel where it is of another kind or lacks what a plan needs.

    transformers fills what is missing with the 7B model's numbers, so a partial configuration would be planned as another model.
    """
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != "qwen2_5_omni":
        raise UnknownModel(f"{name} is of the kind {kind!r}; a plan can be made for 'qwen2_5_omni'.")
    needed = {
        "text_config": (
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "intermediate_size",
            "vocab_size",
        ),
        "vision_config": ("hidden_size", "depth", "num_heads", "intermediate_size", "out_hidden_size"),
        "audio_config": ("d_model", "encoder_layers", "encoder_ffn_dim", "output_dim"),
    }
    thinker = content.get("thinker_config")
    thinker = thinker if isinstance(thinker, dict) else {}
    for section, keys in needed.items():
        given = thinker.get(section)
        missing = [key for key in keys if not isinstance(given, dict) or key not in given]
        if missing:
            raise UnknownModel(f"The configuration of {name} is incomplete: thinker_config.{section} lacks {', '.join(missing)}.")
    try:
        return Qwen2_5OmniConfig.from_dict(content)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UnknownModel(f"The configuration of {name} cannot be used: {error}") from error


def measure(config: Qwen2_5OmniConfig) -> Footprint:
    """The footprint of a model with this configuration."""
    try:
        with torch.device("meta"):
            model = Qwen2_5OmniForConditionalGeneration(config)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise UnknownModel(f"A model cannot be built from the configuration: {error}") from error
    there = [part for part in PARTS if part.split(".")[0] in dict(model.named_children())]
    vision, audio = config.thinker_config.vision_config, config.thinker_config.audio_config
    speaks = TALKER in there
    dtype = config.dtype or config.thinker_config.dtype
    return Footprint(
        parts={part: _part(model.get_submodule(part), model.get_submodule(EMBEDDINGS) if part == LAYERS else None) for part in there},
        thinker=_decoder(config.thinker_config.text_config, config.thinker_config.text_config.hidden_size),
        talker=_decoder(config.talker_config, config.talker_config.embedding_size) if speaks else None,
        vision={
            "hidden": vision.hidden_size,
            "middle": vision.intermediate_size,
            "heads": vision.num_heads,
            "out": vision.out_hidden_size,
            "values": vision.in_channels * vision.temporal_patch_size * vision.patch_size**2,
            "patch": vision.patch_size,
            "merge": vision.spatial_merge_size,
            "frames": vision.temporal_patch_size,
        },
        audio={
            "hidden": audio.d_model,
            "middle": audio.encoder_ffn_dim,
            "out": audio.output_dim,
            "bins": audio.num_mel_bins,
            "window": 2 * audio.n_window,
        },
        sound=_sound(config.token2wav_config) if speaks else None,
        most_context=config.thinker_config.text_config.max_position_embeddings,
        width=(dtype or torch.float32).itemsize,
    )


def _part(module: nn.Module, without: nn.Module | None) -> Part:
    linears: Counter[tuple[int, int, bool]] = Counter()
    others = fixed = 0
    for child in module.modules():
        if child is without:
            continue
        fixed += sum(buffer.numel() * buffer.element_size() for buffer in child.buffers(recurse=False))
        if type(child) is nn.Linear:
            linears[child.out_features, child.in_features, child.bias is not None] += 1
        else:
            others += sum(parameter.numel() for parameter in child.parameters(recurse=False))
    return Part(tuple(linears.items()), others, fixed)


def _decoder(config: object, inputs: int) -> Decoder:
    heads = config.num_attention_heads
    return Decoder(
        inputs=inputs,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=heads,
        kv_heads=config.num_key_value_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        middle=config.intermediate_size,
        vocabulary=config.vocab_size,
    )


def _sound(config: object) -> dict[str, int]:
    dit, vocoder = config.dit_config, config.bigvgan_config
    upsampled = 1
    for rate in vocoder.upsample_rates:
        upsampled *= rate
    return {
        "hidden": dit.hidden_size,
        "middle": dit.hidden_size * dit.ff_mult,
        "repeats": dit.repeats,
        "channels": vocoder.upsample_initial_channel // 2 ** len(vocoder.upsample_rates),
        "samples": upsampled,
    }
