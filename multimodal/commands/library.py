"""`python -m multimodal library …`: what the commands take, and which function does each."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from multimodal.commands.phrases import language_of
from multimodal.errors import UserError
from multimodal.settings import read_settings

ENV_FILE = Path(__file__).parent.parent.parent / ".env"  # where the desk reads it
SETTINGS = ("data_dir", "clip_model", "clip_device", "language")  # that a command takes as well
LARGEST_ID = 2**63 - 1  # in SQLite
CHANGES = ("watch", "unwatch", "drop", "texts", "clear", "remove", "repair")  # options with which a command writes


def add_parser(parts: argparse._SubParsersAction) -> None:
    """The commands below `library`."""
    parser = parts.add_parser(
        "library", help="the picture library: add, search, list, export, check …", description="The picture library, without the screen."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str, writes: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=False)
        made.set_defaults(run=run, writes=writes)
        made.add_argument("--data-dir", metavar="DIR", help="where the library is; DATA_DIR if it is not given")
        made.add_argument("--clip-model", metavar="MODEL", help="the encoder: a folder or a hub name; CLIP_MODEL if it is not given")
        made.add_argument("--clip-device", metavar="DEVICE", help="where it computes: auto, cpu, cuda or cuda:N")
        made.add_argument("--language", choices=("auto", "en", "zh"), help="of what is said; auto is the terminal's")
        made.add_argument("--json", action="store_true", help="answer with one JSON document")
        made.add_argument("--verbose", action="store_true", help="print the log, too")
        return made

    add = command("add", "add files and folders; folders with all that is in them", writes=True)
    add.add_argument("paths", nargs="+", metavar="PATH")
    add.add_argument("--watch", action="store_true", help="let the desk, while it runs, follow what changes in the folders")
    search = command("search", "find pictures by words (a + b^2 -c), by pictures, or by both")
    search.add_argument("words", nargs="*", metavar="WORD", help="write -- before words of which the first begins with a minus")
    search.add_argument("--image", action="append", default=[], metavar="FILE", help="a picture to search by; may be repeated")
    search.add_argument("--k", type=int, default=20, metavar="COUNT", help="how many at most (20)")
    search.add_argument("--threshold", type=float, metavar="SCORE", help="from which likeness on, -1 to 1; the encoder's own by default")
    search.add_argument("--cross", action="store_true", help="put the best that words find in order by the model that CROSS_MODEL says")
    search.add_argument("--sort", default="likeness", help="likeness, newest, oldest or name")
    _filters(search)
    shown = command("list", "list the pictures")
    shown.add_argument("--sort", default="newest", choices=("newest", "oldest", "added", "name"))
    shown.add_argument("--limit", type=_count, default=-1, metavar="COUNT", help="how many at most")
    shown.add_argument("--offset", type=_count, default=0, metavar="COUNT", help="how many to leave out first")
    _filters(shown)
    remove = command("remove", "take pictures out of the library; no file of yours is touched", writes=True)
    remove.add_argument("ids", nargs="+", type=_id, metavar="ID")
    undo = command("undo", "bring back what was taken out, by the number that was told then", writes=True)
    undo.add_argument("number", type=_id, metavar="NUMBER")
    captions = command("captions", "print a picture's captions, or put others in their place")
    captions.add_argument("id", type=_id, metavar="ID")
    captions.add_argument("texts", nargs="*", metavar="CAPTION")
    captions.add_argument("--clear", action="store_true", help="leave it none")
    folders = command("folders", "list the folders that were added, or change them")
    one = folders.add_mutually_exclusive_group()
    one.add_argument("--watch", metavar="FOLDER", help="let the desk, while it runs, follow what changes in it")
    one.add_argument("--unwatch", metavar="FOLDER", help="leave it alone")
    one.add_argument("--drop", metavar="FOLDER", help="forget it, with the pictures that lie only in it; its files stay")
    duplicates = command("duplicates", "groups of pictures that are the same but for size, compression or a slight change, the best first")
    duplicates.add_argument("--remove", action="store_true", help="take the others out of the library; no file of yours is touched")
    labels = command("labels", "give each picture the likeliest of some words")
    labels.add_argument("words", metavar="WORD,WORD,...")
    labels.add_argument("--csv", metavar="FILE", help="write them to a table as well, with the probability of every word")
    _filters(labels)
    export = command("export", "write a table, JSON or a ZIP of the originals")
    export.add_argument("--format", choices=("csv", "json", "zip"), required=True)
    export.add_argument("--output", required=True, metavar="FILE")
    _filters(export)
    check = command("check", "see whether store, files, vectors and index agree; status 1 if something is wrong")
    check.add_argument("--repair", action="store_true", help="mend what can be mended")
    check.add_argument("--deep", action="store_true", help="read the library's own copies and every vector, too")
    check.add_argument("--no-encoder", action="store_true", help="load no encoder; it is not seen then whether vectors are missing")


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", default="", metavar="FOLDER", help="only what is in it and below it")
    parser.add_argument("--since", default="", metavar="DATE", help="only what was taken on that day or later: 2024-05-31, 2024-05 or 2024")
    parser.add_argument("--until", default="", metavar="DATE", help="only what was taken on that day or earlier")
    parser.add_argument("--name", default="", metavar="TEXT", help="only where this is a part of the file name")
    parser.add_argument("--caption", default="", metavar="WORDS", help="only where each of these is in the captions or the name")


def _id(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= LARGEST_ID:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is no number of a picture or a removal")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > LARGEST_ID:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is no count")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Carry out the command. Returns the exit status: 0; 1 where it was done in part, or found something; 2 for what cannot be done."""
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL, format="%(levelname)s %(message)s")
    language = language_of(options.language or "auto")
    try:
        given = [(f"--{name.replace('_', '-')}", getattr(options, name)) for name in SETTINGS]
        settings = read_settings([f"{option}={value}" for option, value in given if value is not None], env_file=ENV_FILE)
        language = language_of(settings.language)
        # imported here: a wrong setting is told at once, and so is --help
        from multimodal.commands import adding, changing, keeping, searching, tidying
        from multimodal.commands.session import session

        deeds = {
            "add": adding.add,
            "search": searching.search,
            "list": searching.list_all,
            "remove": changing.remove,
            "undo": changing.undo,
            "captions": changing.captions,
            "folders": changing.folders,
            "duplicates": tidying.duplicates,
            "labels": tidying.labels,
            "export": keeping.export_all,
            "check": keeping.check_all,
        }
        writes = options.writes or any(getattr(options, name, None) for name in CHANGES)
        with session(options, settings, language, writes) as at_work:
            return deeds[options.command](at_work, options)
    except UserError as error:
        print(error.say(language), file=sys.stderr)
        return 2
