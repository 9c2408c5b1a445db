"""What all commands of the library share: the settings they go by, the library that is open, and how they answer."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.utils import disable_progress_bars

from multimodal.checkpoints import DEMO_ENCODER, checkpoint, downloaded
from multimodal.commands.phrases import phrase
from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.library import FOLDER, Library, opened
from multimodal.retrieval.records import Picture
from multimodal.settings import Settings


@dataclass(frozen=True)
class Session:
    """One command at work. `json`: its answer is one JSON document, and what is said besides goes to stderr as always."""

    library: Library
    language: str
    json: bool

    def answer(self, body: dict[str, object], *lines: str) -> None:
        """Print `body` as JSON, or `lines` for people."""
        if self.json:
            print(json.dumps(body, ensure_ascii=not speaks_utf8()))
        else:
            for line in lines:
                print(line)

    def tell(self, text: str) -> None:
        """Say something besides the answer."""
        print(text, file=sys.stderr)

    def load_encoder(self) -> None:
        """Wait until the library can be searched: seconds, or as long as the encoder's download takes. Raises UserError."""
        self.library.switch_encoder(self.library.encoder_path)
        self.library.wait_for_encoder()

    def say(self, name: str, /, **facts: object) -> str:
        """A phrase in the person's language."""
        return phrase(name, self.language, **facts)


@contextmanager
def session(options: argparse.Namespace, settings: Settings, language: str, writes: bool) -> Iterator[Session]:
    """The library open for one command. Raises UserError where it cannot be, or can only be read by a command that `writes`."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    path = checkpoint(settings.clip_model, DEMO_ENCODER, settings.data_dir)
    cross = settings.cross_model and downloaded(settings.cross_model, settings.data_dir)
    if all(os.path.isdir(each) for each in (path, cross) if each):
        disable_progress_bars()  # nothing will be fetched, and reading from a disk needs none
    limits = Limits(file_bytes=settings.max_upload_mb * 1_000_000)
    with opened(Library(settings.data_dir / FOLDER, path, settings.clip_device, limits, cross), encoder=False) as library:
        at_work = Session(library, language, options.json)
        if library.read_only:
            if writes:
                raise UserError("library_read_only")
            at_work.tell(UserError("library_read_only").say(language))
        yield at_work


def where(picture: Picture) -> dict[str, object]:
    """The file that holds a picture: this is the person's own machine."""
    return {"path": picture.places[0].path if picture.places else None}


def speaks_utf8() -> bool:
    """Whether what is printed can hold every character."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def as_path(text: str) -> Path:
    """A path as it was typed, absolute."""
    return Path(os.path.abspath(os.path.expanduser(text)))
