"""The whole screen: head, tabs, status line; its language and its look."""

from __future__ import annotations

import json

import gradio as gr

from multimodal.desk import Desk
from multimodal.ui.about import status_line
from multimodal.ui.chat_tab import ChatTab
from multimodal.ui.encoder_box import EncoderBox
from multimodal.ui.library_look import LIBRARY_CSS
from multimodal.ui.library_tab import LibraryTab
from multimodal.ui.model_tab import ModelTab
from multimodal.ui.phrases import phrase
from multimodal.ui.uploads import take_uploads_only

STATUS_SECONDS = 5
CACHE_SECONDS = (3600, 24 * 3600)  # how often gradio looks through a session's uploads, and how old they may grow

# No font is fetched from anywhere.
FONT = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif")
THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    radius_size="lg",
    font=FONT,
    font_mono=("ui-monospace", "Consolas", "monospace"),
)

CSS = (
    """
.gradio-container { padding: 0 !important; }
.gradio-container > .main { max-width: 1080px !important; margin: 0 auto !important; padding: 8px 16px !important; }
footer { display: none !important; }
#head { align-items: center; flex-wrap: nowrap; gap: 8px; }
#title { flex: 1 1 auto; min-width: 0; }
#title h1 { font-size: 1.35rem; margin: 4px 0; white-space: nowrap; }
#language, #theme { flex: 0 0 auto; min-width: 0 !important; width: auto !important; }
#language { border: none !important; box-shadow: none; background: none; padding: 0; overflow: visible !important; }
#language .wrap { flex-wrap: nowrap; gap: 4px; }
#language label { position: relative; padding: 4px 10px; }
#language label input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
#language label:has(input:focus-visible) { outline: 2px solid var(--primary-500); }
#language label span { margin-left: 0; }
#theme { padding: 6px 12px; }
#banner { font-size: .9rem; padding: 8px 12px; border-radius: 10px; background: var(--primary-50); border: 1px solid var(--primary-200); }
.dark #banner { background: var(--primary-950); border-color: var(--primary-800); }
#banner p { margin: 0; }
#conversation .placeholder { text-align: center; }
#conversation button:is([title="Share"], [title="分享"], [aria-label="Share"]) { display: none; }
#conversation button.example { border: 1px solid var(--border-color-primary); }
#conversation .message :is(img, video) { max-height: 220px; width: auto; max-width: 100%; object-fit: contain; }
#status { font-size: .8rem; opacity: .75; overflow: hidden; }
#status p { margin: 0; }
#estimate { font-size: .85rem; opacity: .85; padding: 0 4px; }
#estimate p { margin: 0; }
#about h3 { margin-top: 0; }
#unload, #cancel-loading, #cancel-download { flex: 0 0 auto; width: auto; min-width: 120px; align-self: flex-start; }
:is(#loading, #gauge, #said, #plan, #download-progress) .html-container { padding: 0; }
:is(#said, #plan):not(:has(p)) { display: none; }
.meter { margin: 6px 0 10px; font-size: .9rem; }
.meter .words { display: flex; justify-content: space-between; flex-wrap: wrap; gap: 2px 12px; }
.meter .bar { position: relative; height: 10px; margin-top: 4px; border-radius: 5px; overflow: hidden; background: var(--neutral-200); }
.meter .bar i { position: absolute; top: 0; bottom: 0; }
.meter .used { left: 0; background: var(--primary-500); }
.meter .used.full { background: #dc2626; }
.meter .peak { width: 2px; margin-left: -2px; background: var(--body-text-color); }
.dark .meter .bar { background: var(--neutral-700); }
.note { margin: 4px 0; }
.plan h4, .plan h5 { margin: 12px 0 4px; font-weight: 600; }
.plan .verdict { font-weight: 600; }
.plan .fits { color: var(--primary-700); }
.plan .too-large { color: #b91c1c; }
.dark .plan .fits { color: var(--primary-400); }
.dark .plan .too-large { color: #fca5a5; }
.plan .small { font-size: .85rem; opacity: .8; }
.plan table { width: 100%; border-collapse: collapse; font-size: .9rem; margin: 8px 0; }
.plan :is(table, tr, th, td) { border: none !important; }
.plan :is(th, td) { text-align: left; padding: 4px 8px; font-weight: 400; border-bottom: 1px solid var(--border-color-primary) !important; }
.plan td:nth-child(2) { white-space: nowrap; }
.plan thead th { font-weight: 600; white-space: nowrap; }
.plan ul { padding-left: 20px; list-style: disc; }
@media (max-width: 640px) {
  .gradio-container > .main { padding: 4px 8px !important; }
  #title h1 { font-size: 1.1rem; }
  #language label { padding: 4px 7px; font-size: .85rem; }
  #theme { padding: 4px 8px; }
  #banner { font-size: .78rem; padding: 6px 8px; }
  #conversation .examples { grid-template-columns: 1fr 1fr; gap: 8px; padding: 8px; }
  #conversation .placeholder h3 { margin-top: 0; }
  .plan :is(th, td) { padding: 4px; }
}
"""
    + LIBRARY_CSS
)

