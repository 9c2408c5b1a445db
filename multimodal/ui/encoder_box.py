"""The choice of the picture library's encoder, on the model tab."""

from __future__ import annotations

import gradio as gr

from multimodal.chat.download import NAME
from multimodal.desk import Desk
from multimodal.errors import UserError, size_text
from multimodal.retrieval.encoder import MODELS
from multimodal.ui.adding_box import folder_path
from multimodal.ui.deeds import Deeds
from multimodal.ui.library_head import encoder_line, languages_text
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.translated import Translated

OFFERS = {offer.name: offer for offer in MODELS}
CALLED = {
    "OFA-Sys/chinese-clip-vit-base-patch16": "Chinese-CLIP ViT-B/16",
    "openai/clip-vit-base-patch32": "CLIP ViT-B/32",
    "google/siglip2-base-patch16-224": "SigLIP 2 ViT-B/16",
}
FIRST, *OTHERS = OFFERS
KINDS = (FIRST, "demo", *OTHERS, "folder", "name")
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class EncoderBox(Deeds):
    """Builds its components where it is made, inside a gr.Blocks. There is none for visitors."""

    def __init__(self, desk: Desk, rights: Rights, language: gr.Radio, watch: gr.Timer):
        """`watch`: the timer that ticks while an encoder is loading, which is set going here."""
        super().__init__(desk.library, rights)
        self.desk, self.language, self.texts = desk, language, Translated()
        with gr.Column(elem_id="encoder"):
            self.texts.make(gr.Markdown, {"value": "encoder_heading"})
            self.state = gr.Markdown(elem_id="encoder-state")
            self.kind = self.texts.make(
                gr.Radio, {"label": "encoder_kind", "choices": _kinds, "info": "encoder_fetched"}, value=FIRST, elem_id="encoder-kind"
            )
            self.folder = self.texts.make(
                gr.Textbox, {"label": "folder", "info": "folder_info"}, visible=False, max_lines=1, elem_id="encoder-folder"
            )
            self.name = self.texts.make(
                gr.Textbox, {"label": "name", "info": "name_info"}, visible=False, max_lines=1, elem_id="encoder-name"
            )
            self.said = gr.HTML(elem_id="encoder-said", elem_classes="said")
            self.load = self.texts.make(gr.Button, {"value": "load"}, variant="primary", elem_id="load-encoder")
        self.kind.input(self.pick, [self.kind, language], [self.folder, self.name, self.said], **QUIET)
        picked = [self.kind, self.folder, self.name, language]
        gr.on([self.load.click, self.folder.submit, self.name.submit], self.load_it, picked, [self.said, self.state, watch], **QUIET)

    def follow(self, translating: list, ticking: list) -> None:
        """Translate everything when one of the first events happens, and show the encoder's state at the others."""
        for event in translating:
            event(self.translate, self.language, [*self.texts.components, self.said, self.state], **QUIET)
        gr.on(ticking, self.refresh, self.language, self.state, **QUIET)

    def translate(self, language: str) -> list:
        """The texts in another language."""
        return [*self.texts.say(language), "", self.refresh(language)]

    def refresh(self, language: str) -> str:
        """Which encoder there is, in Markdown."""
        self.rights.check_own(language)
        return encoder_line(self.library, language)

    def pick(self, kind: str, language: str) -> list:
        """Another kind of encoder: its own controls."""
        self.rights.check_own(language)
        return [gr.update(visible=kind == "folder"), gr.update(visible=kind == "name"), ""]

    def load_it(self, kind: str, folder: str, name: str, language: str) -> list:
        """The encoder that was chosen, in the place of the present one."""
        self.rights.check_own(language)

        def act() -> list:
            self.desk.switch_encoder(_place(kind, folder, name))
            return ["", self.refresh(language), gr.update(active=True)]

        return self.attempt(act, language, lambda said: [said, gr.skip(), gr.skip()])


def _place(kind: str, folder: str, name: str) -> str | None:
    """The encoder's place as Desk.switch_encoder takes it. Raises UserError."""
    if kind == "demo":
        return None
    if kind == "folder":
        return str(folder_path(folder))
    wanted = name.strip() if kind == "name" else kind
    if not NAME.fullmatch(wanted):
        raise UserError("encoder_not_found", path=wanted[:200] or "…")
    return wanted


def _kinds(language: str) -> list[tuple[str, str]]:
    return [(_kind_text(kind, language), kind) for kind in KINDS]


def _kind_text(kind: str, language: str) -> str:
    offer = OFFERS.get(kind)
    if offer is None:
        return phrase(f"encoder_kind_{kind}", language)
    spoken = languages_text(offer.languages, language)
    return phrase("encoder_offer", language, name=CALLED.get(kind, kind), languages=spoken, size=size_text(offer.size))
