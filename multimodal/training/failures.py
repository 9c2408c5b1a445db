"""What can end a training, in a sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from low_vram.memory import ran_out
from multimodal.errors import UserError


@contextmanager
def as_sentences(output: Path, out_of_memory: UserError) -> Iterator[None]:
    """A disk that takes no more in `output`, and memory that runs out, are a UserError outside: `out_of_memory` is the latter."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise UserError("training_disk", path=str(output), reason=error.strerror or type(error).__name__) from error
        raise
    except (RuntimeError, MemoryError) as error:
        if ran_out(error):
            raise out_of_memory from error
        if "enforce fail" in str(error) and "inline_container" in str(error):  # torch's words for a disk that takes no more
            raise UserError("training_disk", path=str(output), reason=str(error).splitlines()[0][:200]) from error
        raise
