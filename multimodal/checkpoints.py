"""Which checkpoint a setting means: one that comes along, one that was downloaded, or a folder or hub name as it is."""

from __future__ import annotations

from pathlib import Path

from multimodal.chat.download import NAME, is_complete, model_folder

ASSETS = Path(__file__).parent.parent / "assets"
DEMO_MODEL, DEMO_ENCODER = ASSETS / "demo", ASSETS / "demo-encoder"


def checkpoint(path: str | None, demo: Path, data_dir: Path) -> str:
    """`path` as transformers takes it; `demo` where it is None, and what was downloaded of a hub's name where that is complete."""
    return str(demo) if path is None else downloaded(path, data_dir)


def downloaded(path: str, data_dir: Path) -> str:
    """`path`, or the folder of what was downloaded of that hub's name where it is complete."""
    folder = model_folder(data_dir, path)
    return str(folder) if NAME.fullmatch(path) and is_complete(folder) else path
