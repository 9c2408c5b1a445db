"""`library remove`, `undo`, `captions` and `folders`."""

from __future__ import annotations

import argparse

from multimodal.commands.session import Session, as_path, where
from multimodal.errors import UserError
from multimodal.retrieval.answers import in_detail
from multimodal.retrieval.query import LONGEST_TEXT


def remove(session: Session, options: argparse.Namespace) -> int:
    """1 where one of the ids is none of a picture in the library. Raises UserError."""
    present = [picture.id for picture in session.library.store.pictures(dict.fromkeys(options.ids)) if not picture.removed]
    unknown = [id for id in options.ids if id not in present]
    for id in unknown:
        session.tell(UserError("picture_gone", id=id).say(session.language))
    body = {"removed": len(present), "undo": session.library.remove(present) if present else None}
    session.answer(body, *([session.say("removed", **body)] if present else []))
    return 1 if unknown else 0


def undo(session: Session, options: argparse.Namespace) -> int:
    """Raises UserError where there is nothing to bring back."""
    folder = session.library.store.dropped_folder(options.number)
    ids = session.library.undo(options.number)
    if not ids and not folder:
        raise UserError("removal_gone", number=options.number)
    session.answer({"restored": len(ids), "ids": ids}, session.say("restored", count=len(ids)))
    return 0


def captions(session: Session, options: argparse.Namespace) -> int:
    """What a picture's captions are, once they are what was wished. Raises UserError."""
    library = session.library
    for text in options.texts:
        if len(text) > LONGEST_TEXT:
            raise UserError("search_too_long", count=len(text), limit=LONGEST_TEXT)
    if options.texts or options.clear:
        library.set_captions(options.id, options.texts)
    picture = library.picture(options.id)
    session.answer(in_detail(picture, where), *([caption.text for caption in picture.captions] or [session.say("no_captions")]))
    return 0


def folders(session: Session, options: argparse.Namespace) -> int:
    """The folders that were added, once one was dropped, or is watched or not. Raises UserError."""
    library, path = session.library, str(as_path(options.watch or options.unwatch or options.drop or "."))
    if options.watch or options.unwatch or options.drop:
        if not library.store.has_folder(path):
            raise UserError("folder_unknown", path=path)
        if options.drop:
            before = library.store.count()
            undo = library.drop_folder(path)
            session.tell(session.say("removed", removed=before - library.store.count(), undo=undo))
        else:
            library.store.add_folder(path, watched=bool(options.watch))
    rows = library.store.folders()
    body = [{"path": folder.path, "pictures": folder.pictures, "watched": folder.watched} for folder in rows]
    lines = [f"{folder.pictures:>7}  {folder.path}{'  ' + session.say('watched') if folder.watched else ''}" for folder in rows]
    session.answer({"folders": body}, *lines)
    return 0
