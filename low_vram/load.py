"""A checkpoint into memory, its parts where the placement says."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import torch
from transformers import AutoConfig, Qwen2_5OmniForConditionalGeneration
from transformers.utils import cached_file

from low_vram.placement import choose_dtype, make_device_map

VOICES_FILE = "spk_dict.pt"


class NotOmni(ValueError):
    """The checkpoint is of another kind; the message is its model type."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to run.

    `device` is where its inputs go. `no_speech` says why it cannot speak ('no talker', 'voices missing', 'voices damaged') or is None.
    """

    model: Qwen2_5OmniForConditionalGeneration
    device: str
    no_speech: str | None


def load_omni(path: str, device: str) -> Loaded:
    """The Qwen2.5-Omni at `path` (a folder or a hub name) on `device` ('cpu' or 'cuda:N').

    A checkpoint whose voices file is missing or damaged loads without speech. Raises OSError where there is no checkpoint, NotOmni
    where it is of another kind, and what transformers raises for a damaged one.
    """
    config = AutoConfig.from_pretrained(path)
    if config.model_type != "qwen2_5_omni":
        raise NotOmni(config.model_type)
    no_speech, voices = _read_voices(path) if config.enable_audio_output else ("no talker", {})
    config.enable_audio_output = not no_speech
    dtype = choose_dtype(config.dtype or torch.float32, device)
    # The class's own from_pretrained fails without a voices file; its parent's does not ask for one.
    model = super(Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniForConditionalGeneration).from_pretrained(
        path, config=config, dtype=dtype, device_map=make_device_map(config, dtype, device)
    )
    model.speaker_map.update(voices)
    return Loaded(model.eval(), device, no_speech)


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
