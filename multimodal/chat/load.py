"""A model path into an Omni, with every failure in words."""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors import SafetensorError
from transformers import Qwen2_5OmniProcessor

from low_vram.load import NotOmni, load_omni
from low_vram.memory import ran_out
from low_vram.placement import choose_device, is_there
from multimodal.chat.omni import Omni
from multimodal.errors import UserError

log = logging.getLogger(__name__)


def load(path: str, device: str, context_tokens: int) -> Omni:
    """The model at `path` (a folder, or a hub name), on `device` ('auto', 'cpu' or 'cuda:N'). Raises UserError."""
    folder = Path(path)
    if folder.is_dir() and not (folder / "config.json").exists():
        raise UserError("model_not_found", path=path)
    chosen = choose_device(device)
    if not is_there(chosen):
        raise UserError("no_device", device=chosen)
    try:
        loaded = load_omni(path, chosen)
        processor = Qwen2_5OmniProcessor.from_pretrained(path)
    except NotOmni as error:
        raise UserError("model_not_omni", path=path, kind=str(error)) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, MemoryError, SafetensorError) as error:
        # what transformers and safetensors raise for checkpoints that are damaged, incomplete, or in need of a library that is not here
        if ran_out(error):
            raise UserError("model_too_large", path=path) from error
        log.exception("Loading %s failed", path)
        fetching = isinstance(error, OSError) and not folder.is_dir()
        raise UserError("model_not_fetched" if fetching else "model_broken", path=path, reason=_first_line(error)) from error
    return Omni(loaded, processor, context_tokens)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
