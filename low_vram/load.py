"""A checkpoint into memory as its plan says: tensor by tensor, each straight to its place and precision."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import nn
from transformers import GenerationConfig, Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration
from transformers.utils import cached_file

from low_vram.arrangement import DEVICE, EMBEDDINGS, HEAD, HOST, PARTS, SOUND, Arrangement
from low_vram.budget import Machine
from low_vram.building import BUILDING
from low_vram.footprint import UnknownModel, check_config, measure
from low_vram.plan import Plan, make_plan
from low_vram.quantize import QuantizedLinear, replace_linears
from low_vram.request import Request

VOICES_FILE = "spk_dict.pt"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# What checkpoints call their tensors (the names of transformers 4), and what transformers 5 calls them.
NEW_NAMES = (
    (re.compile(r"^thinker\.(visual|audio_tower)\."), r"thinker.model.\1."),
    (re.compile(r"^thinker\.model\.(?!language_model\.|visual\.|audio_tower\.)"), "thinker.model.language_model."),
)


class NotOmni(ValueError):
    """The checkpoint is of another kind; the message is its model type."""


class Cancelled(Exception):
    """Loading was stopped by whoever asked for it."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is there to be loaded. `no_speech` says why it cannot speak ('no talker', 'voices missing', 'voices damaged')."""

    path: str
    config: Qwen2_5OmniConfig
    no_speech: str | None
    voices: dict[str, dict]


@dataclass(frozen=True)
class Loaded:
    """A model ready to run. `device` is the one that computes."""

    model: Qwen2_5OmniForConditionalGeneration
    device: str
    arrangement: Arrangement
    no_speech: str | None
    plan: Plan


def open_checkpoint(path: str) -> Checkpoint:
    """The checkpoint at `path` (a folder or a hub name). One whose voices file is missing or damaged opens without speech.

    Raises OSError where there is no checkpoint, NotOmni where it is of another kind, UnknownModel where its configuration cannot be used.
    """
    content = json.loads(Path(_file(path, "config.json")).read_text(encoding="utf-8"))
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != "qwen2_5_omni":
        raise NotOmni(str(kind))
    if "quantization_config" in content:
        raise UnknownModel(f"{path} is quantized already ({content['quantization_config'].get('quant_method')}): give the full checkpoint.")
    config = check_config(content, path)
    no_speech, voices = _read_voices(path) if config.enable_audio_output else ("no talker", {})
    config.enable_audio_output = not no_speech
    return Checkpoint(path, config, no_speech, voices)


def load_omni(
    checkpoint: Checkpoint,
    plan: Plan,
    device: str,
    dtype: torch.dtype,
    progress: Callable[[int, int], bool] = lambda done, total: True,
) -> Loaded:
    """The model of `checkpoint` on `device` ('cpu', 'cuda:N' or 'sim:0'), arranged as `plan` says, computing in `dtype`.

    Never more than one tensor is in memory twice. `progress` is told (bytes read, bytes in all) after each; where it returns False, loading
    ends with Cancelled. Raises OSError, KeyError for a tensor that is missing, and what safetensors raises for a damaged file.
    """
    arrangement = plan.arrangement
    model = build_empty(checkpoint.config, arrangement, device, dtype)
    homes = {part: device if place == DEVICE else "cpu" for part, place in arrangement.places.items()}
    files = _weight_files(checkpoint.path)
    total = sum(Path(file).stat().st_size for file in files)
    done, biases = 0, {}
    missing = {name for name, _ in model.named_parameters()} | {f"{name}.weight" for name, _ in _quantized(model)}
    for file in files:
        with safe_open(file, framework="pt") as tensors:
            for old in tensors.keys():  # noqa: SIM118 - no mapping
                tensor = tensors.get_tensor(old)
                done += tensor.numel() * tensor.element_size()
                name = new_name(old)
                if (part := part_of(name)) in homes:
                    _fill(model, name, tensor, homes[part], device, biases)
                    missing.discard(name)
                if not progress(done, total):
                    raise Cancelled
    if f"{HEAD}.weight" in missing:  # tied to the embeddings, which may live elsewhere
        _fill(model, f"{HEAD}.weight", model.get_submodule(EMBEDDINGS).weight.data, homes[HEAD], device, biases)
        missing.discard(f"{HEAD}.weight")
    if missing:
        raise KeyError(f"the checkpoint lacks {len(missing)} tensors, {min(missing)} among them")
    settle_buffers(model, homes)
    if cached_file(checkpoint.path, "generation_config.json", _raise_exceptions_for_missing_entries=False):
        model.generation_config = GenerationConfig.from_pretrained(checkpoint.path)
    model.speaker_map.update(checkpoint.voices)
    return Loaded(model.eval(), device, arrangement, checkpoint.no_speech, plan)


