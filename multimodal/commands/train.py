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
        "train", help="retrieval models of your own: check a data set, train a dual encoder", description="Retrieval models of your own."
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
    dual.add_argument("--data", required=True, metavar="DATA", help=DATA)
    dual.add_argument("--output", required=True, metavar="DIR", help="where the model, its checkpoints and its curves go")
    dual.add_argument("--resume", action="store_true", help="go on after the last checkpoint, if there is one")
    dual.add_argument("--epochs", type=_count, default=20)
    dual.add_argument("--batch_size", type=_count, default=64, help="pictures that are set against each other, a process")
    dual.add_argument("--accumulate", type=_count, default=1, help="batches joined for one step, all set against each other")
    dual.add_argument("--piece", type=_count, help="pictures computed at once: smaller needs less memory, and changes nothing else")
    dual.add_argument("--lr", type=_positive, default=1e-4, help="the highest learning rate")
    dual.add_argument("--layer_decay", type=_positive, help="of the rate from a layer to the one below; 0.8 for pretrained towers, else 1")
    dual.add_argument("--warmup", type=int, default=100, help="steps until the highest rate")
    dual.add_argument("--weight_decay", type=float, default=0.05)
    dual.add_argument("--embed_dim", type=_count, default=512, help="numbers of a vector")
    dual.add_argument("--vision", metavar="MODEL", help="a pretrained vision tower: a folder or a hub name")
    dual.add_argument("--text", metavar="MODEL", help="a pretrained text tower: a folder or a hub name")
    dual.add_argument("--no_augment", dest="augment", action="store_false", help="show every picture as it is")
    dual.add_argument("--patience", type=int, default=5, help="end after so many epochs without a better recall; 0: never")
    dual.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    dual.add_argument("--precision", choices=("auto", "float32", "bfloat16", "float16"), default="auto")
    dual.add_argument("--workers", type=int, default=2, help="processes that read pictures")
    dual.add_argument("--seed", type=int, default=0)
    dual.add_argument("--deepspeed", metavar="FILE.json", help="a configuration such as assets/deepspeed-zero2.json")


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
