"""Captions as COCO has them (Chen et al. 2015): JSON with `images` (id, file_name) and `annotations` (image_id, caption)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from multimodal.errors import UserError
from multimodal.training.captioned import SPLITS, CaptionedSet
from multimodal.training.gathering import Entry, Gathering
from multimodal.training.text_file import read_json

START = "captions_"  # of the files' names: captions_train2017.json


def split_of(path: Path) -> str:
    """What the file's name says: 'train' of captions_train2017.json, '' where it says nothing."""
    return next((split for split in SPLITS if path.name.startswith(START + split)), "")


def read_coco(paths: Sequence[Path], folder: Path) -> CaptionedSet:
    """The data set of one or more files. The names of several say the splits; one alone is the whole data set. Raises UserError."""
    gathering = Gathering("coco", folder)
    for path in paths:
        _read(path, gathering, split_of(path) if len(paths) > 1 else "")
    return gathering.finish()


def _read(path: Path, gathering: Gathering, split: str) -> None:
    document = read_json(path)
    images, annotations = (document.get(name) if isinstance(document, dict) else None for name in ("images", "annotations"))
    if not (isinstance(images, list) and isinstance(annotations, list)):
        raise UserError("set_unknown", path=str(path))
    own = path.stem.removeprefix(START)  # captions_val2017.json is of the pictures in val2017/
    entries: dict[object, Entry | None] = {}  # by the picture's id
    for place, image in places(path, "images", images):
        id = image.get("id")
        if not isinstance(id, int | str) or id in entries:
            gathering.leave_out("line_unreadable", place)
        else:
            entries[id] = gathering.picture(place, image.get("file_name"), split, own)
    for place, annotation in places(path, "annotations", annotations):
        id = annotation.get("image_id")
        if not isinstance(id, int | str) or id not in entries:
            gathering.leave_out("line_unreadable", place)
        elif entry := entries[id]:
            gathering.caption(place, entry, annotation.get("caption"))


def places(path: Path, name: str, items: Sequence[object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each item of a list called `name`, with its place ('captions.json:images[3]'). What is no object has no fields."""
    for number, item in enumerate(items):
        yield f"{path.name}:{name}[{number}]", item if isinstance(item, dict) else {}
