"""`library export` and `library check`."""

from __future__ import annotations

import argparse

from multimodal.commands.adding import follow
from multimodal.commands.searching import filter_of
from multimodal.commands.session import Session, as_path, where
from multimodal.retrieval.check import check
from multimodal.retrieval.export import export


def export_all(session: Session, options: argparse.Namespace) -> int:
    """The pictures that the filters describe, into a file. Raises UserError."""
    path = as_path(options.output)
    ids = session.library.store.ids(filter_of(options), "name")
    export(session.library, ids, options.format, path, where)
    session.answer({"exported": len(ids), "path": str(path)}, session.say("exported", count=len(ids), path=path))
    return 0


def check_all(session: Session, options: argparse.Namespace) -> int:
    """1 where something is wrong that was not mended. Raises UserError."""
    report = check(
        session.library,
        options.repair,
        options.deep,
        not options.no_encoder,
        lambda library: follow(session, session.say("filling")),
    )
    lines = [finding.say(session.language) for finding in report.findings]
    body = {
        "pictures": report.pictures,
        "sound": report.sound,
        "findings": [finding.as_json(session.language) for finding in report.findings],
    }
    session.answer(body, *lines, *([session.say("sound", count=report.pictures)] if report.sound else []))
    return 0 if report.sound else 1
