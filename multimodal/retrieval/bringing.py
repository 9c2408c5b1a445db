"""From a file to a picture in the store: what threads do ahead, and what is then encoded and committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.ahead import batches
from multimodal.retrieval.cores import COUNT, OneCore
from multimodal.retrieval.originals import Originals
from multimodal.retrieval.perceptual import signature
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.retrieval.records import NewPicture, Place
from multimodal.retrieval.store import Store
from multimodal.retrieval.thumbnails import LONGER, Thumbnails

if TYPE_CHECKING:  # it brings torch, and the library can be without an encoder
    from multimodal.retrieval.encoder import Encoder

log = logging.getLogger(__name__)

GROUP = 8  # pictures or texts encoded by one thread at once
BATCH = 32  # committed at once
COMMIT_SECONDS = 2.0  # at most between two commits: what a sudden end undoes
OVERSIZE = 2  # times the encoder's side: no smaller is a picture decoded
# A time at which no file was ever changed: one that cannot be opened is tried again each time, for rights change without a trace.
NEVER = -1
PASSING = ("file_unreadable", "picture_no_memory")  # what says nothing of the file itself: it may hold a picture all the same

From, Item, To = TypeVar("From"), TypeVar("Item"), TypeVar("To")


@dataclass(frozen=True)
class Source:
    """A file to be brought in, known to people as `name`; its size and time as it was found. `kept`: the library copies it."""

    path: Path
    name: str
    bytes: int = 0
    modified: int = 0
    kept: bool = False
    sample: bool = False
    captions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ready:
    """A picture that only wants its vector: `prepared` for `encoder`. None: it has one, or there is no encoder."""

    source: Source
    picture: NewPicture
    prepared: Any = None
    encoder: Encoder | None = None


@dataclass(frozen=True)
class Refused:
    """A file that is no picture, and why."""

    source: Source
    error: UserError


@dataclass(frozen=True)
class Group:
    """What was read, with the vectors of what is ready, float32 [dimension]: None for those that have one, or get one another time.

    `space`: the encoder's that made them. `failure`: why it made none.
    """

    items: Sequence[Ready | Refused]
    vectors: Sequence[np.ndarray | None]
    space: str | None = None
    failure: UserError | None = None


class Bringing:
    """Any thread may commit; the rest is for threads of its own, by `batches`."""

    def __init__(
        self, store: Store, originals: Originals, thumbnails: Thumbnails, limits: Limits, encoder: Callable[[], Encoder | None]
    ) -> None:
        self.store, self.originals, self.thumbnails, self.limits, self.encoder = store, originals, thumbnails, limits, encoder
        self._readers, self._encoders = ThreadPoolExecutor(COUNT, "reading"), ThreadPoolExecutor(COUNT, "encoding")
        self._one_core = OneCore()
        self._most = GROUP  # encoded at once

    def batches(self, read: Callable[[From], Item], encode: Callable[[list[Item]], To], sources: Iterable[From]) -> Iterator[list[To]]:
        """What `encode` makes of groups of what `read` makes of each source: in their order, a batch at once. Threads do it ahead."""
        groups = batches(self._readers, read, sources, GROUP, 2 * BATCH, COMMIT_SECONDS)
        return batches(self._encoders, encode, groups, BATCH // GROUP, 2 * COUNT, COMMIT_SECONDS)

    def read(self, source: Source) -> Ready | Refused:
        """The picture in a file; its thumbnail is made then, and its copy kept. Raises UserError where the library's disk refuses them."""
        try:
            return self._read(source)
        except MemoryError:
            log.exception("Memory ran out over %s", source.path)
            return Refused(source, UserError("picture_no_memory", name=source.name))

    def _read(self, source: Source) -> Ready | Refused:
        encoder = self.encoder()
        content = _of_file(source, lambda: read_content(source.path, source.name, self.limits))
        if isinstance(content, Refused):
            return content
        place = Place(str(source.path), source.bytes, source.modified)
        picture = self.store.known(content.hash, place, encoder.space if encoder else None)
        image = None
        if picture is None or not self.thumbnails.is_there(content.hash):
            side = OVERSIZE * encoder.side if encoder else 0
            read = _of_file(source, lambda: read_picture(content, source.name, self.limits, side, LONGER))
            if isinstance(read, Refused):
                return read
            image = read.image
            self.thumbnails.put(content.hash, image)
        prepared = None
        if picture is None:
            prepared = self.prepare(encoder, image, source.name) if encoder else None
            picture = NewPicture(
                content.hash,
                source.name,
                place,
                read.width,
                read.height,
                read.taken,
                signature(image),
                read.exif,
                sample=source.sample,
            )
        if source.kept:
            picture = replace(picture, place=self.originals.put(content), captions=source.captions)
        return Ready(source, picture, prepared, encoder)

    def prepare(self, encoder: Encoder, image: Image.Image, name: str) -> Any:
        """An RGB picture as the encoder takes it; None where it does not: one odd picture is not to stop the others."""
        self._one_core.keep()
        try:
            return encoder.prepare(image)
        except Exception:
            log.exception("%s could not be prepared for the encoder", name)
            return None

    def encode(self, items: Sequence[Ready | Refused]) -> Group:
        """What was read, with the vectors that it wants."""
        encoder = self.encoder()
        vectors: list[np.ndarray | None] = [None] * len(items)
        wanting = [index for index, item in enumerate(items) if isinstance(item, Ready) and item.prepared is not None]
        wanting = [index for index in wanting if items[index].encoder is encoder]
        if not wanting:
            return Group(items, vectors)
        try:
            found = self.vectors(encoder, encoder.encode_prepared, [items[index].prepared for index in wanting])
        except UserError as error:
            return Group(items, vectors, failure=error)
        if found is not None:
            for index, vector in zip(wanting, found, strict=True):
                vectors[index] = vector
        return Group(items, vectors, encoder.space)

    def vectors(self, encoder: Encoder, encode: Callable[[Sequence[Any]], np.ndarray], items: Sequence[Any]) -> np.ndarray | None:
        """What `encode` makes of all items, fewer at once where memory runs out: float32 [n, dimension].

        None where the encoder was put away meanwhile. Raises UserError.
        """
        self._one_core.keep()
        vectors, done = [np.empty((0, encoder.dimension), np.float32)], 0
        while done < len(items):
            most = self._most
            try:
                vectors.append(encode(items[done : done + most]))
                done += len(vectors[-1])
            except Exception as error:
                if self.encoder() is not encoder:
                    return None
                if not _ran_out(error):
                    log.exception("The encoder failed")
                    raise UserError("library_failed", reason=type(error).__name__) from error
                if most == 1:
                    raise UserError("library_out_of_memory") from error
                self._most = min(self._most, most // 2)
                log.warning("Memory ran out: %d are encoded at once from now on", self._most)
        return np.concatenate(vectors)

    def commit(self, groups: Sequence[Group], restore: bool) -> list[int]:
        """Put what was read into the store, in one transaction; returns the pictures' ids. Raises UserError."""
        ids = []
        with self.store.database.writing():
            for group in groups:
                pictures = []
                for item, vector in zip(group.items, group.vectors, strict=True):
                    if isinstance(item, Ready):
                        pictures.append(replace(item.picture, vector=vector))
                    elif not item.source.kept:
                        self._note(item)
                ids += self.store.add(pictures, group.space, restore)
        return ids

    def close(self) -> None:
        """What is under way is finished, unseen, and nothing is read or encoded after this."""
        for pool in (self._readers, self._encoders):
            pool.shutdown(cancel_futures=True)

    def _note(self, refused: Refused) -> None:
        """A file that has gone, or has become what is no picture, holds none any more. One that cannot be looked into now may still."""
        source, error = refused.source, refused.error
        path, modified = str(source.path), source.modified
        if error.code in PASSING:
            modified = NEVER
        else:
            self.store.forget([path])
        if error.code != "file_missing":
            self.store.fail(path, source.bytes, modified, error.code, error.facts)


def _of_file(source: Source, read: Callable[[], To]) -> To | Refused:
    """What `read` makes of a file, or why it can make nothing of it: one odd file is not to stop the others. Raises MemoryError."""
    try:
        return read()
    except UserError as error:
        return Refused(source, error)
    except MemoryError:
        raise
    except Exception:
        log.exception("%s could not be read", source.path)
        return Refused(source, UserError("picture_broken", name=source.name))


def _ran_out(error: Exception) -> bool:
    from low_vram.memory import ran_out  # it brings torch

    return ran_out(error)
