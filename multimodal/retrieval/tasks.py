"""What can be asked of the thread that adds pictures: a folder, some files, the vectors that are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.errors import UserError
from multimodal.retrieval.bringing import NEVER, OVERSIZE, Bringing, Refused, Source
from multimodal.retrieval.progress import Meter
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.retrieval.scan import Unreadable, nameless, walk

PART = 500  # files forgotten in one transaction


@dataclass(frozen=True)
class Means:
    """What a task works with. `breathe` is called often: it waits while there is a pause, and raises where the task is to end.

    `committed` is called after each commit; `folder` is the library's own.
    """

    bringing: Bringing
    folder: Path
    meter: Meter
    breathe: Callable[[], None]
    committed: Callable[[], None]

    def batches(self, read: Callable[[Any], Any], encode: Callable[[list], Any], sources: Sequence) -> Iterator[list]:
        """As Bringing.batches; whoever asks for the next has committed the last."""
        self.meter.run()
        for batch in self.bringing.batches(read, encode, sources):
            yield batch
            self.committed()
            self.breathe()

    def bring(self, sources: Sequence[Source], restore: bool, wanted: Callable[[], bool] = lambda: True) -> None:
        """Files into the store, for as long as they are `wanted`. Raises UserError."""
        self.meter.found(ahead=len(sources))
        for groups in self.batches(self.bringing.read, self.bringing.encode, sources):
            with self.bringing.store.database.writing():  # nothing changes between the question and the commit
                if not wanted():
                    return
                ids = self.bringing.commit(groups, restore)
            items = [item for group in groups for item in group.items]
            failed = [item for item in items if isinstance(item, Refused) and item.error.code != "file_missing"]
            self.meter.dealt(len(items), len(ids), len(failed), items[-1].source.name)
            failure = next((group.failure for group in groups if group.failure), None)
            if failure:  # what comes after would have no vectors, either
                self.committed()
                raise failure.anew()


@dataclass(frozen=True)
class FolderTask:
    """Read what is new or changed in a folder, and forget what has gone. What a person took out stays out."""

    path: Path

    def run(self, means: Means) -> None:
        """Raises UserError."""
        store, top = means.bringing.store, str(self.path)
        known, changed, unreadable = store.known_below(top), [], []
        pictures, empty = sum(not broken for _, _, broken in known.values()), True
        for item in walk(self.path, [means.folder]):
            means.breathe()
            empty = False
            if isinstance(item, Unreadable):
                unreadable.append(item)
                continue
            size, modified, broken = known.pop(item.path, (None, None, False))
            if (size, modified) != (item.bytes, item.modified):
                changed.append(Source(Path(item.path), os.path.basename(item.path), item.bytes, item.modified))
            else:
                means.meter.found(unchanged=not broken, failed=broken)
        if empty and pictures:  # where a disk is not connected, its folder may be there all the same
            raise UserError("folder_empty", name=top, count=pictures)
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
            if shown := nameless(str(path)):
                means.bringing.store.fail(shown, 0, NEVER, "file_name_unreadable", {"name": shown})
                means.meter.found(failed=1)
                continue
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
        complete = self._fill(
            means, encoder, "picture", pictures, lambda id: self._prepared(bringing, encoder, id), encoder.encode_prepared
        ) and self._fill(means, encoder, "caption", captions, lambda id: self._text(bringing, id), encoder.encode_texts)
        if complete and bringing.encoder() is encoder and not any(store.missing(encoder.space, kind, 1) for kind in ("picture", "caption")):
            store.drop_other_spaces(encoder.space)

    def _fill(
        self,
        means: Means,
        encoder: Any,
        kind: str,
        ids: Sequence[int],
        read: Callable[[int], tuple[int, str, Any]],
        encode: Callable[[Sequence[Any]], np.ndarray],
    ) -> bool:
        """The vectors of `ids`; False where the encoder was put away meanwhile. `read`: (the id, a name, what is encoded or None)."""
        table = means.bringing.store.vectors(encoder.space, kind, encoder.dimension)

        def encoded(items: list[tuple[int, str, Any]]) -> tuple[list[tuple[int, str, Any]], np.ndarray | None]:
            return items, means.bringing.vectors(encoder, encode, [value for _, _, value in items if value is not None])

        for groups in means.batches(read, encoded, ids):
            for items, vectors in groups:
                if vectors is None:
                    return False
                found = [id for id, _, value in items if value is not None]
                table.put(found, vectors)
                means.meter.dealt(len(items), len(found), len(items) - len(found), items[-1][1])
        return True

    def _prepared(self, bringing: Bringing, encoder: Any, id: int) -> tuple[int, str, Any]:
        """With the picture as the encoder takes it, from a file that still holds it."""
        picture = bringing.store.picture(id)
        for place in picture.places if picture else ():
            try:
                content = read_content(Path(place.path), picture.name, bringing.limits)
                if content.hash == picture.hash:
                    image = read_picture(content, picture.name, bringing.limits, OVERSIZE * encoder.side, 0).image
                    return id, picture.name, bringing.prepare(encoder, image, picture.name)
            except UserError:
                continue  # it has gone, or cannot be read: the next look at its folder says so
        return id, picture.name if picture else "", None

    def _text(self, bringing: Bringing, id: int) -> tuple[int, str, Any]:
        captions = bringing.store.captions([id])
        return id, "", captions[0].text if captions else None


Task = FolderTask | FilesTask | FillTask
