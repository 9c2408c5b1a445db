"""Pieces of the page in HTML that are read as well as seen: bars and sentences."""

from __future__ import annotations

from html import escape

from multimodal.errors import length_text, size_text
from multimodal.ui.phrases import phrase

GIB = 2**30


def gib(size: int) -> str:
    """Bytes in the unit that cards are sold in, without its name."""
    return f"{size / GIB:.1f}"


def meter(label: str, text: str, used: int, total: int, peak: int | None = None) -> str:
    """A bar that is `used` of `total` full, with a mark where the peak was."""
    mark = "" if peak is None else f'<i class="peak" style="left:{_share(peak, total):.1f}%"></i>'
    return _bar("meter", label, text, used, total, mark)


def progress(label: str, done: int, total: int, seconds_left: float | None, language: str) -> str:
    """A bar for work under way: bytes so far, and the time left where it can be said."""
    text = phrase("bytes_done", language, done=size_text(done), total=size_text(total))
    if seconds_left is not None:
        text += phrase("time_left", language, time=length_text(seconds_left))
    return _bar("progressbar", label, text, done, total)


def work(label: str, text: str, done: int, total: int) -> str:
    """A bar for work of any kind under way, `text` saying how far it is."""
    return _bar("progressbar", label, text, done, total)


def _bar(role: str, label: str, text: str, used: int, total: int, mark: str = "") -> str:
    label, text, share = escape(label), escape(text), _share(used, total)
    said = f'aria-label="{label}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share:.0f}" aria-valuetext="{text}"'
    kind = "used full" if used > total else "used"
    return (
        f'<div class="meter"><div class="words"><b>{label}</b><span>{text}</span></div>'
        f'<div class="bar" role="{role}" {said}><i class="{kind}" style="width:{share:.1f}%"></i>{mark}</div></div>'
    )


def note(text: str) -> str:
    """A sentence."""
    return f'<p class="note">{escape(text)}</p>' if text else ""


def _share(part: int, whole: int) -> float:
    return min(100.0, 100 * part / whole) if whole else 0.0
