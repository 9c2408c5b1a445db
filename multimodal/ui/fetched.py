"""Files that the desk writes for the page to fetch; they go with the uploads, after a day."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradio.utils import get_upload_folder

from multimodal.errors import UserError


@contextmanager
def fetched_file(name: str) -> Iterator[Path]:
    """The path of a new file called `name`, to be written in the block. Raises UserError where the disk refuses."""
    try:
        yield Path(tempfile.mkdtemp(prefix="library-", dir=get_upload_folder())) / name
    except OSError as error:
        raise UserError("export_refused", path=name, reason=error.strerror or type(error).__name__) from error
