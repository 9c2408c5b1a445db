"""The model tab: what runs and in how much memory, another model's plan before it is loaded, and the way to get one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr

from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.ui.about import about
from multimodal.ui.bars import note, progress
from multimodal.ui.download_box import DownloadBox, offer
from multimodal.ui.gauge import gauge
from multimodal.ui.model_choice import Choice, choose
from multimodal.ui.phrases import phrase
from multimodal.ui.plan_text import plan_html

WATCH_SECONDS = 1.0  # between two looks at something under way
KINDS = ("demo", "3b", "7b", "folder", "name")
AT_A_HUB = ("3b", "7b", "name")


class ModelTab:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, language: gr.Radio):
        self.desk, self.language = desk, language
        self.shared = desk.settings.shared
        self.box = DownloadBox()
        self.chosen = gr.State(None)  # the Choice whose plan is shown
        self.about = gr.Markdown(about(desk, "en"), elem_id="about")
        self.loading = gr.HTML(visible=False, elem_id="loading")
        with gr.Row(visible=not self.shared):
            self.cancel = gr.Button(phrase("cancel", "en"), visible=False, size="sm", elem_id="cancel-loading")
            self.unload = gr.Button(phrase("unload", "en"), visible=False, size="sm", elem_id="unload")
        self.gauge = gr.HTML(gauge(desk, "en"), elem_id="gauge")
        with gr.Accordion(phrase("plan_running", "en"), open=False, visible=False, elem_id="plan-running") as self.arranged:
            self.running_plan = gr.HTML()
        with gr.Column(visible=not self.shared, elem_id="choosing"):
            self.heading = gr.Markdown(phrase("choosing", "en"))
            self.kind = gr.Radio(self._kinds("en"), value="3b", label=phrase("kind", "en"), elem_id="kind")
            self.folder = gr.Textbox(
                visible=False, label=phrase("folder", "en"), info=phrase("folder_info", "en"), max_lines=1, elem_id="folder"
            )
            self.name = gr.Textbox(visible=False, label=phrase("name", "en"), info=phrase("name_info", "en"), max_lines=1, elem_id="name")
            self.hub = gr.Radio(
                [("Hugging Face", "huggingface"), ("ModelScope", "modelscope")],
                value="huggingface",
                label=phrase("hub", "en"),
                elem_id="hub",
            )
            self.look = gr.Button(phrase("look", "en"), variant="primary", elem_id="look")
            self.said = gr.HTML(elem_id="said")
            self.plan = gr.HTML(elem_id="plan")
            with gr.Row():
                self.load = gr.Button(phrase("load", "en"), variant="primary", visible=False, elem_id="load")
                self.anyway = gr.Button(phrase("load_anyway", "en"), variant="stop", visible=False, elem_id="load-anyway")
                self.fetch = gr.Button(phrase("download", "en"), variant="primary", visible=False, elem_id="download")
            self.fetching = gr.HTML(visible=False, elem_id="download-progress")
            self.stop_fetching = gr.Button(phrase("cancel", "en"), visible=False, size="sm", elem_id="cancel-download")
        self.watch = gr.Timer(WATCH_SECONDS, active=False)
        self._wire()

    @staticmethod
    def _kinds(language: str) -> list[tuple[str, str]]:
        return [(phrase(f"kind_{kind}", language), kind) for kind in KINDS]

    # what is shown

    def state(self) -> str:
        """Differs when something has changed that `refresh` shows beside numbers."""
        return repr((self.desk.status, self.desk.path, self.desk.failure, self.box.state))

    def refreshed(self) -> list:
        """The components whose values `refresh` gives, in its order."""
        changing = [self.about, self.cancel, self.unload, self.arranged, self.running_plan, self.stop_fetching]
        return [self.gauge, self.loading, self.fetching, self.watch, *changing]

    def refresh(self, language: str, changed: bool) -> list:
        """Everything that changes by itself; what changes with `state` only where it has `changed`."""
        loading = self.desk.loading
        bar = ""
        if loading:
            label = phrase("status_loading", language, model=self.desk.model_name)
            bar = progress(label, loading.done, loading.total, loading.seconds_left, language)
        fetched = "" if self.shared else self.box.show(language)
        busy = loading is not None or self.box.running
        numbers = [
            gauge(self.desk, language),
            gr.update(value=bar, visible=bool(bar)),
            gr.update(value=fetched, visible=bool(fetched)),
            gr.update(active=busy),
        ]
        return numbers + (self._changed(language) if changed else [gr.skip()] * 6)

    def _changed(self, language: str) -> list:
        model = self.desk.model
        name = self.desk.model_name if self.shared else self.desk.path  # of a folder its last part
        plan = plan_html(model.plan, self._name(None if self.desk.demo else name, language), language) if model else ""
        return [
            about(self.desk, language),
            gr.update(visible=self.desk.status == "loading"),
            gr.update(visible=model is not None),
            gr.update(visible=model is not None),
            plan,
            gr.update(visible=self.box.running),
        ]

    def translated(self) -> list:
        """The components whose texts `translate` gives, in its order."""
        buttons = [self.cancel, self.unload, self.look, self.load, self.anyway, self.fetch, self.stop_fetching]
        return [self.arranged, self.heading, self.kind, self.folder, self.name, self.hub, *buttons, *self._shown()]

    def translate(self, chosen: Choice | None, language: str) -> list:
        """The texts in `language`."""
        buttons = ("cancel", "unload", "look", "load", "load_anyway", "download", "cancel")
        return [
            gr.update(label=phrase("plan_running", language)),
            phrase("choosing", language),
            gr.update(label=phrase("kind", language), choices=self._kinds(language)),
            *(gr.update(label=phrase(name, language), info=phrase(f"{name}_info", language)) for name in ("folder", "name")),
            gr.update(label=phrase("hub", language)),
            *(gr.update(value=phrase(name, language)) for name in buttons),
            *self._show(chosen, language),
        ]

    def _shown(self) -> list:
        """The components that `_show` gives values for, in its order."""
        return [self.said, self.plan, self.load, self.anyway, self.fetch]

    def _show(self, chosen: Choice | None, language: str, doing: str = "") -> list:
        """A choice and its plan; `doing` is what is still under way."""
        if chosen is None:
            return [note(doing), "", *[gr.update(visible=False)] * 3]
        plan, fetch, there = chosen.plan, chosen.fetch, chosen.source is None
        said = [note(f"⚠️ {chosen.failure.say(language)}" if chosen.failure else "")]
        if fetch:
            said.append(offer(fetch, language))
        if fetch and not plan:
            said.append(note(phrase("plan_later", language)))
        said.append(note(doing))
        return [
            "".join(said),
            plan_html(plan, self._name(chosen.path, language), language) if plan else "",
            gr.update(visible=there and plan is not None and plan.fits),
            gr.update(visible=there and plan is not None and not plan.fits),
            gr.update(visible=fetch is not None),
        ]

    def _name(self, path: str | None, language: str) -> str:
        return phrase("demo", language) if path is None else path

    # what a person does

    def _refuse_visitors(self, language: str) -> None:
        """For those at this machine alone, whatever the page shows: a handler can be called without its button."""
        if self.shared:
            raise gr.Error(phrase("owners_only", language), print_exception=False)

    def _wire(self) -> None:
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        shown = [self.chosen, *self._shown()]
        picked = [self.kind, self.folder, self.name, self.hub, self.language]
        self.kind.input(self.pick, [self.kind, self.language], [self.folder, self.name, self.hub, *shown], **quiet)
        gr.on([self.look.click, self.folder.submit, self.name.submit], self.show_plan, picked, shown, **quiet)
        for button, act in ((self.load, self.load_it), (self.anyway, self.load_anyway), (self.fetch, self.start_download)):
            button.click(act, [self.chosen, self.language], [*shown, self.watch], **quiet)
        for button, act in ((self.cancel, self.cancel_loading), (self.unload, self.unload_now), (self.stop_fetching, self.stop_download)):
            button.click(act, self.language, self.watch, **quiet)

    def pick(self, kind: str, language: str) -> list:
        """Another kind of model: its own controls, and no plan yet."""
        self._refuse_visitors(language)
        visible = [kind == "folder", kind == "name", kind in AT_A_HUB]
        return [*(gr.update(visible=each) for each in visible), None, *self._show(None, language)]

    def show_plan(self, kind: str, folder: str, name: str, hub: str, language: str) -> Iterator[list]:
        """What the chosen model would take, before anything is loaded or downloaded."""
        self._refuse_visitors(language)
        yield [None, *self._show(None, language, phrase("planning", language))]
        try:
            chosen = choose(kind, folder, name, hub, self.desk.settings).planned(self.desk)
        except UserError as error:
            yield [None, note(f"⚠️ {error.say(language)}"), *self._show(None, language)[1:]]
            return
        if chosen.source:
            yield [chosen, *self._show(chosen, language, phrase("asking_hub", language, hub=chosen.source.hub))]
            chosen = chosen.looked_up(self.desk.settings.data_dir)
        yield [chosen, *self._show(chosen, language)]

    def load_it(self, chosen: Choice | None, language: str) -> list:
        """The model whose plan is shown in the place of the present one."""
        self._refuse_visitors(language)
        return self._done(chosen, language, lambda: self.desk.switch(chosen.path))

    def load_anyway(self, chosen: Choice | None, language: str) -> list:
        """The same, although it seems not to fit."""
        self._refuse_visitors(language)
        return self._done(chosen, language, lambda: self.desk.switch(chosen.path, anyway=True))

    def start_download(self, chosen: Choice | None, language: str) -> list:
        """Fetch the model whose size is shown."""
        self._refuse_visitors(language)
        return self._done(chosen, language, lambda: self.box.start(chosen.fetch))

    def _done(self, chosen: Choice | None, language: str, act: Callable[[], None]) -> list:
        if chosen is None:  # a second click, while the first one's end is on its way
            return [gr.skip()] * 7
        try:
            act()
        except UserError as error:
            said, *rest = self._show(chosen, language)
            return [chosen, said + note(f"⚠️ {error.say(language)}"), *rest, gr.skip()]
        return [None, *self._show(None, language), gr.update(active=True)]

    def cancel_loading(self, language: str) -> dict:
        """End the loading under way."""
        self._refuse_visitors(language)
        self.desk.cancel_loading()
        return gr.update(active=True)

    def unload_now(self, language: str) -> dict:
        """Give the memory back."""
        self._refuse_visitors(language)
        self.desk.unload()
        return gr.update(active=True)

    def stop_download(self, language: str) -> dict:
        """End the download; what has come is kept."""
        self._refuse_visitors(language)
        self.box.cancel()
        return gr.update(active=True)
