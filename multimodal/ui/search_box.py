"""The search box and its filters: what a person typed, dropped and set, as what is wanted of the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gradio as gr

from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.retrieval.query import MOST_TERMS, SORTS, Term, read_date, read_terms
from multimodal.retrieval.records import Filter
from multimodal.ui.gallery import score_text
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.shown import PAGE, Wanted
from multimodal.ui.translated import Translated

CUTOFFS = ("encoder", "own", "none")
MOST_AT_ONCE = 300  # on one page; "Show more" goes beyond
PIXELS = 512 * 512  # kept of a picture that is searched by: encoders see less


class SearchBox:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, texts: Translated, rights: Rights):
        self.desk, self.library, self.rights = desk, desk.library, rights
        self.box = texts.make(
            gr.MultimodalTextbox,
            {"placeholder": "search_box", "label": "search_label"},
            show_label=False,
            file_count="multiple",
            sources=["upload"],
            max_lines=4,
            max_plain_text_length=100_000,
            elem_id="search-box",
        )
        with texts.make(gr.Accordion, {"label": "filters"}, open=False, elem_id="filters"):
            with gr.Row():
                self.sort = texts.make(
                    gr.Radio, {"label": "sort", "choices": _choices("sort", SORTS)}, value="likeness", min_width=280, elem_id="sort"
                )
                self.cutoff = texts.make(
                    gr.Radio, {"label": "cutoff", "choices": _choices("cutoff", CUTOFFS)}, value="encoder", min_width=280, elem_id="cutoff"
                )
            with gr.Row():
                self.count = texts.make(gr.Slider, {"label": "result_count"}, minimum=4, maximum=MOST_AT_ONCE, value=PAGE, step=1)
                self.threshold = texts.make(
                    gr.Slider,
                    {"label": "threshold", "info": self._threshold_info},
                    minimum=-0.2,
                    maximum=1,
                    value=0.2,
                    step=0.01,
                    visible=False,
                    elem_id="threshold",
                )
            with gr.Row():
                info = {"info": "filter_date_info"}
                self.since = texts.make(gr.Textbox, {"label": "filter_since", **info}, max_lines=1, min_width=140, elem_id="since")
                self.until = texts.make(gr.Textbox, {"label": "filter_until", **info}, max_lines=1, min_width=140, elem_id="until")
            with gr.Row():
                self.name = texts.make(gr.Textbox, {"label": "filter_name"}, max_lines=1, min_width=140, elem_id="name-has")
                self.text = texts.make(gr.Textbox, {"label": "filter_text"}, max_lines=1, min_width=140, elem_id="text-has")
                self.folder = texts.make(
                    gr.Dropdown, {"label": "filter_folder", "choices": self._folders}, value="", visible=rights.own, min_width=140
                )
            self.twice = texts.make(
                gr.Checkbox, {"label": "look_twice"}, value=False, visible=self.library.second_look is not None, elem_id="look-twice"
            )
            self.apply = texts.button("apply", "apply")

    def values(self) -> list:
        """The components that `wanted` reads, in its order."""
        filters = [self.since, self.until, self.name, self.text, self.folder]
        return [self.box, self.sort, self.count, self.cutoff, self.threshold, *filters, self.twice]

    def cleared(self) -> list:
        """The components that `clear` gives values for, in its order."""
        return [self.box, self.since, self.until, self.name, self.text, self.folder]

    def clear(self) -> list:
        """Nothing typed, dropped or filtered."""
        return [{"text": "", "files": []}, "", "", "", "", ""]

    def wanted(
        self,
        box: dict | None,
        sort: str,
        count: float,
        cutoff: str,
        threshold: float,
        since: str,
        until: str,
        name: str,
        text: str,
        folder: str | None,
        twice: bool,
    ) -> Wanted:
        """What they say. Raises UserError."""
        box = box or {}
        files = [Path(path) for path in box.get("files") or []]
        if len(files) > MOST_TERMS:
            raise UserError("search_terms", count=len(files), limit=MOST_TERMS)
        terms = (*read_terms((box.get("text") or "").strip()), *(Term(self._picture(file)) for file in files))
        where = Filter(
            (folder or "") if self.rights.own else "",
            read_date(since or ""),
            read_date(until or "", end=True),
            (name or "").strip(),
            (text or "").strip(),
        )
        at_least = {"encoder": None, "none": -1.0}.get(cutoff, float(threshold))
        wanted = Wanted(terms, where, sort, int(count), at_least, bool(twice))
        if wanted:
            wanted.query()  # which says what is wrong with it
        return wanted

    def pick_cutoff(self, cutoff: str, language: str) -> dict:
        """The slider where one's own score counts, to begin with at the encoder's."""
        encoder = self.library.encoder
        start = {"value": round(encoder.matches_from, 2)} if encoder else {}
        return gr.update(visible=cutoff == "own", info=self._threshold_info(language), **start)

    def folders(self, language: str, gone: bool) -> dict:
        """The folders to choose from, as they are now. Where one has `gone`, which may be the chosen one, none is chosen any more: gradio
        would go on sending it, and then refuse it."""
        return gr.update(choices=self._folders(language), **({"value": ""} if gone else {}))

    def _picture(self, file: Path):
        limits = replace(self.desk.limits, pixels=PIXELS)
        return take(file, file.name, limits, only="picture")[0].image

    def _folders(self, language: str) -> list[tuple[str, str]]:
        every = [(phrase("every_folder", language), "")]
        if not self.rights.own or self.library.failure:
            return every
        return every + [(folder.path, folder.path) for folder in self.library.store.folders()]

    def _threshold_info(self, language: str) -> str:
        encoder = self.library.encoder
        if encoder is None:
            return ""
        return phrase("threshold_info", language, words=score_text(encoder.matches_from), pictures=score_text(encoder.alike_from))


def _choices(name: str, values: tuple[str, ...]):
    return lambda language: [(phrase(f"{name}_{value}", language), value) for value in values]
