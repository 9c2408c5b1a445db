"""The lines of a data set, whatever their form, into its pictures: what cannot be used is left out and counted."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from multimodal.errors import UserError
from multimodal.training.captioned import Captioned, CaptionedSet, Problem
from multimodal.training.problems import say
from multimodal.training.splits import NAMES, split_by_name

# where pictures are looked for, below the data set's folder; Flickr8k's archive spells its own name wrongly
FOLDERS = ("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "train2017", "val2017", "train2014", "val2014")
LONGEST = 10_000  # characters of a caption; what is longer was meant for something else
PLACES = 10  # told of a problem


@dataclass
class Entry:
    """A picture that was found, called `name` in the data set. `captions`: the keys, in their order. `split`: '' for none so far."""

    name: str
    path: str
    split: str
    captions: dict[str, None] = field(default_factory=dict)
    split_twice: bool = False


class Gathering:
    """A data set while it is read: `picture` and `caption` for every line, in its order, and `finish`.

    `folder`: what the names of its pictures are relative to. A `place` is where people look for a line, as in Problem.
    """

    def __init__(self, form: str, folder: Path):
        self._form = form
        self._folder = folder
        self._problems: dict[str, Problem] = {}
        self._found: dict[tuple[str, str], str | None] = {}  # (folder, name) of a picture: its path, None where it cannot be used
        self._entries: dict[str, Entry] = {}  # by path: two names may mean one picture, and one name two in different folders

    def leave_out(self, code: str, place: str) -> None:
        """Count something that is not used. `code`: a key of `problems.SENTENCES`."""
        before = self._problems.get(code, Problem(code, 0, ()))
        self._problems[code] = Problem(code, before.count + 1, (*before.places, place)[:PLACES])

    def picture(self, place: str, name: object, split: object = "", inner: object = "") -> Entry | None:
        """The picture called `name`, None where it is left out. `split`: what the line calls it, if it does; `inner`: the folder that it
        says, which need not be there."""
        if not (is_text(name) and name and (not inner or is_text(inner))):
            self.leave_out("line_unreadable", place)
            return None
        known = NAMES.get(split.strip().lower()) if isinstance(split, str) else None
        if known is None and split not in ("", None):
            self.leave_out("split_unknown", place)
            return None
        path = self._look_for(name, inner or "")
        if path is None:
            return None
        entry = self._entries.setdefault(path, Entry(name, path, ""))
        entry.split = entry.split or known or ""
        if known and known != entry.split and not entry.split_twice:
            entry.split_twice = True
            self.leave_out("split_twice", name)
        return entry

    def caption(self, place: str, entry: Entry, text: object) -> None:
        """One more caption of a picture. Spaces around it and rows of spaces in it are not kept."""
        if not is_text(text):
            self.leave_out("line_unreadable", place)
            return
        caption = " ".join(text.split())
        if not caption:
            self.leave_out("caption_empty", place)
        elif len(caption) > LONGEST:
            self.leave_out("caption_long", place)
        elif caption in entry.captions:
            self.leave_out("caption_twice", place)
        else:
            entry.captions[caption] = None

    def finish(self) -> CaptionedSet:
        """All that can be used. Raises UserError where that is nothing."""
        entries = [entry for entry in self._entries.values() if self._is_kept("caption_missing", entry, bool(entry.captions))]
        if any(entry.split for entry in entries):
            entries = [entry for entry in entries if self._is_kept("split_missing", entry, bool(entry.split))]
            splits = [entry.split for entry in entries]
        else:
            splits = split_by_name([entry.name for entry in entries])
        pictures = [Captioned(Path(entry.path), tuple(entry.captions), split) for entry, split in zip(entries, splits, strict=True)]
        return not_empty(CaptionedSet(self._form, tuple(pictures), tuple(self._problems.values())), self._folder)

    def _is_kept(self, code: str, entry: Entry, kept: bool) -> bool:
        if not kept:
            self.leave_out(code, entry.name)
        return kept

    def _look_for(self, name: str, inner: str) -> str | None:
        """Where the picture is; what is wrong with it is counted once, however many lines name it."""
        key = (inner, name)
        if key not in self._found:
            names = [os.path.normpath(os.path.join(inner, name)), os.path.normpath(name)]
            paths = [os.path.normpath(self._folder / folder / each) for each in names for folder in FOLDERS]
            # what leads outside is not even asked after
            inside = all(map(_stays_inside, names))
            self._found[key] = next(filter(os.path.isfile, paths), None) if inside else None
            if self._found[key] is None:
                self.leave_out("picture_missing" if inside else "path_outside", name)
        return self._found[key]


def not_empty(data: CaptionedSet, path: Path) -> CaptionedSet:
    """The same data set, if it has a picture. Raises UserError with what was left out most often."""
    if data.pictures:
        return data
    problem = ("there are no lines", "没有内容")
    if data.problems:
        worst = max(data.problems, key=lambda problem: problem.count)
        problem = (say(worst, "en").removesuffix("."), say(worst, "zh").removesuffix("。"))
    raise UserError("set_empty", path=str(path), problem=problem)


def is_text(value: object) -> bool:
    """Whether it is a string that can be written; JSON has some that cannot: halves of characters beyond the 65,536th."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stays_inside(name: str) -> bool:
    """Whether a path in normal form stays below the folder that it is joined to."""
    return not (os.path.splitdrive(name)[0] or name.startswith(os.sep) or name.split(os.sep)[0] == os.pardir)
