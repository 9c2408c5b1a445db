"""Flickr8k's own files (Hodosh et al. 2013): `name.jpg#0<TAB>caption`, and a list of names for each split."""

from __future__ import annotations

from pathlib import Path

from multimodal.training.captioned import CaptionedSet
from multimodal.training.gathering import Gathering
from multimodal.training.text_file import read_lines

TOKENS = "Flickr8k.token.txt"
LISTS = {"train": "Flickr_8k.trainImages.txt", "val": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}


def read_flickr8k(tokens: Path, folder: Path) -> CaptionedSet:
    """The data set of a file of captions; the lists of its splits lie beside it, if there are any. Raises UserError."""
    gathering = Gathering("flickr8k", folder)
    for split, name in LISTS.items():
        if (path := tokens.with_name(name)).is_file():
            for place, line in read_lines(path):
                gathering.picture(place, line.strip(), split)
    for place, line in read_lines(tokens):
        key, tab, caption = line.partition("\t")
        name, mark, number = key.strip().rpartition("#")
        if not (tab and mark and number.isdecimal()):
            gathering.leave_out("line_unreadable", place)
        elif entry := gathering.picture(place, name):
            gathering.caption(place, entry, caption)
    return gathering.finish()
