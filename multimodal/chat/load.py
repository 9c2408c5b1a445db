"""A model path into an Omni, with every failure in words."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import Qwen2_5OmniProcessor

from low_vram.budget import Machine
from low_vram.device import choose_device, choose_dtype, is_there
from low_vram.load import Checkpoint, NotOmni, load_omni, open_checkpoint, plan_for
from low_vram.memory import free_on, ran_out, read_memory, release
from low_vram.plan import RESERVE, Plan
from low_vram.reasons import size_text
from multimodal.chat.omni import Omni
from multimodal.errors import UserError

log = logging.getLogger(__name__)

Progress = Callable[[int, int], bool]  # is told (bytes read, bytes in all); False ends the loading
LESS = 0.85  # of a budget that was too much, its reserve aside


@dataclass(frozen=True)
class Wishes:
    """What a person set about memory: the `budget` in bytes ('cpu': no card; None: what is free), `places` and `precisions` of parts,
    `limits` by name, and whether to load `anyway` what seems not to fit."""

    budget: int | str | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    precisions: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    anyway: bool = False


NO_WISHES = Wishes()


def choose_machine(device: str, budget: int | str | None) -> tuple[str, Machine]:
    """(the device that computes, what may be used of it and of the host). Raises UserError where the device is not there."""
    chosen = "cpu" if budget == "cpu" else choose_device(device)
    if not is_there(chosen):
        raise UserError("no_device", device=chosen)
    host = free_on("cpu") + read_memory("cpu").host_used  # a prediction counts this process whole
    given = budget if isinstance(budget, int) else None
    if chosen == "cpu":
        return chosen, Machine(None, min(host, given or host))
    free = free_on(chosen)
    return chosen, Machine(min(free, given or free), host)


def make_ready(path: str, device: str, wishes: Wishes = NO_WISHES) -> tuple[Checkpoint, str, torch.dtype, Plan]:
    """The checkpoint at `path`, the device and precision it would compute in, and its plan; nothing is loaded. Raises UserError."""
    with _in_words(path):
        chosen, machine = choose_machine(device, wishes.budget)
        checkpoint = open_checkpoint(path)
        dtype = choose_dtype(checkpoint.config.dtype or torch.float32, chosen)
        return checkpoint, chosen, dtype, _plan(checkpoint, machine, dtype, wishes)


def _plan(checkpoint: Checkpoint, machine: Machine, dtype: torch.dtype, wishes: Wishes) -> Plan:
    places, precisions, limits = dict(wishes.places), dict(wishes.precisions), dict(wishes.limits)
    return plan_for(checkpoint, machine, dtype, places=places, precisions=precisions, limits=limits)


def load(path: str, device: str, wishes: Wishes = NO_WISHES, progress: Progress = lambda done, total: True) -> Omni:
    """The model at `path` (a folder, or a hub name), on `device` ('auto', 'cpu' or 'cuda:N'). Raises UserError, and Cancelled.

    Where memory runs out on the way all the same, it is planned anew for less.
    """
    checkpoint, chosen, dtype, plan = make_ready(path, device, wishes)
    with _in_words(path):
        while True:
            if not plan.fits and not wishes.anyway:
                raise does_not_fit(plan, path)
            try:
                loaded = load_omni(checkpoint, plan, chosen, dtype, progress)
                break
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error) or chosen == "cpu" or not plan.fits:
                    raise
            gc.collect()
            release(chosen)
            smaller = replace(plan.machine, device=RESERVE + int((plan.machine.device - RESERVE) * LESS))
            log.warning("%s did not fit into %s; trying with %s", path, size_text(plan.machine.device), size_text(smaller.device))
            plan = _plan(checkpoint, smaller, dtype, wishes)
        return Omni(loaded, Qwen2_5OmniProcessor.from_pretrained(path))


def does_not_fit(plan: Plan, path: str) -> UserError:
    """Why a plan is not tried."""
    on_cpu = plan.machine.on_cpu
    needed = plan.prediction.host if on_cpu else plan.prediction.device + RESERVE
    return UserError(
        "does_not_fit",
        path=path,
        needed=size_text(needed),
        host=size_text(plan.prediction.host),
        budget=size_text(plan.machine.host if on_cpu else plan.machine.device),
    )


@contextmanager
def _in_words(path: str) -> Iterator[None]:
    """What transformers and safetensors raise for checkpoints that are damaged, incomplete, or too large, as UserErrors."""
    folder = Path(path)
    if not (folder / "config.json").is_file() and (folder.exists() or folder.is_absolute()):
        raise UserError("model_not_found", path=path)
    try:
        yield
    except NotOmni as error:
        raise UserError("model_not_omni", path=path, kind=str(error)) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, MemoryError, SafetensorError) as error:
        if ran_out(error):
            raise UserError("model_too_large", path=path) from error
        log.exception("Loading %s failed", path)
        fetching = isinstance(error, OSError) and not folder.is_dir()
        raise UserError("model_not_fetched" if fetching else "model_broken", path=path, reason=_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
