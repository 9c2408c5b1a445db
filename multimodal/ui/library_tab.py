"""The library tab: its parts, what starts what, and what changes by itself."""

from __future__ import annotations

from functools import partial

import gradio as gr

from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.ui.adding_box import AddingBox
from multimodal.ui.adding_deeds import AddingDeeds
from multimodal.ui.ask_box import AskBox
from multimodal.ui.captions_box import CaptionsBox
from multimodal.ui.deeds import skip
from multimodal.ui.duplicates_box import DuplicatesBox
from multimodal.ui.labels_box import LabelsBox
from multimodal.ui.library_head import library_head
from multimodal.ui.picture_deeds import PictureDeeds
from multimodal.ui.picture_details import PictureDetails
from multimodal.ui.results import Results
from multimodal.ui.rights import Rights
from multimodal.ui.search_box import SearchBox
from multimodal.ui.search_deeds import SearchDeeds
from multimodal.ui.selection_deeds import SelectionDeeds
from multimodal.ui.served import Served
from multimodal.ui.shown import PAGE, Shown, look_up
from multimodal.ui.translated import Translated
from multimodal.ui.undo_bar import UndoBar

WATCH_SECONDS = 1.0  # between two looks at something under way
STATUS_SECONDS = 5.0
QUIET = {"show_progress": "hidden", "api_visibility": "private"}
# A file that was made ready is saved by a button that nobody sees.
FETCH = "(file) => { if (file) document.querySelector('#library-download').click(); }"


