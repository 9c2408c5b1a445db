"""Values in the cells of a CSV, which spreadsheets open."""

from __future__ import annotations

import re

# What a spreadsheet takes for the beginning of a formula; those of East Asian width too.
FORMULA = re.compile(r"[=+\-@＝＋－＠\t\r\n]")


def as_cell(value: object) -> object:
    """`value` as it may stand in a CSV: a text that spreadsheets would compute is marked as text."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