# Remembered in the browser: the language and the look that were chosen there.
CHOOSE_LANGUAGE = (
    "(now) => localStorage.getItem('omni-language') || ((navigator.language || '').toLowerCase().startsWith('zh') ? 'zh' : 'en')"
)
KEEP_LANGUAGE = "(language) => localStorage.setItem('omni-language', language)"
# What a screen reader needs: which language it is, and what the two controls without words are called.
NAMES = {language: {name: phrase(name, language) for name in ("language", "theme")} for language in ("en", "zh")}
NAME_THINGS = f"""(language) => {{
    const names = {json.dumps(NAMES)}[language];
    document.documentElement.lang = language;
    document.querySelector('#language').setAttribute('aria-label', names.language);
    document.querySelector('#theme').setAttribute('aria-label', names.theme);
}}"""
START_LOOK = "() => { const kept = localStorage.getItem('omni-look'); if (kept) document.body.classList.toggle('dark', kept === 'dark'); }"
CHANGE_LOOK = "() => { localStorage.setItem('omni-look', document.body.classList.toggle('dark') ? 'dark' : 'light'); }"


def make_screen(desk: Desk) -> gr.Blocks:
    """The screen of `desk`; launch it with THEME and CSS."""
    take_uploads_only()
    first = "zh" if desk.settings.language == "zh" else "en"
    with gr.Blocks(title="Omni Desk", analytics_enabled=False, fill_height=True, delete_cache=CACHE_SECONDS) as screen:
        with gr.Row(elem_id="head"):
            gr.Markdown("# Omni Desk", elem_id="title")
            language = gr.Radio([("English", "en"), ("中文", "zh")], value=first, show_label=False, container=False, elem_id="language")
            look = gr.Button("◐", elem_id="theme", size="sm", variant="secondary")
        banner = gr.Markdown(phrase("banner", first), visible=desk.demo, elem_id="banner")
        with gr.Tabs() as tabs:
            with gr.Tab(phrase("chat", first), id="chat") as chat_tab:
                chat = ChatTab(desk, language)
            with gr.Tab(phrase("library", first), id="library") as library_tab:
                library = LibraryTab(desk, language, tabs, chat.box)
            with gr.Tab(phrase("model", first), id="model") as model_tab:
                model = ModelTab(desk, language)
                encoder = EncoderBox(desk, library.rights, language, library.watch) if library.rights.own else None
        status = gr.Markdown(status_line(desk, first), elem_id="status")
        known = gr.State("")

        def head(chosen: str) -> list:
            return [status_line(desk, chosen), gr.update(value=phrase("banner", chosen), visible=desk.demo)]

        def translate(chosen: str, conversation, picked) -> list:
            return [
                *head(chosen),
                *(gr.update(label=phrase(name, chosen)) for name in ("chat", "library", "model")),
                *chat.translate(conversation, chosen),
                *model.translate(picked, chosen),
                *model.refresh(chosen, changed=True),
            ]

        def refresh(chosen: str, before: str) -> list:
            now = model.state()
            changed = now != before
            return [*head(chosen), now, *model.refresh(chosen, changed), *(chat.speech_controls() if changed else [gr.skip()] * 2)]

        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        texts = [status, banner, chat_tab, library_tab, model_tab, *chat.translated(), *model.translated(), *model.refreshed()]
        refreshed = [status, banner, known, *model.refreshed(), chat.speech, chat.voice]
        starting = screen.load(None, None, None, js=START_LOOK, **quiet)
        if desk.settings.language == "auto":
            starting = screen.load(lambda chosen: chosen, language, language, js=CHOOSE_LANGUAGE, **quiet)
        starting.then(translate, [language, chat.conversation, model.chosen], texts, **quiet).then(
            None, language, None, js=NAME_THINGS, **quiet
        )
        library.follow([starting.then, language.input])
        if encoder:
            encoder.follow([starting.then, language.input], library.ticks)
        language.input(
            translate,
            [language, chat.conversation, model.chosen],
            texts,
            js=f"(language, ...rest) => {{ ({KEEP_LANGUAGE})(language); return [language, ...rest]; }}",
            **quiet,
        ).then(None, language, None, js=NAME_THINGS, **quiet)
        look.click(None, None, None, js=CHANGE_LOOK, **quiet)
        gr.on([screen.load, gr.Timer(STATUS_SECONDS).tick, model.watch.tick], refresh, [language, known], refreshed, **quiet)
        screen.unload(chat.stop)
    screen.queue(api_open=False, default_concurrency_limit=8)
    return screen
