"""Copies of the library's files where gradio serves files from: no folder of a person's is opened to the page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from gradio import utils
from gradio_client.utils import encode_file_path, strip_invalid_filename_characters

from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture
from multimodal.retrieval.whole_file import refusal


class Served:
    """They go with the uploads after a day, and are made again when they are shown again."""

    def __init__(self, library: Library):
        self.library = library

    def thumbnail(self, picture: Picture) -> str:
        """The address of the picture made small. Raises UserError where it has to be made and the original is gone."""
        return address(self._copy(self.library.thumbnail(picture), f"{picture.hash[:32]}.webp", picture.hash))

    def original(self, picture: Picture) -> str:
        """The path of a copy of the picture's file, under the name that people know. Raises UserError where none is left, or no room."""
        original = self.library.original(picture)
        name = strip_invalid_filename_characters(picture.name) or f"picture{original.suffix}"
        return self._copy(original, name, picture.hash)

    def _copy(self, file: Path, name: str, hash: str) -> str:
        copy = Path(utils.get_upload_folder()) / f"library-{hash[:32]}" / name
        try:
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                beside = copy.with_name(f".{os.getpid()}-{os.urandom(4).hex()}")
                shutil.copyfile(file, beside)
                os.replace(beside, copy)
            os.utime(copy.parent)  # what is old is swept, by the age of its folder
        except OSError as error:
            raise refusal(error, copy.parent) from error
        return str(copy)


def address(path: str) -> str:
    """Where the page finds a file that gradio serves."""
    return f"gradio_api/file={encode_file_path(path)}"
