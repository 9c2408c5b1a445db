"""Ours and stock `generate` side by side on the CPU, with the same random weights: prefill, decoding, peak of host memory."""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from transformers import Qwen2_5OmniConfig

from low_vram.arrangement import DEVICE, HEAD, LAYERS, Arrangement
from low_vram.attention import NAME
from low_vram.footprint import measure, read_config
from low_vram.gauge import Gauge
from low_vram.plan import SIZES
from low_vram.random_model import build_random
from low_vram.stages import Prompt, Stages

ROWS = {  # name: (precisions, chunk or None for stock's own forward pass)
    "stock, bf16": ({}, None),
    "ours, bf16": ({}, 512),
    "ours, nf4": ({LAYERS: "nf4", HEAD: "nf4"}, 512),
    "ours, int8": ({LAYERS: "int8", HEAD: "int8"}, 512),
}


@dataclass
class Row:
    """Seconds of each run; `peak`: bytes above what the process held before the question."""

    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)


def text_only(config: Qwen2_5OmniConfig) -> Qwen2_5OmniConfig:
    """Without speech and with towers of one layer: they take no part in this, and two models have to fit beside one another."""
    config.enable_audio_output = False
    config.thinker_config.vision_config.depth = 1
    config.thinker_config.audio_config.encoder_layers = 1
    return config


def build(config: Qwen2_5OmniConfig, precisions: dict[str, str]) -> Stages:
    """The model in bfloat16, but for `precisions`."""
    parts = measure(config).parts
    arrangement = Arrangement(dict.fromkeys(parts, DEVICE), dict.fromkeys(parts, "stored") | precisions, SIZES[1][1])
    return Stages(build_random(config, arrangement, "cpu", torch.bfloat16), "cpu", arrangement)


def run(stages: Stages, chunk: int | None, prompt: Prompt, tokens: int) -> tuple[float, float, int]:
    """(seconds to the first token, seconds a token after it, bytes at the worst moment)."""
    decoder = stages.model.thinker.model.language_model
    decoder.forward = stages.thinker._stock if chunk is None else stages.thinker
    decoder.config._attn_implementation = "sdpa" if chunk is None else NAME
    stages.arrange(replace(stages.arrangement, chunk=chunk or 1))
    times: list[float] = []
    gauge = Gauge("cpu", 0)
    held = gauge.begin()
    began = time.monotonic()
    with torch.inference_mode():
        stages.think(prompt, [], lambda token: times.append(time.monotonic()), tokens, do_sample=False)
    return times[0] - began, (times[-1] - times[0]) / (len(times) - 1), gauge.peak() - held


def table(rows: dict[str, Row], middle: Callable = statistics.median) -> tuple[str, dict]:
    """(the table, its figures): medians, and ratios to stock."""
    stock = {name: middle(getattr(rows["stock, bf16"], name)) for name in ("prefill", "decode", "peak")}
    lines = ["| | prefill | to stock | tokens/s | to stock | peak above the weights | to stock |", "|---|---|---|---|---|---|---|"]
    figures = {}
    for name, row in rows.items():
        prefill, decode, peak = (middle(getattr(row, key)) for key in ("prefill", "decode", "peak"))
        ratios = prefill / stock["prefill"], stock["decode"] / decode, peak / stock["peak"]
        cells = (
            f"{prefill:.1f} s",
            f"{ratios[0]:.2f}",
            f"{1 / decode:.2f}",
            f"{ratios[1]:.2f}",
            f"{peak / 2**20:.0f} MiB",
            f"{ratios[2]:.2f}",
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
        figures[name] = {
            "prefill_s": prefill,
            "tokens_per_s": 1 / decode,
            "peak_bytes": peak,
            "prefill_to_stock": ratios[0],
            "speed_to_stock": ratios[1],
            "peak_to_stock": ratios[2],
        }
    return "\n".join(lines), figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="3b")
    parser.add_argument("--prompt", type=int, default=2000, help="tokens")
    parser.add_argument("--tokens", type=int, default=24, help="of the answer")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--row", action="append", choices=tuple(ROWS), help="besides stock; all if none is given")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = ["stock, bf16", *(arguments.row or [name for name in ROWS if name != "stock, bf16"])]
    config = text_only(read_config(arguments.model))
    full = build(config, {})
    prompt = Prompt(torch.randint(0, 1000, (1, arguments.prompt), generator=torch.Generator().manual_seed(0)))
    rows = {name: Row() for name in names}
    for name in names:
        precisions, chunk = ROWS[name]
        stages = build(config, precisions) if precisions else full
        run(stages, chunk, replace(prompt, ids=prompt.ids[:, :64]), 3)  # what is only slow the first time
        for _ in range(arguments.runs):
            # stock is run beside each, so that a machine that slows down slows both
            for each, of, how in ((name, stages, chunk), ("stock, bf16", full, None)):
                if each == name or name != "stock, bf16":
                    prefill, decode, peak = run(of, how, prompt, arguments.tokens)
                    rows[each].prefill.append(prefill)
                    rows[each].decode.append(decode)
                    rows[each].peak.append(peak)
        del stages
        gc.collect()
    text, figures = table(rows)
    asked = f"prompt {arguments.prompt} tokens, answer {arguments.tokens}"
    print(f"{arguments.model}, {asked}, {os.cpu_count()} cores, medians of {arguments.runs}\n")
    print(text)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
