"""A model as a command is told of it."""

from __future__ import annotations

from multimodal.commands.session import as_path


def model_name(text: str) -> str:
    """A folder as the commands take paths, or else a hub name as it is."""
    folder = as_path(text)
    return str(folder) if folder.is_dir() else text