class LibraryTab:
    """Builds its components where it is made, inside a gr.Blocks.

    Where the library is not shared there is a sentence in their place, and nothing that could be called.
    """

    def __init__(self, desk: Desk, language: gr.Radio, tabs: gr.Tabs, chat_box: gr.MultimodalTextbox):
        self.desk, self.library, self.language = desk, desk.library, language
        self.tabs, self.chat_box = tabs, chat_box
        self.rights, self.served, self.texts = Rights(desk.settings), Served(desk.library), Translated()
        if not self.rights.look:
            self.texts.make(gr.Markdown, {"value": UserError("library_not_shared").say}, elem_id="library-closed")
            return
        self.known = gr.State(None)  # what `refresh` has shown
        self.head = gr.Markdown(elem_id="library-head")
        self.search_box = SearchBox(desk, self.texts, self.rights)
        with gr.Row(elem_id="found-and-details"):
            with gr.Column(elem_id="found-column", scale=3, min_width=300):
                self.results = Results(self.library, self.texts, self.served)
            self.details = PictureDetails(desk, self.texts, self.rights)
        self.adding = AddingBox(self.library, self.texts, self.rights)
        self.asking = AskBox(desk, self.rights, self.texts, self.served)
        self.captions = CaptionsBox(desk, self.rights, self.texts)
        self.duplicates = DuplicatesBox(self.library, self.rights, self.texts, self.served)
        self.labels = LabelsBox(self.library, self.rights, self.texts)
        self.undo_bar = UndoBar(self.library, self.texts)
        self.download = gr.DownloadButton(visible="hidden", elem_id="library-download")
        self.watch = gr.Timer(WATCH_SECONDS, active=False)
        self.ticks = [gr.Timer(STATUS_SECONDS).tick, self.watch.tick]
        self._wire()

    def follow(self, events: list) -> None:
        """Put everything into the language when one of `events` happens, and show what there is."""
        for event in events:
            event(self.texts.say, self.language, self.texts.components, **QUIET)
            if self.rights.look:
                event(self.refresh, self.refreshing(), self.refreshed(), **QUIET)
                for act, inputs, outputs in self._spoken():
                    self._on(event, act, inputs, outputs)

    # what is shown

    def refreshing(self) -> list:
        """The components whose values `refresh` takes, in its order."""
        return [self.known, self.results.shown, self.results.picked, self.language]

    def refreshed(self) -> list:
        """The components that `refresh` gives values for, in its order."""
        parts = [*self.adding.refreshed(), *self.captions.refreshed(), *self.results.outputs()]
        return [self.known, self.head, self.watch, self.search_box.folder, *parts]

    def refresh(self, known: tuple | None, shown: Shown, picked: tuple[int, ...], language: str) -> list:
        """Everything that changes by itself; most of it only where something has changed, the language being one thing."""
        self.rights.check_look(language)
        head = library_head(self.library, language)
        try:
            now = (language, self.library.encoder_status, self.adding.state())
            changed, gone = now != known, bool(_folders(known) - _folders(now))
            folders = self.search_box.folders(language, gone) if changed else gr.skip()
            captions = self.captions.refresh(language)
            values = [folders, *self.adding.refresh(language, changed, gone), *captions, *self._results(now, known, shown, picked)]
        except UserError:  # the head says it
            return [None, head, gr.update(active=True), *skip(self.refreshed()[3:])]
        busy = self.adding.busy or self.captions.busy or self.library.encoder_status == "loading" or self.library.index_state == "building"
        return [now, head, gr.update(active=busy), *values]

    def _results(self, now: tuple, known: tuple | None, shown: Shown, picked: tuple[int, ...]) -> list:
        language = now[0]
        # while many come in, the gallery holds still once its first page is full
        if now != known and not shown.wanted and (not self.adding.busy or len(shown.hits) < PAGE):
            return self.results.show(look_up(self.library, shown.wanted), picked, language)
        if known is None or known[0] != language:
            return self.results.show(shown, picked, language)
        return skip(self.results.outputs())

    def _spoken(self) -> list[tuple]:
        """What else is said anew in another language: handlers, with what they take and what they give values for."""
        details, undo_bar, duplicates, labels = self.details, self.undo_bar, self.duplicates, self.labels
        return [
            (details.say, [details.opened, self.results.shown], [details.facts]),
            (undo_bar.show, [undo_bar.removal], undo_bar.outputs()),
            (duplicates.say, [duplicates.groups, duplicates.picked], duplicates.outputs()),
            (labels.show, [labels.labelled], labels.outputs()),
            (self.asking.show, [self.asking.asked], self.asking.outputs()),
        ]

    # what starts what

    def _wire(self) -> None:
        self._wire_search()
        self._wire_selection()
        self._wire_picture()
        self._wire_adding()
        self.duplicates.wire(self.language, self.results, self.undo_bar)
        self._wire_labels()
        self._wire_model()
        gr.on(self.ticks, self.refresh, self.refreshing(), self.refreshed(), **QUIET)

    def _wire_search(self) -> None:
        box, results, details = self.search_box, self.results, self.details
        deeds = SearchDeeds(self.library, self.rights, box, results, details)
        typed = [each.submit for each in (box.box, box.since, box.until, box.name, box.text)]
        set_ = [box.apply.click, box.sort.input, box.folder.input, box.twice.input, box.count.release, box.threshold.release]
        self._on(partial(gr.on, [*typed, *set_]), deeds.search, box.values(), deeds.outputs(), trigger_mode="always_last")
        picked = self._on(box.cutoff.input, box.pick_cutoff, [box.cutoff], box.threshold)
        self._on(picked.then, deeds.search, box.values(), deeds.outputs())
        self._on(results.more.click, deeds.show_more, self._marked, deeds.outputs())
        self._on(results.nearest.click, deeds.show_nearest, [results.shown], deeds.outputs())
        anew = [*deeds.outputs(), *box.cleared()]
        self._on(results.all.click, deeds.show_all, [], anew)
        self._on(results.gallery.like, deeds.like, [], anew)
        self._on(details.like.click, deeds.like_opened, [details.opened], anew)

    def _wire_selection(self) -> None:
        results, details, undo_bar = self.results, self.details, self.undo_bar
        deeds = SelectionDeeds(self.library, self.rights, results, details, undo_bar)
        self._on(results.gallery.pick, deeds.pick, [results.shown], results.marked(), trigger_mode="always_last")
        self._on(results.select_all.click, deeds.pick_all, [results.shown], results.marked())
        self._on(results.select_none.click, deeds.pick_none, [results.shown], results.marked())
        for form, button in results.exports.items():
            self._offer(self._on(button.click, deeds.exporter(form), self._marked, [self.download, results.said]))
        inputs = [*self._marked, details.opened]
        self._on(results.remove.click, deeds.remove_picked, inputs, deeds.outputs())
        self._on(details.remove.click, deeds.remove_opened, inputs, deeds.outputs())
        self._on(undo_bar.undo.click, deeds.undo, [undo_bar.removal, *self._marked], deeds.outputs())
        self._on(undo_bar.hide.click, deeds.hide_undo, [], undo_bar.outputs())

    def _wire_picture(self) -> None:
        details = self.details
        deeds = PictureDeeds(self.desk, self.rights, details, self.served)
        self._on(self.results.gallery.open, deeds.open, [self.results.shown], details.outputs())
        self._on(details.close.click, deeds.close, [], details.outputs())
        self._offer(self._on(details.fetch.click, deeds.fetch, [details.opened], [self.download, details.said]))
        self._on(details.save.click, deeds.save_captions, [details.opened, details.captions], [details.said, details.captions])
        self._on(details.ask.click, deeds.ask_about, [details.opened, self.chat_box], [self.tabs, self.chat_box, details.said])

    def _wire_adding(self) -> None:
        box, said = self.adding, [self.adding.said, self.watch]
        deeds = AddingDeeds(self.library, self.rights, box, self.results, self.undo_bar)
        self._on(box.drop.upload, deeds.take, [box.drop], [box.drop, *said])
        self._on(partial(gr.on, [box.add.click, box.folder.submit]), deeds.add_folder, [box.folder, box.watch], said)
        for button, act in ((box.pause, "pause"), (box.resume, "resume"), (box.cancel, "cancel")):
            self._on(button.click, deeds.director(act), [], said)
        self._on(box.rescan.click, deeds.rescan, [box.folders], said)
        self._on(box.toggle.click, deeds.toggle_watch, [box.folders], said)
        self._on(box.forget.click, deeds.drop_folder, [box.folders, *self._marked], deeds.outputs())
        self._on(box.samples.click, deeds.remove_samples, self._marked, deeds.outputs())

    def _wire_labels(self) -> None:
        box = self.labels
        starting = partial(gr.on, [box.start.click, box.words.submit])
        self._on(starting, box.label, [box.words, box.which, self.results.shown], box.outputs())
        self._offer(self._on(box.save.click, box.fetch, [box.labelled], [self.download, box.said]))

    def _wire_model(self) -> None:
        asking, captions = self.asking, self.captions
        starting = partial(gr.on, [asking.start.click, asking.question.submit])
        self._on(starting, asking.ask, [asking.question, asking.count, self.results.shown], asking.outputs())
        self._on(asking.stop.click, asking.end, [], [])
        said = [*captions.refreshed(), self.watch]
        self._on(captions.start.click, captions.begin, [], said)
        self._on(captions.stop.click, captions.end, [], said)

    @property
    def _marked(self) -> list:
        return [self.results.shown, self.results.picked]

    def _on(self, event, act, inputs: list, outputs: list, **how):
        return event(act, [*inputs, self.language], outputs, **QUIET, **how)

    def _offer(self, ready) -> None:
        """Have the browser save the file that was made ready, if one was."""
        ready.then(None, self.download, None, js=FETCH, **QUIET)


def _folders(known: tuple | None) -> set[str]:
    """The paths of the folders in what `refresh` last knew."""
    return {path for path, _ in known[2].folders} if known else set()
