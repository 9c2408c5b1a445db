"""The library's pictures as the page shows them: thumbnails that can be opened, marked, and searched by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

from multimodal.errors import UserError
from multimodal.retrieval.records import Picture
from multimodal.ui.phrases import phrase
from multimodal.ui.served import Served

# Clicks on its buttons become the events 'open', 'like' and 'pick'. What is marked is sent as a whole: no click can overtake another.
SCRIPT = """element.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-act]');
    if (!button) return;
    const tile = button.closest('[data-id]');
    if (button.dataset.act !== 'pick') {
        trigger(button.dataset.act === 'like' ? 'like' : 'open', {id: Number(tile.dataset.id)});
        return;
    }
    button.setAttribute('aria-checked', tile.classList.toggle('picked'));
    trigger('pick', {ids: [...element.querySelectorAll('.picked')].map((each) => Number(each.dataset.id))});
});"""


@dataclass(frozen=True)
class Tile:
    """One picture of the gallery, as a Hit says of it."""

    picture: Picture
    score: float | None = None
    by_words: bool = False
    match: float | None = None


def gallery_html(tiles: Sequence[Tile], picked: Collection[int], served: Served, language: str) -> str:
    """A list of `tiles`, those in `picked` marked."""
    items = "".join(_item(tile, tile.picture.id in picked, served, language) for tile in tiles)
    return f'<ul class="tiles" aria-label="{escape(phrase("gallery", language))}">{items}</ul>' if items else ""


def thumbnail_html(picture: Picture, served: Served, language: str, alt: str = "") -> str:
    """The picture made small; a mark where there is nothing left to make it of."""
    try:
        return f'<img src="{escape(served.thumbnail(picture))}" alt="{escape(alt)}" loading="lazy">'
    except UserError as error:
        return f'<span class="gone" title="{escape(error.say(language))}">⚠</span>'


def score_text(score: float) -> str:
    """A score as it is shown."""
    return f"{score:.2f}"


def _item(tile: Tile, picked: bool, served: Served, language: str) -> str:
    picture, name = tile.picture, escape(tile.picture.name)
    open_, pick, like = (escape(phrase(f"{act}_picture", language, name=picture.name)) for act in ("open", "pick", "like"))
    mark = f"{tile.match:.0%}" if tile.match is not None else "" if tile.score is None else score_text(tile.score)
    marked = f"<b>{mark}</b> " if mark else ""
    words = f'<span class="words" title="{escape(phrase("by_its_words", language))}">abc</span> ' if tile.by_words else ""
    image = thumbnail_html(picture, served, language)
    return (
        f'<li data-id="{picture.id}"{" class=picked" if picked else ""}>'
        f'<button type="button" data-act="open" class="look" aria-label="{open_}">{image}</button>'
        f'<button type="button" data-act="pick" class="corner left" role="checkbox" aria-checked="{str(picked).lower()}"'
        f' aria-label="{pick}">✓</button>'
        f'<button type="button" data-act="like" class="corner right" aria-label="{like}" title="{like}">≈</button>'
        f'<span class="under" title="{name}">{marked}{words}{name}</span></li>'
    )
