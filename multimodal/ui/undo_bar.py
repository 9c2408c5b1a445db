"""What was just taken out of the library, and the way back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import gradio as gr

from multimodal.retrieval.library import Library
from multimodal.ui.bars import note
from multimodal.ui.phrases import phrase
from multimodal.ui.translated import Translated


@dataclass(frozen=True)
class Removal:
    """`number`: as the library's `undo` takes it; None once it was undone. `says`: the name of the phrase about it, with its `facts`."""

    number: int | None
    says: str
    facts: dict[str, object] = field(default_factory=dict)


class UndoBar:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, library: Library, texts: Translated):
        self.library = library
        self.removal = gr.State(None)
        with gr.Row(visible=False, elem_id="undo-bar") as self.bar:
            self.text = gr.HTML(elem_id="undo-text", elem_classes="bare")
            self.undo = texts.button("undo", "undo", variant="primary")
            self.hide = texts.button("close", "hide-undo")

    def outputs(self) -> list:
        """The components that `show` gives values for, in its order."""
        return [self.removal, self.bar, self.text, self.undo]

    def show(self, removal: Removal | None, language: str) -> list:
        """What was taken out, or that it is back; nothing for None."""
        said = f"<div role='status'>{note(phrase(removal.says, language, **removal.facts))}</div>" if removal else ""
        can_undo = removal is not None and removal.number is not None
        return [removal, gr.update(visible=removal is not None), said, gr.update(visible=can_undo)]

    def take_out(self, ids: Collection[int]) -> Removal:
        """Take pictures out of the library. Raises UserError."""
        names = [picture.name for picture in self.library.store.pictures(sorted(ids)) if not picture.removed]
        number = self.library.remove(sorted(ids))
        if len(names) == 1:
            return Removal(number, "removed_one", {"name": names[0]})
        return Removal(number, "removed_many", {"count": len(names)})

    def take_back(self, removal: Removal | None, language: str) -> list:
        """Undo it. Raises UserError."""
        if removal is None or removal.number is None:  # a second click
            return self.show(removal, language)
        folder = self.library.store.dropped_folder(removal.number)
        count = len(self.library.undo(removal.number))
        if folder:
            return self.show(Removal(None, "undone_folder", {"path": folder}), language)
        return self.show(Removal(None, "undone_one" if count == 1 else "undone", {"count": count}), language)
