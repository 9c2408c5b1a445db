"""Near-duplicates side by side: the best of each group is kept, the others go at once, and can come back."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import gradio as gr

from multimodal.errors import UserError
from multimodal.retrieval.duplicates import Group
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture
from multimodal.ui.bars import note
from multimodal.ui.deeds import Deeds, sentence, skip
from multimodal.ui.gallery import SCRIPT, thumbnail_html
from multimodal.ui.phrases import phrase
from multimodal.ui.picture_details import time_text
from multimodal.ui.results import Results
from multimodal.ui.rights import Rights
from multimodal.ui.served import Served
from multimodal.ui.shown import Shown
from multimodal.ui.translated import Translated
from multimodal.ui.undo_bar import UndoBar

SHOWN = 40  # groups at once
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


class DuplicatesBox(Deeds):
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, library: Library, rights: Rights, texts: Translated, served: Served):
        super().__init__(library, rights)
        self.served = served
        self.groups = gr.State(())  # those that nobody has dealt with yet
        self.picked = gr.State(())  # of the ones that are shown, the places of those that are marked
        with texts.make(gr.Accordion, {"label": "duplicates"}, open=False, elem_id="duplicates"):
            texts.make(gr.Markdown, {"value": "duplicates_info"})
            self.find = texts.button("find_duplicates", "find-duplicates")
            self.said = gr.HTML(elem_id="duplicates-said", elem_classes="said")
            self.list = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="duplicate-groups", elem_classes="bare")
            self.remove = texts.button("remove_duplicates", "remove-duplicates", variant="stop", visible=False)

    def outputs(self) -> list:
        """The components that `show` gives values for, in its order."""
        return [self.groups, self.picked, self.said, self.list, self.remove]

    def show(self, groups: tuple[Group, ...], picked: tuple[int, ...], language: str) -> list:
        """The first of `groups`, those at the places `picked` marked. Raises UserError."""
        shown = groups[:SHOWN]
        there = self._there(shown)
        items = "".join(self._group(place, group, there, place in picked, language) for place, group in enumerate(shown))
        return [groups, picked, self._said(groups, language), f'<ul class="groups">{items}</ul>', gr.update(visible=bool(picked))]

    def say(self, groups: tuple[Group, ...], picked: tuple[int, ...], language: str) -> list:
        """The same in another language."""
        return (
            self.attempt(lambda: self.show(groups, picked, language), language, lambda said: skip(self.outputs()))
            if groups
            else skip(self.outputs())
        )

    def look(self, language: str) -> Iterator[list]:
        """Compare all pictures."""
        self.rights.check_look(language)
        yield [gr.skip(), gr.skip(), note(phrase("finding_duplicates", language)), "", gr.update(visible=False)]
        try:
            groups = tuple(self.library.duplicates())
            if groups:
                yield self.show(groups, tuple(range(min(SHOWN, len(groups)))), language)
            else:
                yield [(), (), note(phrase("no_duplicates", language)), "", gr.update(visible=False)]
        except UserError as error:
            yield [(), (), sentence(error, language), "", gr.update(visible=False)]

    def pick(self, event: gr.EventData, groups: tuple[Group, ...], language: str) -> list:
        """These groups are marked now; the page shows it already. New values of `picked` and `remove`."""
        sent = event._data.get("ids") if isinstance(event._data, dict) else None
        places = range(min(SHOWN, len(groups)))
        picked = tuple(place for place in sent if type(place) is int and place in places) if isinstance(sent, list) else ()
        return self.attempt(lambda: [picked, gr.update(visible=bool(picked))], language, lambda _: [gr.skip()] * 2)

    def _group(self, place: int, group: Group, there: dict[int, Picture], picked: bool, language: str) -> str:
        members = "".join(
            self._member(there[member.id], member.likeness, member.id == group.best, language)
            for member in group.members
            if member.id in there
        )
        name = escape(phrase("duplicate_group", language, number=place + 1))
        return (
            f'<li data-id="{place}"{" class=picked" if picked else ""}>'
            f'<button type="button" data-act="pick" role="checkbox" aria-checked="{str(picked).lower()}"><i>✓</i>{name}</button>'
            f"<ul>{members}</ul></li>"
        )

    def _member(self, picture: Picture, likeness: float, best: bool, language: str) -> str:
        share = phrase("duplicate_kept", language) if best else f"{100 * likeness:.0f} %"
        facts = f"{picture.width} × {picture.height} · {time_text(picture.taken)[:10]}"
        name = escape(picture.name)
        return (
            f"<li{' class=best' if best else ''}>{thumbnail_html(picture, self.served, language, picture.name)}"
            f'<span title="{name}"><b>{escape(share)}</b> {name}</span><small>{facts}</small></li>'
        )

    def _said(self, groups: tuple[Group, ...], language: str) -> str:
        if not groups:
            return note(phrase("no_more_duplicates", language))
        count = sum(len(group.others) for group in groups)
        said = phrase("duplicate_groups", language, groups=len(groups), count=count)
        if len(groups) > SHOWN:
            said += " " + phrase("duplicate_groups_first", language, count=SHOWN)
        return note(said)

    def clean(self, groups: tuple[Group, ...], picked: tuple[int, ...], shown: Shown, marked: tuple[int, ...], language: str) -> list:
        """Take out all but the best of the groups that are marked; the next ones are shown."""

        def act() -> list:
            there = self._there(groups[:SHOWN])
            # where the best has gone meanwhile, the others stay
            ids = {id for place in picked if groups[place].best in there for id in groups[place].others if id in there}
            bar = self.undo_bar.show(self.undo_bar.take_out(ids), language)
            rest = groups[SHOWN:]
            following = self.show(rest, tuple(range(min(SHOWN, len(rest)))), language)
            return [*following, *bar, *self.results.show(shown.without(ids), marked, language)]

        others = skip([*self.undo_bar.outputs(), *self.results.outputs()])
        return self.attempt(act, language, lambda said: [gr.skip(), gr.skip(), said, gr.skip(), gr.skip(), *others])

    def wire(self, language: gr.Radio, results: Results, undo_bar: UndoBar) -> None:
        """What starts what. `results` shows no longer what is taken out here, and `undo_bar` brings it back."""
        self.results, self.undo_bar = results, undo_bar
        self.find.click(self.look, language, self.outputs(), **QUIET)
        self.list.pick(self.pick, [self.groups, language], [self.picked, self.remove], trigger_mode="always_last", **QUIET)
        inputs = [self.groups, self.picked, results.shown, results.picked, language]
        self.remove.click(self.clean, inputs, [*self.outputs(), *undo_bar.outputs(), *results.outputs()], **QUIET)

    def _there(self, groups: tuple[Group, ...]) -> dict[int, Picture]:
        pictures = self.library.store.pictures(member.id for group in groups for member in group.members)
        return {picture.id: picture for picture in pictures if not picture.removed}
