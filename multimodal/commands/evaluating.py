"""`evaluate`: what is measured of which model, and the table of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from multimodal.commands.model_name import model_name
from multimodal.commands.progress_line import with_progress
from multimodal.commands.session import as_path, speaks_utf8
from multimodal.commands.train_phrases import train_phrase
from multimodal.errors import UserError
from multimodal.retrieval.encoder import load_encoder
from multimodal.retrieval.reranker import load_reranker
from multimodal.training.captioned import Captioned
from multimodal.training.cross_evaluation import Reranked, evaluate_cross
from multimodal.training.evaluation import MOST, Evaluation, evaluate
from multimodal.training.reading_sets import read_captioned
from multimodal.training.sample_page import sample_page

SWEPT = (5, 10, 20, 50)  # of the dual encoder's best, put in order


def evaluate_model(options: argparse.Namespace, language: str) -> None:
    """Raises UserError."""
    cross = options.model_type == "cross"
    given = {"--html": options.html} if cross else {"--dual": options.dual, "--k": options.k}
    for option, value in given.items():
        if value:
            raise UserError("option_not_for", option=option, kind=options.model_type)
    if cross and not options.dual:
        raise UserError("dual_missing")
    path = as_path(options.data)
    pictures = read_captioned(path).of(options.split)[: options.limit or MOST]
    if not pictures:
        raise UserError("split_empty", path=str(path), split=options.split)
    (_evaluate_cross if cross else _evaluate_dual)(options, pictures, language)


def _evaluate_dual(options: argparse.Namespace, pictures: Sequence[Captioned], language: str) -> None:
    encoder = load_encoder(model_name(options.model), options.device)
    found = evaluate(encoder, _watched(pictures, "encoding", language))
    if options.html:
        page = as_path(options.html)
        try:
            page.write_text(sample_page(found, f"{encoder.name}: {options.split}"), encoding="utf-8")
        except OSError as error:
            raise UserError("export_refused", path=str(page), reason=error.strerror or type(error).__name__) from error
    recall = {way: each.as_dict() for way, each in found.recall.items()}
    if options.json:
        _print_json(recall | _facts(options, found) | {"milliseconds_a_query": _milliseconds(found.seconds)})
        return
    names = list(recall["t2i"])
    _print_row(["", *names])
    _print_row(["---"] * (len(names) + 1))
    for way, values in recall.items():
        _print_row([train_phrase(way, language), *(f"{values[name]:g}" for name in names)])
    facts = {"pictures": len(found.pictures), "captions": len(found.captions), "milliseconds": f"{1000 * found.seconds:.1f}"}
    print(train_phrase("evaluated", language, **facts))


def _evaluate_cross(options: argparse.Namespace, pictures: Sequence[Captioned], language: str) -> None:
    encoder, reranker = load_encoder(model_name(options.dual), options.device), load_reranker(model_name(options.model), options.device)
    encoding, judging = (partial(_watched, name=name, language=language) for name in ("encoding", "judging"))
    found = evaluate_cross(reranker, encoder, pictures, options.k or SWEPT, encoding, judging)
    sweep = [{"k": row.k} | {way: _way(row, way) for way in row.recall} for row in found.sweep]
    if options.json:
        best = {way: values for way, values in sweep[-1].items() if way != "k"}
        _print_json(best | {"sweep": sweep, "dual": options.dual} | _facts(options, found.alone))
        return
    ways, names = list(found.alone.recall), list(sweep[0]["t2i"])
    _print_row(["K", *(f"{train_phrase(way, language)}: {name}" for way in ways for name in names)])
    _print_row(["---"] * (len(ways) * len(names) + 1))
    for row in sweep:
        _print_row([str(row["k"]), *(f"{row[way][name]:g}" for way in ways for name in names)])
    print(train_phrase("swept", language, pictures=len(found.alone.pictures), captions=len(found.alone.captions)))


def _way(row: Reranked, way: str) -> dict[str, float]:
    return row.recall[way].as_dict() | {"ms": _milliseconds(row.seconds[way])}


def _watched(pictures: Sequence[Captioned], name: str, language: str) -> Iterator[Captioned]:
    return with_progress(iter(pictures), len(pictures), train_phrase(name, language), language)


def _facts(options: argparse.Namespace, found: Evaluation) -> dict[str, object]:
    return {"model": options.model, "split": options.split, "pictures": len(found.pictures), "captions": len(found.captions)}


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _print_json(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer, ensure_ascii=not speaks_utf8()))


def _print_row(cells: Sequence[str]) -> None:
    """Of a table in Markdown."""
    print(f"| {' | '.join(cells)} |")
