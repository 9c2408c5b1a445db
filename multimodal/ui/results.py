"""What was found: a sentence, the gallery, and what can be done with several pictures at once."""

from __future__ import annotations

import gradio as gr

from multimodal.retrieval.library import Library
from multimodal.ui.bars import note
from multimodal.ui.gallery import SCRIPT, gallery_html
from multimodal.ui.phrases import phrase
from multimodal.ui.served import Served
from multimodal.ui.shown import Shown, found_html
from multimodal.ui.translated import Translated

FORMS = ("csv", "json", "zip")


class Results:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, library: Library, texts: Translated, served: Served):
        self.library, self.served = library, served
        self.shown = gr.State(Shown())
        self.picked = gr.State(())  # the ids that are marked
        with gr.Row(elem_id="found-row"):
            self.found = gr.HTML(elem_id="found", elem_classes="bare")
            self.nearest = texts.button("show_nearest", "show-nearest", visible=False)
            self.all = texts.button("all_pictures", "all-pictures", visible=False)
        self.said = gr.HTML(elem_id="library-said", elem_classes="said")
        self.gallery = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="gallery", elem_classes="bare")
        self.more = texts.button("show_more", "show-more", visible=False)
        with gr.Row(visible=False, elem_id="selection") as self.selection:
            self.count = gr.HTML(elem_id="selected-count", elem_classes="bare")
            self.select_all = texts.button("select_all", "select-all")
            self.select_none = texts.button("select_none", "select-none", visible=False)
            self.remove = texts.button("remove_selected", "remove-selected", variant="stop", visible=False)
            self.exports = {form: texts.button(f"export_{form}", f"export-{form}") for form in FORMS}

    def outputs(self) -> list:
        """The components that `show` gives values for, in its order."""
        top = [self.shown, self.found, self.nearest, self.all, self.said, self.more]
        return [*top, *self.marked()]

    def marked(self) -> list:
        """Those that `mark` gives values for, in its order."""
        return [self.picked, self.gallery, self.selection, self.count, self.select_none, self.remove]

    def show(self, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """Everything about `shown`. Raises UserError."""
        return [
            shown,
            found_html(shown, self.library, language),
            gr.update(visible=bool(not shown.hits and shown.wanted.terms and shown.nearest is not None)),
            gr.update(visible=bool(shown.wanted)),
            "",
            gr.update(visible=shown.has_more),
            *self.mark(shown, picked, language),
        ]

    def mark(self, shown: Shown, picked: tuple[int, ...], language: str, drawn: bool = False) -> list:
        """`picked` marked. `drawn`: the page shows the marks already. Raises UserError."""
        picked = tuple(id for id in shown.ids if id in set(picked))
        return [
            picked,
            gr.skip() if drawn else gallery_html(shown.tiles(self.library), set(picked), self.served, language),
            gr.update(visible=bool(shown.hits)),
            note(self._count_text(shown, picked, language)),
            gr.update(visible=bool(picked)),
            gr.update(visible=bool(picked)),
        ]

    def refuse(self, said: str) -> list:
        """`said`, in HTML, and everything else as it was."""
        values = [gr.skip()] * len(self.outputs())
        values[self.outputs().index(self.said)] = said
        return values

    @staticmethod
    def _count_text(shown: Shown, picked: tuple[int, ...], language: str) -> str:
        if picked:
            return phrase("selected", language, count=len(picked))
        return phrase("nothing_selected", language, count=len(shown.hits))
