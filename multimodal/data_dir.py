"""The data folder: the library, fetched models, and, for a day at most, uploads and what requests leave behind."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from multimodal.errors import UserError

log = logging.getLogger(__name__)

UPLOADS = "uploads"
REQUEST_PREFIX = "request-"
KEPT_SECONDS = 24 * 3600


def open_data_dir(folder: Path) -> Path:
    """Make the folder, sweep it, and return where uploads go. Raises UserError where it cannot be written to."""
    uploads = folder / UPLOADS
    try:
        uploads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("bad_value", key="DATA_DIR", value=str(folder), wanted="a folder that can be written to") from error
    sweep(folder)
    return uploads


def sweep(folder: Path) -> None:
    """Take away what has been in the folder for more than a day, whichever process left it."""
    old = time.time() - KEPT_SECONDS
    for left in (*(folder / UPLOADS).iterdir(), *folder.glob(f"{REQUEST_PREFIX}*")):
        try:
            if left.lstat().st_mtime >= old:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()
        except OSError as error:  # another desk was faster, or another program holds it
            log.warning("%s could not be taken away: %s", left, error)
