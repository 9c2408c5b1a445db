"""Captioned data sets from a disk: which form one has is seen by what is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from multimodal.errors import UserError
from multimodal.training.captioned import CaptionedSet
from multimodal.training.coco import START, read_coco, split_of
from multimodal.training.flickr8k import TOKENS, read_flickr8k
from multimodal.training.jsonl import read_jsonl
from multimodal.training.karpathy import read_karpathy
from multimodal.training.table import read_table

INNER = ("annotations", "Flickr8k_text")  # folders of a data set that hold its captions and not its pictures
TABLES = ("captions.txt", "captions.csv")

Reader = Callable[[], CaptionedSet]


def read_captioned(path: Path) -> CaptionedSet:
    """The data set at `path`: a folder, or the file in it that has the captions. Of the pictures it is only seen that they are there.

    A folder is of one of these forms: Flickr8k.token.txt with the lists of its splits (flickr8k.py); captions.txt or captions.csv
    (table.py); captions_train2017.json, captions_val2017.json or the like (coco.py); dataset_*.json (karpathy.py); one .jsonl file
    (jsonl.py). Where nothing says which split a picture belongs to, `splits.split_by_name` does.

    Raises UserError where there is no data set, where its form is unknown or a file of it cannot be read, and where no picture with a
    caption is left.
    """
    try:
        readers = _in_folder(path) if path.is_dir() else {path: _of_file(path)} if path.exists() else None
    except OSError as error:
        raise UserError("folder_unreadable", name=str(path), reason=error.strerror or type(error).__name__) from error
    if readers is None:
        raise UserError("set_not_found", path=str(path))
    if not readers:
        raise UserError("set_unknown", path=str(path))
    if len(readers) > 1:
        raise UserError("set_ambiguous", path=str(path), names=", ".join(file.relative_to(path).as_posix() for file in readers))
    (reader,) = readers.values()
    return reader()


def _in_folder(folder: Path) -> dict[Path, Reader]:
    """What reads the captions in a folder, by the file that has them: more than one where it holds several data sets."""
    names = {path.name: path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")}
    readers = {path: _of_file(path) for path in (folder / inner / TOKENS for inner in ("", *INNER)) if path.is_file()}
    readers |= {path: _of_file(path) for name, path in names.items() if name in TABLES or path.suffix.lower() == ".jsonl"}
    readers |= {path: _of_file(path) for name, path in names.items() if name.startswith("dataset_") and path.suffix == ".json"}
    found = sorted(folder.glob(f"{START}*.json")) or sorted(folder.glob(f"annotations/{START}*.json"))
    if len({split_of(path) for path in found}) < len(found):  # two of one split: train2014 and train2017 share pictures
        return readers | {path: _of_file(path) for path in found}
    return readers | ({found[0]: partial(read_coco, found, folder)} if found else {})


def _of_file(path: Path) -> Reader:
    """What reads this file."""
    folder = path.parent.parent if path.parent.name in INNER else path.parent
    if path.name == TOKENS:
        return partial(read_flickr8k, path, folder)
    if path.suffix.lower() == ".jsonl":
        return partial(read_jsonl, path, folder)
    if path.suffix.lower() == ".json":
        return partial(read_karpathy, path, folder) if path.name.startswith("dataset_") else partial(read_coco, [path], folder)
    if path.suffix.lower() in (".csv", ".txt"):
        return partial(read_table, path, folder)
    raise UserError("set_unknown", path=str(path))
