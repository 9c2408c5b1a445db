"""A model that a person picked on the page: where it is, whether it is there, what it would take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from low_vram.plan import Plan
from multimodal.chat import download
from multimodal.chat.download import HuggingFace, ModelScope, is_complete, model_folder
from multimodal.desk import PUBLISHED, Desk
from multimodal.errors import UserError
from multimodal.settings import Settings

SOURCES = {"huggingface": HuggingFace, "modelscope": ModelScope}
PUBLISHED_NAMES = {short: name for name, short in PUBLISHED.items()}


@dataclass(frozen=True)
class Choice:
    """`path` as Desk.switch takes it. `source` is the hub of one that is not there yet, `fetch` what it would fetch, `failure` why
    something about it is not known."""

    path: str | None
    source: download.Source | None = None
    plan: Plan | None = None
    fetch: download.Plan | None = None
    failure: UserError | None = None

    def planned(self, desk: Desk) -> Choice:
        """With its memory plan, where that can be made before it is there."""
        if self.source and self.path not in PUBLISHED:
            return self
        try:
            return replace(self, plan=desk.plan(self.path))
        except UserError as error:
            return replace(self, failure=error)

    def looked_up(self, data_dir: Path) -> Choice:
        """With what its hub says of it; waits for the network."""
        if self.source is None:
            return self
        try:
            return replace(self, fetch=download.plan(self.source, data_dir))
        except UserError as error:
            return replace(self, failure=error)


def choose(kind: str, folder: str, name: str, hub: str, settings: Settings) -> Choice:
    """What the controls say: `kind` is 'demo', '3b', '7b', 'folder' or 'name'. Raises UserError where that is no model's place."""
    if kind == "demo":
        return Choice(None)
    if kind == "folder":
        return Choice(_folder(folder))
    wanted = PUBLISHED_NAMES.get(kind) or name.strip()
    source = SOURCES[hub](wanted)
    there = is_complete(model_folder(settings.data_dir, wanted)) or wanted == settings.model_path
    return Choice(wanted, None if there else source)


def _folder(text: str) -> str:
    written = text.strip().strip("\"'")  # as Windows copies a path
    try:
        folder = Path(written).expanduser()
        if written and folder.is_dir():
            return str(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a path that none can have, '~' of nobody
        pass
    raise UserError("model_not_found", path=written or "…")
