"""Pictures of the library for elsewhere: a table for spreadsheets, JSON for programs, and a ZIP of the originals."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import time
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from multimodal.errors import UserError, size_text
from multimodal.retrieval.answers import More, in_detail, of_picture
from multimodal.retrieval.cells import as_cell
from multimodal.retrieval.library import Library
from multimodal.retrieval.records import Picture
from multimodal.retrieval.whole_file import replacing

BLOCK = 500  # pictures looked up at once
RESERVE_BYTES = 200_000_000  # that a ZIP leaves free on its disk
COPY_BYTES = 2**20
LONGEST_NAME = 200  # bytes of a name in a ZIP; file systems take 255, and there may be a number to come
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')  # in names, on Windows
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # what Windows takes for no file
FIRST, LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
MISSING = "The files of these pictures are not where they were. 这些图片的文件已不在原处。"


def export(library: Library, ids: Sequence[int], form: str, path: Path, more: More, most_bytes: int | None = None) -> None:
    """Write the pictures of `ids`, in their order, to the file `path`; what was there is replaced, once all is written.

    `form`: 'csv', 'json' or 'zip'. `more` adds to what a table or JSON says of a picture. `most_bytes`: of the originals in a ZIP. A
    picture that was taken out meanwhile is left out. Raises UserError.
    """
    try:
        with replacing(path) as beside:
            if form == "zip":
                _check_size(library, ids, path.parent, most_bytes)
                write_zip(library, ids, beside)
            elif form == "json":
                with beside.open("w", encoding="utf-8", newline="\n") as file:
                    write_json((in_detail(picture, more) for picture in pictures_of(library, ids)), file)
            else:
                # the mark at its beginning tells spreadsheets that it is UTF-8
                with beside.open("w", encoding="utf-8-sig", newline="") as file:
                    write_csv(pictures_of(library, ids), file, more)
    except OSError as error:
        raise UserError("export_refused", path=str(path), reason=error.strerror or type(error).__name__) from error


def pictures_of(library: Library, ids: Sequence[int]) -> Iterator[Picture]:
    """The pictures of `ids` that are in the library, looked up a block at a time."""
    for start in range(0, len(ids), BLOCK):
        for picture in library.store.pictures(map(int, ids[start : start + BLOCK])):
            if not picture.removed:
                yield picture


def write_json(answers: Iterable[Mapping[str, object]], file: TextIO, ascii_only: bool = False) -> None:
    """{"images": [...]}, a picture a line, as they come: a library can be larger than memory."""
    file.write('{"images": [')
    for number, answer in enumerate(answers):
        file.write(("," if number else "") + "\n " + json.dumps(answer, ensure_ascii=ascii_only))
    file.write("\n]}\n")


def write_csv(pictures: Iterable[Picture], file: TextIO, more: More) -> None:
    """A table of `pictures`, its columns named in the first line; captions are in one cell, each in a line of its own."""
    table = csv.writer(file)
    named = False
    for picture in pictures:
        answer = of_picture(picture, more)
        if not named:
            table.writerow(answer)
            named = True
        table.writerow(as_cell("\n".join(value) if isinstance(value, list) else value) for value in answer.values())


def write_zip(library: Library, ids: Sequence[int], path: Path) -> None:
    """The originals of `ids`, each under a name of its own, uncompressed as pictures are; what is missing is named in missing.txt."""
    names: dict[str, int] = {}
    missing = []
    with zipfile.ZipFile(path, "w") as archive:
        for picture in pictures_of(library, ids):
            try:
                original = library.original(picture).open("rb")
            except (UserError, OSError):
                missing.append(f"{picture.id}\t{picture.name}")
                continue
            with original:
                entry = zipfile.ZipInfo(_own_name(picture.name, names), _zip_time(picture.taken))
                entry.file_size = os.fstat(original.fileno()).st_size  # by which zipfile chooses how large a file it writes down
                entry.external_attr = 0o644 << 16
                with archive.open(entry, "w") as copy:
                    shutil.copyfileobj(original, copy, COPY_BYTES)
        if missing:
            archive.writestr(_own_name("missing.txt", names), "\n".join([MISSING, *missing, ""]))


def _check_size(library: Library, ids: Sequence[int], folder: Path, most_bytes: int | None) -> None:
    sizes = [picture.bytes for picture in pictures_of(library, ids)]
    size = sum(sizes)
    limit = max(0, shutil.disk_usage(folder).free - RESERVE_BYTES)
    limit = limit if most_bytes is None else min(limit, most_bytes)
    if size > limit:
        raise UserError("export_too_large", count=len(sizes), size=size_text(size), limit=size_text(limit))


def _own_name(name: str, taken: dict[str, int]) -> str:
    """`name` as every system takes it, and with a number where one before was called so, which `taken` counts."""
    name = FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip(" .") or "picture"
    stem, ending = os.path.splitext(f"_{name}" if DEVICES.match(name) else name)
    ending = ending[:20]
    stem = stem.encode()[: LONGEST_NAME - len(ending.encode())].decode(errors="ignore")
    own = plain = f"{stem}{ending}"
    while own.casefold() in taken:
        taken[plain.casefold()] += 1
        own = f"{stem} ({taken[plain.casefold()]}){ending}"
    taken[own.casefold()] = 1
    return own


def _zip_time(seconds: float) -> tuple[int, int, int, int, int, int]:
    """In this machine's time, within the years that a ZIP can hold."""
    try:
        moment = time.localtime(seconds)[:6]
    except (OSError, OverflowError, ValueError):
        moment = FIRST
    return max(FIRST, min(moment, LAST))
