"""`python -m multimodal train …`: what the commands take, and which function does each."""

from __future__ import annotations

import argparse
import math
import sys

from multimodal.commands.library import ENV_FILE
from multimodal.commands.phrases import language_of
from multimodal.errors import UserError
from multimodal.settings import read_settings

DATA = "a folder with pictures and their captions, or the file in it that has the captions"


def add_parser(parts: argparse._SubParsersAction) -> None:
    """The commands below `train`."""
    parser = parts.add_parser(
        "train",
        help="retrieval models of your own: check a data set, train a dual or a cross encoder",
        description="Retrieval models of your own.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        made.set_defaults(run=run)
        made.add_argument("--language", choices=("auto", "en", "zh"), help="of what is said; auto is the terminal's")
        made.add_argument("--json", action="store_true", help="answer with one JSON document")
        return made

    check = command("check", "see what is in a data set, and what of it cannot be used")
    check.add_argument("data", metavar="DATA", help=DATA)
    check.add_argument("--deep", action="store_true", help="open every picture, too")
    check.add_argument("--plot", metavar="FILE.png", help="draw the lengths of captions and the sizes of pictures; opens every picture")
    dual = command("dual", "train a dual encoder, which CLIP_MODEL takes")
    _add_common(dual, epochs=20, batch_size=64, lr=1e-4, warmup=100)
    dual.add_argument("--piece", type=_count, help="pictures computed at once: smaller needs less memory, and changes nothing else")
    dual.add_argument("--layer_decay", type=_positive, help="of the rate from a layer to the one below; 0.8 for pretrained towers, else 1")
    dual.add_argument("--embed_dim", type=_count, default=512, help="numbers of a vector")
    dual.add_argument("--vision", metavar="MODEL", help="a pretrained vision tower: a folder or a hub name")
    dual.add_argument("--text", metavar="MODEL", help="a pretrained text tower: a folder or a hub name")
    dual.add_argument(
        "--size", choices=("small", "tiny"), default="small", help="of towers that begin from nothing: 8 or 1 million parameters"
    )
    cross = command("cross", "train a cross encoder, which CROSS_MODEL takes")
    _add_common(cross, epochs=15, batch_size=48, lr=2e-5, warmup=500)
    cross.add_argument("--dual", metavar="MODEL", help="a dual encoder, whose best wrong answers are learned from: a folder or a hub name")
    cross.add_argument("--model", metavar="MODEL", help="a pretrained BLIP for image-text retrieval: a folder or a hub name")
    cross.add_argument("--embed_dim", type=_count, default=768, help="width of both towers, without --model")


def _add_common(parser: argparse.ArgumentParser, epochs: int, batch_size: int, lr: float, warmup: int) -> None:
    """What all trainings take, with these values where it is not told."""
    parser.add_argument("--data", required=True, metavar="DATA", help=DATA)
    parser.add_argument("--output", required=True, metavar="DIR", help="where the model, its checkpoints and its curves go")
    parser.add_argument("--resume", action="store_true", help="go on after the last checkpoint, if there is one")
    parser.add_argument("--epochs", type=_count, default=epochs)
    parser.add_argument(
        "--batch_size", type=_count, default=batch_size, help="pictures of one batch, a process; of dual, they are set against each other"
    )
    parser.add_argument("--accumulate", type=_count, default=1, help="batches joined for one step; of dual, all set against each other")
    parser.add_argument("--lr", type=_positive, default=lr, help="the highest learning rate")
    parser.add_argument("--warmup", type=int, default=warmup, help="steps until the highest rate")
    parser.add_argument("--weight_decay", type=float, default=0.05)
    parser.add_argument("--no_augment", dest="augment", action="store_false", help="show every picture as it is")
    parser.add_argument("--patience", type=int, default=5, help="end after so many epochs that are no better; 0: never")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    parser.add_argument("--workers", type=int, default=2, help="processes that read pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deepspeed", metavar="FILE.json", help="a configuration such as assets/deepspeed-zero2.json")


def run(options: argparse.Namespace) -> int:
    """Carry out the command. Returns the exit status: 0, or 1 for what cannot be done."""
    language = language_of(options.language or "auto")
    try:
        settings = read_settings([f"--language={options.language}"] if options.language else [], env_file=ENV_FILE)
        language = language_of(settings.language)
        # imported here: a wrong setting is told at once, and so is --help
        if options.command == "check":
            from multimodal.commands.checking_set import check_set as deed
        else:
            from multimodal.commands.training import train as deed
        return deed(options, settings, language)
    except UserError as error:
        print(error.say(language), file=sys.stderr)
        return 1


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError
    return number
