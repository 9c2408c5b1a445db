"""A model path into an Omni, with every failure in words."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import Qwen2_5OmniProcessor

from low_vram.load import NotOmni, load_omni
from low_vram.placement import choose_device
from multimodal.chat.omni import Omni
from multimodal.errors import UserError

log = logging.getLogger(__name__)


def load(path: str, device: str, context_tokens: int) -> Omni:
    """The model at `path` (a folder, or a hub name), on `device` ('auto', 'cpu' or 'cuda:N'). Raises UserError."""
    folder = Path(path)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise UserError("model_not_found", path=path)
    try:
        loaded = load_omni(path, choose_device(device))
        processor = Qwen2_5OmniProcessor.from_pretrained(path)
    except NotOmni as error:
        raise UserError("model_not_omni", path=path, kind=str(error)) from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UserError("model_too_large", path=path) from error
    except OSError as error:
        log.exception("Loading %s failed", path)
        if not folder.is_dir():
            raise UserError("model_not_found", path=path) from error
        raise UserError("model_broken", path=path, reason=_first_line(error)) from error
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, SafetensorError) as error:
        # what transformers and safetensors raise for checkpoints that are damaged, incomplete, or in need of a library that is not here
        log.exception("Loading %s failed", path)
        raise UserError("model_broken", path=path, reason=_first_line(error)) from error
    return Omni(loaded, processor, context_tokens)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
