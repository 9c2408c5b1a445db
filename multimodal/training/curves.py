"""How a training went, in one picture: its loss, and what was measured of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

CURVES = "curves.png"  # what it is called beside a model
INCHES, DOTS = (10, 4), 120  # width and height; dots an inch


def write_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """`history`: the Trainer's log. A PNG with English words, as matplotlib brings no font with Chinese characters. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here, as only a training wants it
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    losses = [(entry["epoch"], entry["loss"]) for entry in history if "loss" in entry]
    if losses:
        left.plot(*zip(*losses, strict=True))
    left.set(title="loss", xlabel="epoch")
    accuracies = [(entry["epoch"], entry["eval_accuracy"]) for entry in history if "eval_accuracy" in entry]
    if accuracies:
        right.plot(*zip(*accuracies, strict=True))
        right.set(title="pairs told apart (%)", xlabel="epoch", ylim=(0, 100))
        figure.savefig(path, format="png")
        return
    found = [entry for entry in history if "eval_recall" in entry]
    for way, name in (("t2i", "words to pictures"), ("i2t", "picture to captions")):
        for k, style in ((1, "-"), (5, "--"), (10, ":")):
            values = [entry[f"eval_{way}_R@{k}"] for entry in found]
            colour = "tab:blue" if way == "t2i" else "tab:orange"
            right.plot([entry["epoch"] for entry in found], values, style, color=colour, label=f"{name}, R@{k}")
    right.set(title="recall (%)", xlabel="epoch", ylim=(0, 100))
    right.legend(fontsize="small")
    figure.savefig(path, format="png")