def build_empty(
    config: Qwen2_5OmniConfig, arrangement: Arrangement, device: str, dtype: torch.dtype
) -> Qwen2_5OmniForConditionalGeneration:
    """The model without weights, its linear layers as the arrangement's precisions say; buffers are there, in host memory."""
    with BUILDING, init_empty_weights(include_buffers=False):
        model = Qwen2_5OmniForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if name.startswith(f"{SOUND}.") else dtype)
        parameter.requires_grad_(False)
    for part, precision in arrangement.precisions.items():
        if precision == "stored":
            continue
        parent, _, name = part.rpartition(".")
        inside = nn.ModuleDict({name: model.get_submodule(part)})  # so that a part that is itself a linear layer is replaced too
        replace_linears(inside, precision, on_cpu=device == "cpu" or arrangement.places[part] == HOST)
        setattr(model.get_submodule(parent), name, inside[name])
    return model


def settle_buffers(model: nn.Module, homes: dict[str, str]) -> None:
    """Put the buffers that do not come from a checkpoint where their parts live."""
    for name, buffer in model.named_buffers():
        owner, _, key = name.rpartition(".")
        if (part := part_of(name)) in homes and buffer.device.type != "meta":
            model.get_submodule(owner)._buffers[key] = buffer.to(homes[part])


def part_of(name: str) -> str | None:
    """The part that a tensor belongs to."""
    return next((part for part in PARTS if name.startswith(f"{part}.")), None)  # the embeddings come before the layers they are among


def new_name(name: str) -> str:
    """A tensor's name in transformers 5."""
    for pattern, target in NEW_NAMES:
        name, changed = pattern.subn(target, name)
        if changed:
            break
    return name


def place(model: nn.Module, name: str, tensor: torch.Tensor, home: str, device: str) -> None:
    """Give the parameter `name` its value at `home`; in host memory beside a card it is pinned."""
    owner, _, key = name.rpartition(".")
    module = model.get_submodule(owner)
    tensor = tensor.to(home, module._parameters[key].dtype)
    if home == "cpu" and device.startswith("cuda"):
        tensor = tensor.pin_memory()
    module._parameters[key] = nn.Parameter(tensor, requires_grad=False)


def _fill(model: nn.Module, name: str, tensor: torch.Tensor, home: str, device: str, biases: dict[str, torch.Tensor]) -> None:
    owner, _, key = name.rpartition(".")
    try:
        module = model.get_submodule(owner)
    except AttributeError:
        return  # of a later version, or of a part that is not used
    if isinstance(module, QuantizedLinear):
        if key == "weight":
            module.fill(tensor, biases.pop(owner, None), home)
        elif next(module.buffers()).device.type == "meta":
            biases[owner] = tensor
        else:
            module.bias = tensor.to(home, module.dtype)
    elif key in module._parameters:
        if module._parameters[key].shape != tensor.shape:
            raise KeyError(f"{name} has the shape {tuple(tensor.shape)} instead of {tuple(module._parameters[key].shape)}")
        place(model, name, tensor, home, device)


def _quantized(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, QuantizedLinear))


def _file(path: str, name: str) -> str:
    return cached_file(path, name)


def _weight_files(path: str) -> list[str]:
    """The files with the weights, in order. Raises OSError."""
    one = cached_file(path, WEIGHTS, _raise_exceptions_for_missing_entries=False)
    if one is not None:
        return [one]
    index = json.loads(Path(_file(path, INDEX)).read_text(encoding="utf-8"))
    names = sorted(set(index["weight_map"].values()))
    if any(not re.fullmatch(r"[\w.-]+\.safetensors", name) for name in names):  # a name that leads out of the checkpoint's folder
        raise UnknownModel(f"{INDEX} of {path} names files that are none of its own.")
    return [_file(path, name) for name in names]


def plan_for(checkpoint: Checkpoint, machine: Machine, dtype: torch.dtype, request: Request | None = None, **wishes: object) -> Plan:
    """The plan to load `checkpoint` by: for a question with media and a spoken answer, where it can speak."""
    request = request or Request(pictures=((3000, 4000),), video=60, speech=checkpoint.no_speech is None)
    return make_plan(measure(checkpoint.config), machine, request, width=dtype.itemsize, **wishes)


def _read_voices(path: str) -> tuple[str | None, dict[str, dict]]:
    """(why there are no voices or None, {name: voice})."""
    file = cached_file(path, VOICES_FILE, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False)
    if file is None:
        return "voices missing", {}
    try:
        voices = torch.load(file, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError):
        return "voices damaged", {}
    if (
        not isinstance(voices, dict)
        or not voices
        or not all(isinstance(voice, dict) and {"bos_token", "cond", "ref_mel"} <= set(voice) for voice in voices.values())
    ):
        return "voices damaged", {}
    return None, voices
