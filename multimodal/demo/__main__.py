"""`python -m multimodal.demo train|export|examples|evaluate`: make the bundled demo model; `... encoder train|export|evaluate|library`:
the bundled encoder and its pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from transformers.utils import logging

from multimodal.demo import captioned_scenes, encoder, evaluate, examples, library, recall, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m multimodal.demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help="train, or go on training")
    command.add_argument("--folder", type=Path, required=True, help="where the state of the training is kept")
    command.add_argument("--steps", type=int, default=6000)
    command.add_argument("--batch", type=int, default=16)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", default="cpu")
    command = commands.add_parser("export", help="write the trained model as a checkpoint")
    command.add_argument("--folder", type=Path, required=True)
    command.add_argument("--output", type=Path, default=Path("assets/demo"))
    command = commands.add_parser("examples", help="write the example files of the screen")
    command.add_argument("--output", type=Path, default=Path("assets/examples"))
    command = commands.add_parser("evaluate", help="print the held-out accuracy")
    command.add_argument("--model", type=Path, default=Path("assets/demo"))
    command.add_argument("--count", type=int, default=300, help="questions of each group")
    command.add_argument("--precision", choices=("stored", "int8", "nf4"), default="stored", help="of the language layers and the head")
    command.add_argument("--wrong", action="store_true", help="print the wrong answers too")
    command.add_argument("--json", action="store_true", help="print JSON as the last line")
    command = commands.add_parser("scenes", help="write captioned pictures to train retrieval models with")
    command.add_argument("--output", type=Path, required=True)
    command.add_argument("--count", type=int, default=captioned_scenes.COUNT, help="pictures to train with")
    add_encoder(commands.add_parser("encoder", help="make the encoder of the demo library"))
    arguments = parser.parse_args()
    logging.set_verbosity_error()  # the demo has no talker, and transformers wonders about its defaults
    if arguments.command == "encoder":
        run_encoder(arguments)
    elif arguments.command == "train":
        train.train(arguments.folder, arguments.steps, arguments.batch, arguments.seed, arguments.device)
    elif arguments.command == "scenes":
        print(captioned_scenes.write_set(arguments.output, arguments.count))
    elif arguments.command == "examples":
        examples.make_examples(arguments.output)
    elif arguments.command == "export":
        train.export(arguments.folder, arguments.output)
    else:
        table = evaluate.evaluate(arguments.model, arguments.count, arguments.wrong, arguments.precision)
        evaluate.print_table(table, arguments.count)
        if arguments.json:
            print(json.dumps(table))


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """The commands of the encoder."""
    commands = parser.add_subparsers(dest="deed", required=True)
    command = commands.add_parser("train", help="train, or go on training")
    command.add_argument("--folder", type=Path, required=True, help="where the state of the training is kept")
    command.add_argument("--steps", type=int, default=encoder.STEPS)
    command.add_argument("--batch", type=int, default=64)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", default="cpu")
    command = commands.add_parser("export", help="calibrate the trained encoder and write it as a checkpoint")
    command.add_argument("--folder", type=Path, required=True)
    command.add_argument("--output", type=Path, default=Path("assets/demo-encoder"))
    command = commands.add_parser("evaluate", help="print how well it finds the pictures of the demo library")
    command.add_argument("--model", type=Path, default=Path("assets/demo-encoder"))
    command.add_argument("--json", action="store_true", help="print JSON as the last line")
    command = commands.add_parser("library", help="write the pictures of the demo library")
    command.add_argument("--output", type=Path, required=True)


def run_encoder(arguments: argparse.Namespace) -> None:
    """What add_encoder's parser was asked for."""
    if arguments.deed == "train":
        encoder.train(arguments.folder, arguments.steps, arguments.batch, arguments.seed, arguments.device)
    elif arguments.deed == "export":
        encoder.export(arguments.folder, arguments.output)
    elif arguments.deed == "library":
        library.make_library(arguments.output)
    else:
        table = recall.evaluate(arguments.model)
        recall.print_table(table)
        if arguments.json:
            print(json.dumps(table))


if __name__ == "__main__":
    main()
