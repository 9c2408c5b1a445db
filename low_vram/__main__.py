"""`python -m low_vram plan` says what a model would take on a card; `verify` runs it and measures."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict

import psutil
import torch

from low_vram import sim
from low_vram.arrangement import BadMap, read_map
from low_vram.budget import BadBudget, Machine, read_bytes
from low_vram.cases import CASES
from low_vram.device import choose_device
from low_vram.footprint import UnknownModel, measure, read_config
from low_vram.memory import total_of
from low_vram.plan import RESERVE, Plan, make_plan
from low_vram.reasons import size_text
from low_vram.request import Request
from low_vram.verify import verify


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status: 0, 1 where a plan does not fit or a check fails, 2 for what cannot be used."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it tells of kernels that it would rather have from the network
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (UnknownModel, BadBudget, BadMap) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m low_vram", description="Fits a Qwen2.5-Omni into the memory that is there.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plan = commands.add_parser("plan", help="what a model takes, and how it is arranged to fit")
    plan.set_defaults(run=_plan)
    _model(plan)
    plan.add_argument("--budget", default="auto", help="the card's memory, such as 8GiB; 'cpu' for none; 'auto' for this machine's")
    plan.add_argument("--host", help="host memory that may be used, such as 16GiB; this machine's if it is not given")
    plan.add_argument("--image", action="append", default=[], type=_size, metavar="WxH", help="a picture's size in pixels; may be repeated")
    plan.add_argument("--video", type=_seconds, default=0.0, metavar="SECONDS")
    plan.add_argument("--video-mode", choices=("frames", "split"), default="frames", help="frames with the sound, or sound and last frame")
    plan.add_argument("--audio", type=_seconds, default=0.0, metavar="SECONDS")
    plan.add_argument("--speech", action="store_true", help="the answer is spoken")
    plan.add_argument("--answer", type=_count, default=512, metavar="TOKENS")
    plan.add_argument("--text", type=_count, default=64, metavar="TOKENS", help="of the conversation so far")
    plan.add_argument("--map", default="", metavar="PART=PLACE,...", help="where a part must be: device, moved or host")
    plan.add_argument("--other", default=None, help="host memory of other models in the process")
    plan.add_argument("--json", action="store_true")
    check = commands.add_parser("verify", help="run a model of true size with random weights, and hold the prediction against the measure")
    check.set_defaults(run=_verify)
    _model(check)
    check.add_argument("--device", choices=("sim", "cuda", "cpu"), default="sim", help="a simulated card, a real one, or none")
    check.add_argument("--cap", default="8GiB", help="the memory that the card, or without one the process, is allowed")
    check.add_argument("--case", action="append", choices=tuple(CASES), help="may be repeated; all but 'text' if it is not given")
    check.add_argument("--map", default="", metavar="PART=PLACE,...", help="where a part must be: device, moved or host")
    check.add_argument("--json", action="store_true")
    return parser


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="3b, 7b, or a checkpoint's folder")


def _size(text: str) -> tuple[int, int]:
    """(height, width) of 'WxH'; the order does not change the bytes."""
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write for example 3000x4000")
    return int(match[2]), int(match[1])


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 86400 seconds")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 32_768:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 32768")
    return count


def _machine(budget: str, host: str | None) -> Machine:
    host_bytes = read_bytes(host) if host else psutil.virtual_memory().total
    if budget == "auto":
        return Machine(total_of(choose_device("auto")), host_bytes)
    return Machine(None if budget == "cpu" else read_bytes(budget), host_bytes)


def _plan(options: argparse.Namespace) -> int:
    request = Request(
        pictures=tuple(options.image),
        video=options.video,
        video_mode=options.video_mode,
        audio=options.audio,
        speech=options.speech,
        answer=options.answer,
        text=options.text,
    )
    plan = make_plan(
        measure(read_config(options.model)),
        _machine(options.budget, options.host),
        request,
        places=read_map(options.map),
        other=read_bytes(options.other) if options.other else 0,
    )
    print(json.dumps(plan.as_json(), indent=1) if options.json else as_table(plan))
    return 0 if plan.fits else 1


def _verify(options: argparse.Namespace) -> int:
    cap, host = read_bytes(options.cap), psutil.virtual_memory().total
    machine = Machine(None, cap) if options.device == "cpu" else Machine(cap, host)
    device = {"sim": sim.DEVICE, "cuda": "cuda:0", "cpu": "cpu"}[options.device]
    cases = {name: CASES[name] for name in options.case or [name for name in CASES if name != "text"]}
    results = []
    print(f"{'case':<16} {'prompt':>7} {'predicted':>10} {'measured':>10} {'ratio':>6} {'seconds':>8}  completed")
    for result in verify(read_config(options.model), machine, device, cases, torch.bfloat16, read_map(options.map)):
        results.append(result)
        print(
            f"{result.name:<16} {result.prompt_tokens:>7} {size_text(result.predicted_bytes):>10} {size_text(result.measured_bytes):>10}"
            f" {result.measured_bytes / result.predicted_bytes:>6.3f} {result.seconds:>8.1f}"
            f"  {'yes' if result.completed else 'no'} {' '.join(result.steps)}",
            flush=True,
        )
    if options.json:
        print(json.dumps({"model": options.model, "device": device, "cap_bytes": cap, "cases": [asdict(r) for r in results]}))
    return 0 if all(result.completed for result in results) else 1


def as_table(plan: Plan) -> str:
    """The plan for people."""
    lines = [f"{'part':<44} {'size':>10}  {'precision':<10} place"]
    for part, size in plan.part_bytes.items():
        arrangement = plan.arrangement
        lines.append(f"{part:<44} {size_text(size):>10}  {arrangement.precisions[part]:<10} {arrangement.places[part]}")
    lines += ["", f"{'stage':<44} {'at most':>10}"]
    lines += [f"{stage:<44} {size_text(size):>10}" for stage, size in plan.prediction.stages.items()]
    limits = plan.limits
    lines += [
        "",
        f"prompt {plan.load.prompt} tokens, answer {plan.load.answer}, KV cache {size_text(plan.prediction.cache)}",
        f"limits: pictures {limits.pixels} pixels and {limits.side} along a side, {limits.frames} frames of {limits.frame_pixels} pixels,"
        f" {limits.seconds} s of sound, {limits.context} tokens, {limits.speech} s spoken",
    ]
    if not plan.machine.on_cpu:
        lines.append(f"device: {size_text(plan.device_peak)} and {size_text(RESERVE)} in reserve, of {size_text(plan.machine.device)}")
    lines.append(f"host: {size_text(plan.prediction.host)} of {size_text(plan.machine.host)}")
    lines += ["", *(f"- {reason.say()}" for reason in plan.reasons), "", "fits" if plan.fits else "DOES NOT FIT"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
