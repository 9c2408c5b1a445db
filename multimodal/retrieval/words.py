"""Text for SQLite's FTS5: Chinese, which writes no spaces, one character a token; what a person types as a query that cannot be wrong."""

from __future__ import annotations

import re
import unicodedata

# Han, kana and hangul.
CHARACTER = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
PIECES = re.compile(rf"({CHARACTER}+)|([^\W_]+)")


def tokens(text: str) -> str:
    """`text` as it is stored: spaces around every Chinese character, so that any part of a sentence can be found; in Unicode's form NFC."""
    return re.sub(f"({CHARACTER})", r" \1 ", unicodedata.normalize("NFC", text))


def match(text: str) -> str | None:
    """The FTS5 query for pictures in which every word of `text` begins a word, in any order; None where there is no word in it.

    All is quoted: no sign of FTS5's own language is left to whoever types.
    """
    terms = []
    for piece in PIECES.finditer(re.sub(rf"({CHARACTER}+)", r" \1 ", unicodedata.normalize("NFC", text))):
        if piece[1]:
            terms.append('"' + " ".join(piece[1]) + '"')
        else:
            terms.append(f'"{piece[2]}"*')
    return " ".join(terms) or None
