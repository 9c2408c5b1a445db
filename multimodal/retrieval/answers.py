"""What the library knows, as the plain values that routes and command line print."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from multimodal.errors import UserError
from multimodal.retrieval.records import Failure, Picture
from multimodal.retrieval.search import CaptionHit, Found, Hit

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What else is told of a picture: addresses by the routes, paths by the command line.
More = Callable[[Picture], Mapping[str, object]]


def of_picture(picture: Picture, more: More) -> dict[str, object]:
    """A picture in a list."""
    return {"id": picture.id, "image_name": picture.name, **_facts(picture, more)}


def in_detail(picture: Picture, more: More) -> dict[str, object]:
    """A picture by itself: also its SHA-256, when it was added, and what its camera wrote."""
    return {
        **of_picture(picture, more),
        "hash": picture.hash,
        "added": time_text(picture.added),
        "sample": picture.sample,
        "exif": dict(picture.exif),
    }


def of_found(found: Found, more: More) -> dict[str, object]:
    """The results of a search, each with its score, and its match where it was looked at twice; where there are none, how near the nearest
    came to the threshold."""
    results = [{"id": hit.picture.id, "image_name": hit.picture.name, **_marks(hit), **_facts(hit.picture, more)} for hit in found.hits]
    if results or found.at_least is None:
        return {"results": results}
    nearest = None if found.nearest is None else round(found.nearest, 4)
    return {"results": results, "nearest": nearest, "threshold": round(found.at_least, 4)}


def of_captions(hits: Sequence[CaptionHit], pictures: Iterable[Picture]) -> list[dict[str, object]]:
    """Captions that were found, each with the picture it stands under; `pictures` are those pictures."""
    names = {picture.id: picture.name for picture in pictures}
    return [
        {"caption": hit.caption.text, "score": hit.score, "id": hit.caption.picture, "image_name": names[hit.caption.picture]}
        for hit in hits
        if hit.caption.picture in names  # it may have been taken out meanwhile
    ]


def time_text(seconds: float) -> str:
    """Seconds since the epoch in this machine's time, as in 2024-05-31T18:04:00+02:00; of years beyond 1 to 9999 the nearest moment."""
    try:
        moment = EPOCH + timedelta(seconds=seconds)
    except OverflowError:  # file systems can say it
        moment = (datetime.max if seconds > 0 else datetime.min).replace(tzinfo=timezone.utc)
    with suppress(OSError, OverflowError, ValueError):  # Windows knows its own time from 1970 on alone
        moment = moment.astimezone()
    return moment.isoformat(timespec="seconds")


def _marks(hit: Hit) -> dict[str, object]:
    return {"score": hit.score, **({} if hit.match is None else {"match": hit.match})}


def _facts(picture: Picture, more: More) -> dict[str, object]:
    return {
        "width": picture.width,
        "height": picture.height,
        "bytes": picture.bytes,
        "taken": time_text(picture.taken),
        "captions": [caption.text for caption in picture.captions],
        **more(picture),
    }


def of_failure(failure: Failure, language: str) -> dict[str, object]:
    """A file that could not be taken, and why, in 'en' or 'zh'."""
    message = UserError(failure.code, **failure.facts).say(language)
    return {"image_name": os.path.basename(failure.path), "code": failure.code, "message": message}
