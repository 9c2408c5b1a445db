"""A model's folder or hub name as it is loaded, and what is wrong with it in a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import cached_file

from low_vram.building import BUILDING
from low_vram.device import choose_device, is_there
from low_vram.memory import ran_out
from multimodal.errors import UserError

log = logging.getLogger(__name__)

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the better first


@contextmanager
def refusals(path: str | Path, device: str, part: str) -> Iterator[str]:
    """The device to load a model to, chosen by `device`. Whatever is raised within is a UserError about `path` outside.

    `part`: 'encoder' or 'cross', whose sentences they are.
    """
    chosen, folder = choose_device(device), Path(path)
    if not is_there(chosen):
        raise UserError("no_device", device=chosen)
    if not (folder / "config.json").is_file() and (folder.exists() or folder.is_absolute()):
        raise UserError(f"{part}_not_found", path=str(path))
    try:
        yield chosen
    except UserError:
        raise
    except Exception as error:  # tokenizers raises a plain Exception for a damaged file
        if ran_out(error):
            raise UserError("model_too_large", path=str(path)) from error
        log.exception("Loading %s failed", path)
        fetching = isinstance(error, OSError) and not folder.is_dir()
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{part}_not_fetched" if fetching else f"{part}_broken", path=str(path), reason=reason) from error


def load_model(kind: type, path: str, part: str) -> Any:
    """A model of `kind`, one of transformers' classes, in float32 on the CPU. No weight is missing; code beside it is not run.

    Safetensors are preferred; of a pytorch_model.bin, torch unpickles tensors alone. Raises UserError and what transformers raises.
    """
    if not Path(path).is_dir():  # fetched beforehand: nobody else can build a model meanwhile
        any(cached_file(path, name, _raise_exceptions_for_missing_entries=False) for name in WEIGHTS)
    with BUILDING:
        model, report = kind.from_pretrained(path, dtype=torch.float32, trust_remote_code=False, output_loading_info=True)
    if count := len(report["missing_keys"]):  # transformers leaves them random
        raise UserError(f"{part}_broken", path=path, reason=(f"{count} of its weights are missing", f"缺少 {count} 项权重"))
    return model
