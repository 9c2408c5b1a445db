"""The texts of components, kept together so that all of them change with the language."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
from gradio.blocks import Block

from multimodal.ui.phrases import phrase

Text = str | Callable[[str], object]  # the name of a phrase; or what makes a value of a language


class Translated:
    """Components, each with the properties that hold texts."""

    def __init__(self) -> None:
        self._texts: list[tuple[Block, dict[str, Text]]] = []

    def make(self, kind: type[Block], texts: dict[str, Text], **properties: object) -> Block:
        """A component of that kind, in English for now, whose `texts` change with the language."""
        component = kind(**{name: in_language(text, "en") for name, text in texts.items()}, **properties)
        self._texts.append((component, texts))
        return component

    def button(self, name: str, elem_id: str, **properties: object) -> gr.Button:
        """A small button with the phrase called `name` on it."""
        return self.make(gr.Button, {"value": name}, size="sm", elem_id=elem_id, elem_classes="compact", **properties)

    @property
    def components(self) -> list[Block]:
        """In the order of `say`."""
        return [component for component, _ in self._texts]

    def say(self, language: str) -> list[dict]:
        """The updates that put every text into `language`."""
        return [gr.update(**{name: in_language(text, language) for name, text in texts.items()}) for _, texts in self._texts]


def in_language(text: Text, language: str) -> object:
    """One text in one language."""
    return text(language) if callable(text) else phrase(text, language)
