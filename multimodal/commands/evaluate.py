"""`python -m multimodal evaluate`: Recall@K of a retrieval model on a data set."""

from __future__ import annotations

import argparse
import sys

from multimodal.commands.library import ENV_FILE
from multimodal.commands.phrases import language_of
from multimodal.errors import UserError
from multimodal.settings import read_settings


def add_parser(parts: argparse._SubParsersAction) -> None:
    """The command `evaluate`."""
    help = "Recall@K of a retrieval model on a data set"
    parser = parts.add_parser("evaluate", help=help, description=f"{help}.", allow_abbrev=False)
    parser.set_defaults(run=run)
    parser.add_argument("--model_type", choices=("dual", "cross"), default="dual")
    parser.add_argument("--model", required=True, metavar="DIR", help="a folder or a hub name; all that CLIP_MODEL takes, or CROSS_MODEL")
    parser.add_argument("--dual", metavar="DIR", help="for cross: the dual encoder whose best are put in order; a folder or a hub name")
    parser.add_argument("--k", type=_counts, metavar="K,K", help="for cross: how many of the best; 5,10,20,50 unless told")
    parser.add_argument("--data", required=True, metavar="DATA", help="as `train check` takes it")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N pictures alone; 1000 unless told")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--html", metavar="FILE.html", help="for dual: write a page of sample queries and what was found")
    parser.add_argument("--language", choices=("auto", "en", "zh"), help="of what is said; auto is the terminal's")
    parser.add_argument("--json", action="store_true", help="answer with one JSON document")


def run(options: argparse.Namespace) -> int:
    """Returns the exit status: 0, or 1 for what cannot be done."""
    language = language_of(options.language or "auto")
    try:
        settings = read_settings([f"--language={options.language}"] if options.language else [], env_file=ENV_FILE)
        language = language_of(settings.language)
        # imported here: a wrong setting is told at once, and so is --help
        from multimodal.commands.evaluating import evaluate_model

        evaluate_model(options, language)
    except UserError as error:
        print(error.say(language), file=sys.stderr)
        return 1
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _counts(text: str) -> tuple[int, ...]:
    return tuple(map(_count, text.split(",")))
