"""`python -m multimodal evaluate`: Recall@K of a retrieval model on a data set."""

from __future__ import annotations

import argparse
import json
import sys

from multimodal.commands.library import ENV_FILE
from multimodal.commands.phrases import language_of
from multimodal.commands.train_phrases import train_phrase
from multimodal.errors import UserError
from multimodal.settings import read_settings


def add_parser(parts: argparse._SubParsersAction) -> None:
    """The command `evaluate`."""
    help = "Recall@K of a retrieval model on a data set"
    parser = parts.add_parser("evaluate", help=help, description=f"{help}.", allow_abbrev=False)
    parser.set_defaults(run=run)
    parser.add_argument("--model_type", choices=("dual",), default="dual")
    parser.add_argument("--model", required=True, metavar="DIR", help="a folder or a hub name; all that CLIP_MODEL takes")
    parser.add_argument("--data", required=True, metavar="DATA", help="as `train check` takes it")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--html", metavar="FILE.html", help="write a page of sample queries and what was found")
    parser.add_argument("--language", choices=("auto", "en", "zh"), help="of what is said; auto is the terminal's")
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")


def run(options: argparse.Namespace) -> int:
    """Returns the exit status: 0, or 1 for what cannot be done."""
    language = language_of(options.language or "auto")
    try:
        settings = read_settings([f"--language={options.language}"] if options.language else [], env_file=ENV_FILE)
        language = language_of(settings.language)
        _evaluate(options, language)
    except UserError as error:
        print(error.say(language), file=sys.stderr)
        return 1
    return 0


def _evaluate(options: argparse.Namespace, language: str) -> None:
    # imported here: a wrong setting is told at once, and so is --help
    from multimodal.commands.progress_line import with_progress
    from multimodal.commands.session import as_path, speaks_utf8
    from multimodal.retrieval.encoder import load_encoder
    from multimodal.training.evaluation import MOST, evaluate
    from multimodal.training.reading_sets import read_captioned
    from multimodal.training.sample_page import sample_page

    path = as_path(options.data)
    pictures = read_captioned(path).of(options.split)
    if not pictures:
        raise UserError("split_empty", path=str(path), split=options.split)
    local = as_path(options.model)
    encoder = load_encoder(local if local.is_dir() else options.model, options.device)
    judged = pictures[:MOST]
    found = evaluate(encoder, with_progress(iter(judged), len(judged), train_phrase("encoding", language), language))
    if options.html:
        page = as_path(options.html)
        try:
            page.write_text(sample_page(found, f"{encoder.name}: {options.split}"), encoding="utf-8")
        except OSError as error:
            raise UserError("export_refused", path=str(page), reason=error.strerror or type(error).__name__) from error
    recall = {way: each.as_dict() for way, each in found.recall.items()}
    if options.json:
        facts = {"model": options.model, "split": options.split, "pictures": len(found.pictures), "captions": len(found.captions)}
        timing = {"milliseconds_a_query": round(1000 * found.seconds, 2)}
        print(json.dumps({**recall, **facts, **timing}, ensure_ascii=not speaks_utf8()))
        return
    names = list(recall["t2i"])
    print(f"| | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for way, values in recall.items():
        print(f"| {train_phrase(way, language)} | {' | '.join(f'{values[name]:g}' for name in names)} |")
    facts = {"pictures": len(found.pictures), "captions": len(found.captions), "milliseconds": f"{1000 * found.seconds:.1f}"}
    print(train_phrase("evaluated", language, **facts))
