"""The checkpoints of a training: which of them are whole, and what began it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from multimodal.errors import UserError
from multimodal.retrieval.whole_file import replacing

FOLDER = "checkpoints"
BEGUN = "training.json"  # what the training was begun with
LAST_WRITTEN = "trainer_state.json"  # of a checkpoint, by the Trainer


def last_checkpoint(output: Path) -> Path | None:
    """The newest whole one below `output`. One that a kill or a full disk left unfinished is taken away."""
    folders = sorted(output.glob(f"{FOLDER}/checkpoint-*"), key=lambda folder: int(folder.name.split("-")[-1]), reverse=True)
    for folder in folders:
        if _is_whole(folder):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
    return None


def begin(output: Path, options: Mapping[str, object], resume: bool) -> Path | None:
    """Make `output` ready; returns the checkpoint to go on from, if there is one.

    Raises UserError where another training is there, or one that was not begun with these `options`.
    """
    known = output / BEGUN
    last = last_checkpoint(output)
    if known.is_file() and not resume:
        raise UserError("training_there", path=str(output))
    if known.is_file() and last:
        try:
            before = json.loads(known.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError("training_other", path=str(output), what=BEGUN) from error
        other = sorted(name for name in {*before, *options} if before.get(name) != options.get(name))
        if other:
            raise UserError("training_other", path=str(output), what=", ".join(other))
        return last
    try:
        output.mkdir(parents=True, exist_ok=True)
        with replacing(known) as beside:
            beside.write_text(json.dumps(dict(options), indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise UserError("training_disk", path=str(output), reason=error.strerror or type(error).__name__) from error
    return None


def _is_whole(folder: Path) -> bool:
    try:
        json.loads((folder / LAST_WRITTEN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
