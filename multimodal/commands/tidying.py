"""`library duplicates` and `library labels`."""

from __future__ import annotations

import argparse

import numpy as np

from multimodal.commands.searching import filter_of
from multimodal.commands.session import Session, as_path, where
from multimodal.errors import UserError
from multimodal.retrieval.answers import of_picture
from multimodal.retrieval.labels import best_labels, count_labels, labels_csv, read_words

BLOCK = 10_000  # pictures labelled at once


def duplicates(session: Session, options: argparse.Namespace) -> int:
    """The groups, the best picture of each first; with `--remove` the others are taken out. Raises UserError."""
    library, groups = session.library, session.library.duplicates()
    body, lines = [], []
    for group in groups:
        pictures = {picture.id: picture for picture in library.store.pictures(member.id for member in group.members)}
        members = [(pictures[member.id], member.likeness) for member in group.members if member.id in pictures]
        body.append({"images": [{**of_picture(picture, where), "likeness": round(likeness, 4)} for picture, likeness in members]})
        lines.append(session.say("group", count=len(members)))
        for picture, likeness in members:
            note = session.say("best") if picture.id == group.best else f"{likeness:.2f}"
            lines.append(f"{picture.id:>9}  {picture.width} × {picture.height}  {note}  {where(picture)['path']}")
    removal: dict[str, object] = {}
    if options.remove:
        others = [id for group in groups for id in group.others]
        removal = {"removed": len(others), "undo": library.remove(others) if others else None}
        if others:
            lines.append(session.say("removed", **removal))
    session.answer({"groups": body, **removal}, *(lines or [session.say("no_duplicates")]))
    return 0


def labels(session: Session, options: argparse.Namespace) -> int:
    """For each picture the likeliest of some words. Raises UserError."""
    library, words = session.library, read_words(options.words)
    ids = library.store.ids(filter_of(options), "name").tolist()
    session.load_encoder()
    blocks = [library.label(ids[start : start + BLOCK], words) for start in range(0, len(ids), BLOCK)]
    pictures = [picture for block, _ in blocks for picture in block]
    probabilities = np.concatenate([np.empty((0, len(words))), *(rows for _, rows in blocks)])
    found = best_labels(words, probabilities)
    if options.csv:
        path = as_path(options.csv)
        try:
            path.write_text(labels_csv([(picture.id, picture.name) for picture in pictures], words, probabilities), "utf-8", newline="")
        except OSError as error:
            raise UserError("export_refused", path=str(path), reason=error.strerror or type(error).__name__) from error
    body = [
        {"id": picture.id, "image_name": picture.name, "label": label.word, "probability": label.probability, **where(picture)}
        for picture, label in zip(pictures, found, strict=True)
    ]
    lines = [f"{image['id']:>9}  {image['label']}  {image['probability']:.2f}  {image['path']}" for image in body]
    counts = count_labels(words, found)
    if len(ids) > len(pictures):
        session.tell(session.say("waiting_vectors", count=len(ids) - len(pictures)))
    session.answer({"counts": counts, "images": body}, *lines, *(f"{word}: {count}" for word, count in counts.items()))
    return 0
