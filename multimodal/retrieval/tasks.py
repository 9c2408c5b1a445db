"""What can be asked of the thread that adds pictures: a folder, some files, the vectors that are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from multimodal.errors import UserError
from multimodal.retrieval.ahead import batches
from multimodal.retrieval.bringing import BATCH, NEVER, OVERSIZE, Bringing, Ready, Source
from multimodal.retrieval.progress import Meter
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.retrieval.scan import Unreadable, walk

COMMIT_SECONDS = 2.0  # at most between two commits: what a sudden end undoes
PART = 500  # files forgotten in one transaction

From, To = TypeVar("From"), TypeVar("To")


@dataclass(frozen=True)
class Means:
    """What a task works with. `breathe` is called often: it waits while there is a pause, and raises where the task is to end.

    `committed` is called after each commit; `folder` is the library's own.
    """

    bringing: Bringing
    folder: Path
    pool: Executor
    meter: Meter
    breathe: Callable[[], None]
    committed: Callable[[], None]

    def batches(self, work: Callable[[From], To], sources: Iterable[From]) -> Iterable[list[To]]:
        """What `work` makes of each source, some at once."""
        self.meter.run()
        for batch in batches(self.pool, work, sources, BATCH, 2 * BATCH, COMMIT_SECONDS):
            yield batch
            self.committed()
            self.breathe()

    def bring(self, sources: Sequence[Source], restore: bool, wanted: Callable[[], bool] = lambda: True) -> None:
        """Files into the store, for as long as they are `wanted`. Raises UserError."""
        self.meter.found(ahead=len(sources))
        for batch in self.batches(self.bringing.read, sources):
            if not wanted():
                return
            ids = self.bringing.commit(batch, restore)
            failed = [item for item in batch if not isinstance(item, Ready) and item.error.code != "file_missing"]
            self.meter.dealt(len(batch), len(ids), len(failed), batch[-1].source.name)


@dataclass(frozen=True)
class FolderTask:
    """Read what is new or changed in a folder, and forget what has gone. What a person took out stays out."""

    path: Path

    def run(self, means: Means) -> None:
        """Raises UserError."""
        store, top = means.bringing.store, str(self.path)
        known, changed, unreadable = store.known_below(top), [], []
        for item in walk(self.path, [means.folder]):
            means.breathe()
            if isinstance(item, Unreadable):
                unreadable.append(item)
                continue
            size, modified, broken = known.pop(item.path, (None, None, False))
            if (size, modified) != (item.bytes, item.modified):
                changed.append(Source(Path(item.path), os.path.basename(item.path), item.bytes, item.modified))
            else:
                means.meter.found(unchanged=not broken, failed=broken)
        means.bring(changed, restore=False, wanted=lambda: store.has_folder(top))
        # only now: a file that was moved has been found in its new place, and its picture is not lost
        spared = tuple(item.path + os.sep for item in unreadable)
        gone = [path for path in known if not path.startswith(spared) and not os.path.exists(path)]
        for start in range(0, len(gone), PART):
            store.forget(gone[start : start + PART])
            means.committed()
            means.breathe()
        store.forget([path for path, (_, modified, _) in known.items() if modified == NEVER and os.path.isdir(path)])
        for item in unreadable:
            store.fail(item.path, 0, NEVER, item.code, item.facts)
            means.meter.found(failed=1)


@dataclass(frozen=True)
class FilesTask:
    """Read files of a person's own, which stay where they are. What was taken out comes back."""

    paths: tuple[Path, ...]

    def run(self, means: Means) -> None:
        """Raises UserError."""
        sources = []
        for path in self.paths:
            try:
                status = path.stat()
                sources.append(Source(path, path.name, status.st_size, status.st_mtime_ns))
            except (OSError, ValueError):  # ValueError: no path can be so
                means.bringing.store.fail(str(path), 0, NEVER, "file_missing", {"name": path.name})
                means.meter.found(failed=1)
        means.bring(sources, restore=True)


@dataclass(frozen=True)
class FillTask:
    """Make the vectors that the present encoder's space lacks, and let go of other spaces once they are all there."""

    def run(self, means: Means) -> None:
        """Ends early where the encoder is put away. Raises UserError."""
        bringing, store = means.bringing, means.bringing.store
        encoder = bringing.encoder()
        if encoder is None:
            return
        pictures, captions = (store.missing(encoder.space, kind, -1) for kind in ("picture", "caption"))
        means.meter.found(ahead=len(pictures) + len(captions))
        table = store.vectors(encoder.space, "picture", encoder.dimension)
        for batch in means.batches(lambda id: (id, *self._prepared(bringing, encoder, id)), pictures):
            found = [(id, prepared) for id, _, prepared in batch if prepared is not None]
            vectors = bringing.encode(encoder, encoder.encode_prepared, [prepared for _, prepared in found])
            if vectors is None:
                return
            table.put([id for id, _ in found], vectors)
            means.meter.dealt(len(batch), len(found), len(batch) - len(found), batch[-1][1])
        table = store.vectors(encoder.space, "caption", encoder.dimension)
        for batch in means.batches(lambda id: store.captions([id]), captions):
            found = [caption for one in batch for caption in one]
            vectors = bringing.encode(encoder, encoder.encode_texts, [caption.text for caption in found])
            if vectors is None:
                return
            table.put([caption.id for caption in found], vectors)
            means.meter.dealt(len(batch), len(found), 0, "")
        complete = not any(store.missing(encoder.space, kind, 1) for kind in ("picture", "caption"))
        if complete and bringing.encoder() is encoder:
            store.drop_other_spaces(encoder.space)

    def _prepared(self, bringing: Bringing, encoder: Any, id: int) -> tuple[str, Any]:
        """(its name, the picture as the encoder takes it, from a file that still holds it; None where there is none)."""
        picture = bringing.store.picture(id)
        for place in picture.places if picture else ():
            try:
                content = read_content(Path(place.path), picture.name, bringing.limits)
                if content.hash == picture.hash:
                    image = read_picture(content, picture.name, bringing.limits, OVERSIZE * encoder.side, 0).image
                    return picture.name, bringing.prepare(encoder, image, picture.name)
            except UserError:
                continue  # it has gone, or cannot be read: the next look at its folder says so
        return picture.name if picture else "", None


Task = FolderTask | FilesTask | FillTask
