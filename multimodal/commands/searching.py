"""`library search` and `library list`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from multimodal.commands.session import Session, as_path, speaks_utf8, where
from multimodal.media import take
from multimodal.retrieval.answers import of_found, of_picture
from multimodal.retrieval.export import pictures_of, write_json
from multimodal.retrieval.query import Query, Term, read_filter, read_terms
from multimodal.retrieval.records import Filter


def search(session: Session, options: argparse.Namespace) -> int:
    """Words to pictures, or pictures to pictures. Raises UserError."""
    library = session.library
    words = " ".join(options.words)
    terms = [Term(_open(session, as_path(text))) for text in options.image]
    names = [Path(text).name for text in options.image]
    terms += read_terms(words)
    query = Query(tuple(terms), filter_of(options), options.sort, options.k, options.threshold, options.cross)
    if terms:
        session.load_encoder()
    found = of_found(library.find(query), where)
    body = {"query": words or ", ".join(names), **({"query_image": ", ".join(names)} if names else {}), **found}
    results = body["results"]
    lines = [_line(result, _mark(result)) for result in results]
    if not results:
        lines = [session.say("nothing", **found) if found.get("nearest") is not None else session.say("nothing_at_all")]
    if terms and library.store.missing(library.encoder.space, "picture", 1):
        session.tell(session.say("waiting_vectors", count=len(library.store.missing(library.encoder.space, "picture", -1))))
    session.answer(body, *lines)
    return 0


def list_all(session: Session, options: argparse.Namespace) -> int:
    """The pictures of the library, or those that the filters describe. Raises UserError."""
    ids = session.library.store.ids(filter_of(options), options.sort, options.limit, options.offset)
    pictures = pictures_of(session.library, ids)
    if session.json:
        write_json((of_picture(picture, where) for picture in pictures), sys.stdout, ascii_only=not speaks_utf8())
        return 0
    for picture in pictures:
        print(_line(of_picture(picture, where)))
    session.tell(session.say("pictures", count=len(ids)))
    return 0


def filter_of(options: argparse.Namespace) -> Filter:
    """As it was typed. Raises UserError."""
    folder = str(as_path(options.folder)) if options.folder else ""
    return read_filter(folder, options.since, options.until, options.name, options.caption)


def _open(session: Session, path: Path) -> Image.Image:
    (picture,) = take(path, path.name, session.library.limits, only="picture")
    return picture.image


def _mark(result: dict[str, object]) -> str:
    """The match where it was looked at twice, else the score."""
    if "match" in result:
        return f"{result['match']:.1%}"
    return "" if result["score"] is None else f"{result['score']:.3f}"


def _line(answer: dict[str, object], score: str | None = None) -> str:
    scored = [] if score is None else [f"{score:>7}"]
    size = f"{answer['width']} × {answer['height']}"
    return "  ".join([*scored, f"{answer['id']:>7}", f"{size:>13}", str(answer["taken"])[:16].replace("T", " "), str(answer["path"])])
