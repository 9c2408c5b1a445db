"""One picture of the library: seen larger, what is known of it, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from html import escape

import gradio as gr
from PIL import Image

from multimodal.desk import Desk
from multimodal.errors import UserError, size_text
from multimodal.media import take
from multimodal.retrieval.records import Picture
from multimodal.ui.bars import note
from multimodal.ui.gallery import score_text
from multimodal.ui.library_phrases import LIBRARY_PHRASES
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.shown import Shown
from multimodal.ui.translated import Translated

PREVIEW_PIXELS = 1024 * 1024
PLACES = 5  # files of one picture that are listed


class PictureDetails:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, texts: Translated, rights: Rights):
        self.desk, self.library, self.rights = desk, desk.library, rights
        self.opened = gr.State(None)  # the picture's id
        with gr.Column(visible=False, elem_id="details", min_width=300) as self.panel:
            self.close = texts.button("close", "close-details")
            self.preview = texts.make(
                gr.Image,
                {"label": "picture_preview"},
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                type="filepath",
                elem_id="preview",
            )
            self.said = gr.HTML(elem_id="details-said", elem_classes="said")
            self.facts = gr.HTML(elem_id="facts", elem_classes="bare")
            with gr.Row(elem_id="deeds"):
                self.ask = texts.button("ask_about", "ask-about", variant="primary")
                self.like = texts.button("more_like_this", "more-like-this")
                self.fetch = texts.button("download_original", "download-original")
                self.remove = texts.button("remove_picture", "remove-picture", variant="stop")
            self.captions = texts.make(gr.Textbox, {"label": "captions", "info": "captions_info"}, lines=2, max_lines=6, elem_id="captions")
            self.save = texts.button("save_captions", "save-captions")

    def outputs(self) -> list:
        """The components that `show` gives values for, in its order."""
        return [self.opened, self.panel, self.said, self.facts, self.captions, self.preview]

    def show(self, picture: Picture, score: float | None, language: str) -> list:
        """The picture, and its score where it has one."""
        said = ""
        try:
            preview = self._preview(picture)
        except UserError as error:
            preview, said = self._small(picture), note(f"⚠️ {error.say(language)}")
        facts = self.facts_html(picture, score, language)
        return [picture.id, gr.update(visible=True), said, facts, _lines(picture), preview]

    def say(self, opened: int | None, shown: Shown, language: str) -> str:
        """The facts of the picture of that id, if it is still there, in another language."""
        try:
            return "" if opened is None else self.facts_html(self.library.picture(opened), shown.score(opened), language)
        except UserError:
            return ""

    def refuse(self, said: str) -> list:
        """`said`, in HTML, in the picture's place."""
        return [None, gr.update(visible=True), said, "", "", None]

    def hide(self) -> list:
        """No picture."""
        return [None, gr.update(visible=False), "", "", "", None]

    def facts_html(self, picture: Picture, score: float | None, language: str) -> str:
        """What is known of it; where its files are is told on this computer alone."""
        size = phrase("pixels", language, width=picture.width, height=picture.height, bytes=size_text(picture.bytes))
        rows = [("fact_score", score_text(score))] if score is not None else []
        rows += [("fact_size", size), ("fact_taken", time_text(picture.taken)), ("fact_added", time_text(picture.added))]
        if picture.sample:
            rows.append(("fact_path", phrase("fact_sample", language)))
        elif self.rights.own:
            stored = phrase("fact_stored", language)
            places = dict.fromkeys(stored if place.stored else place.path for place in picture.places)
            rows += [("fact_path", place) for place in list(places)[:PLACES]]
        exif = [(f"exif_{name}", value) for name, value in picture.exif.items() if f"exif_{name}" in LIBRARY_PHRASES]
        more = f"<details><summary>{escape(phrase('fact_exif', language))}</summary>{_table(exif, language)}</details>" if exif else ""
        return f"<h4>{escape(picture.name)}</h4>{_table(rows, language)}{more}"

    def save_captions(self, picture: Picture, text: str, language: str) -> list:
        """Put the lines of `text` in the place of its captions; new values of `said` and `captions`. Raises UserError."""
        self.library.set_captions(picture.id, text.splitlines())
        return [note(f"✓ {phrase('captions_saved', language)}"), _lines(self.library.picture(picture.id))]

    def _preview(self, picture: Picture) -> Image.Image:
        limits = replace(self.desk.limits, pixels=PREVIEW_PIXELS)
        return take(self.library.original(picture), picture.name, limits, only="picture")[0].image

    def _small(self, picture: Picture) -> Image.Image | None:
        try:
            path = self.library.thumbnail(picture)
        except UserError:  # the first one's sentence is shown
            return None
        with Image.open(path) as image:
            return image.convert("RGB")


def time_text(seconds: float) -> str:
    """A time in this machine's zone, to the minute."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # no calendar reaches there
        return "…"


def _table(rows: list[tuple[str, str]], language: str) -> str:
    cells = "".join(f'<tr><th scope="row">{escape(phrase(name, language))}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table>{cells}</table>"


def _lines(picture: Picture) -> str:
    return "\n".join(" ".join(caption.text.splitlines()) for caption in picture.captions)
