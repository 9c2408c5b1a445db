"""Zero-shot labels: a list of words in; a label and its probability for each picture out, as bars, a table and a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from multimodal.errors import UserError
from multimodal.retrieval.labels import Label, best_labels, count_labels, labels_csv, read_words
from multimodal.retrieval.library import Library
from multimodal.ui.bars import meter, note
from multimodal.ui.deeds import Deeds, sentence
from multimodal.ui.fetched import fetched_file
from multimodal.ui.phrases import phrase
from multimodal.ui.rights import Rights
from multimodal.ui.shown import Shown
from multimodal.ui.translated import Translated

ROWS = 100  # pictures in the table on the page
WHICH = ("shown", "all")


@dataclass(frozen=True)
class Labelled:
    """What came of it: a table in the file `path`; how many of `total` pictures each word fits best; names and labels of the first ones."""

    path: str
    total: int
    counts: dict[str, int]
    rows: tuple[tuple[str, Label], ...]


class LabelsBox(Deeds):
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, library: Library, rights: Rights, texts: Translated):
        super().__init__(library, rights)
        self.labelled = gr.State(None)
        with texts.make(gr.Accordion, {"label": "labels"}, open=False, elem_id="labels"):
            self.words = texts.make(
                gr.Textbox,
                {"label": "labels_words", "info": "labels_info", "placeholder": "labels_example"},
                lines=1,
                max_lines=6,
                elem_id="label-words",
            )
            self.which = texts.make(gr.Radio, {"label": "labels_which", "choices": _which}, value="shown", elem_id="label-which")
            self.start = texts.button("label_pictures", "label-pictures", variant="primary")
            self.said = gr.HTML(elem_id="labels-said", elem_classes="said")
            self.table = gr.HTML(elem_id="labels-table", elem_classes="said")
            self.save = texts.button("labels_csv", "labels-csv", visible=False)

    def outputs(self) -> list:
        """The components that `show` gives values for, in its order."""
        return [self.labelled, self.said, self.table, self.save]

    def show(self, labelled: Labelled | None, language: str) -> list:
        """The bars, the table, and the way to the file."""
        html = labels_html(labelled, language) if labelled else ""
        return [labelled, "", html, gr.update(visible=labelled is not None)]

    def label(self, words: str, which: str, shown: Shown, language: str) -> Iterator[list]:
        """Compare pictures with the words."""
        self.rights.check_look(language)
        yield [None, note(phrase("labelling", language)), "", gr.update(visible=False)]
        try:
            ids = shown.ids if which == "shown" else self.library.store.ids().tolist()
            yield self.show(label_pictures(self.library, read_words(words), ids), language)
        except UserError as error:
            yield [None, sentence(error, language), "", gr.update(visible=False)]

    def fetch(self, labelled: Labelled | None, language: str) -> list:
        """The table as a file, and what is to be said."""

        def act() -> list:
            if labelled is None or not Path(labelled.path).exists():  # swept away
                raise UserError("file_missing", name="labels.csv")
            return [labelled.path, ""]

        return self.attempt(act, language, lambda said: [None, said])


def label_pictures(library: Library, words: tuple[str, ...], ids: Sequence[int]) -> Labelled:
    """Label the pictures of `ids`, in their order. Raises UserError."""
    pictures, probabilities = library.label(ids, words)
    labels = best_labels(words, probabilities) if pictures else []
    table = labels_csv([(picture.id, picture.name) for picture in pictures], words, probabilities)
    with fetched_file("labels.csv") as path:
        path.write_text(table, encoding="utf-8", newline="")
    first = tuple((picture.name, label) for picture, label in zip(pictures[:ROWS], labels, strict=False))
    return Labelled(str(path), len(pictures), count_labels(words, labels), first)


def labels_html(labelled: Labelled, language: str) -> str:
    """How many pictures each word fits best, and the first pictures with theirs."""
    if not labelled.total:
        return note(phrase("nothing_labelled", language))
    bars = []
    for word, count in labelled.counts.items():
        text = phrase("label_count", language, count=f"{count:,}", share=f"{100 * count / labelled.total:.0f}")
        bars.append(meter(word, text, count, labelled.total))
    heads = "".join(f'<th scope="col">{escape(phrase(f"column_{name}", language))}</th>' for name in ("picture", "label", "probability"))
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(label.word)}</td><td>{label.probability:.2f}</td></tr>" for name, label in labelled.rows
    )
    more = note(phrase("labels_first", language, count=ROWS, total=f"{labelled.total:,}")) if labelled.total > ROWS else ""
    return f"{''.join(bars)}{more}<div class='labels'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _which(language: str) -> list[tuple[str, str]]:
    return [(phrase(f"labels_{which}", language), which) for which in WHICH]
