"""A data set in one picture: how long its captions are, and how large its pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from multimodal.errors import UserError

INCHES, DOTS = (10, 4), 120  # width and height; dots an inch
BINS = 50
LARGEST_MARK = 400.0  # the area of the mark of the commonest size, in square points


class SetPlot:
    """A plot that is still to be drawn. Its words are English: matplotlib brings no font with Chinese characters. Raises UserError where
    matplotlib is not installed."""

    def __init__(self) -> None:
        try:
            # imported here: only who asks for a plot waits for it; and without pyplot, which looks for a screen
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise UserError("matplotlib_missing") from error
        self._figure = Figure(figsize=INCHES, dpi=DOTS, layout="constrained")
        FigureCanvasAgg(self._figure)

    def write(self, path: Path, lengths: Sequence[int], sizes: Sequence[tuple[int, int]]) -> None:
        """Draw captions of these lengths, in characters, and pictures of these (width, height) into a PNG. Raises UserError."""
        left, right = self._figure.subplots(1, 2)
        left.hist(lengths, bins=min(BINS, max(lengths) - min(lengths) + 1))
        left.set(title=f"{len(lengths)} captions", xlabel="characters", ylabel="captions")
        counts = Counter(sizes)
        commonest = max(counts.values())
        marks = [max(4.0, LARGEST_MARK * count / commonest) for count in counts.values()]
        right.scatter(*zip(*counts, strict=True), s=marks, alpha=0.4)
        right.set(title=f"{len(sizes)} pictures", xlabel="width in pixels", ylabel="height in pixels", xlim=(0, None), ylim=(0, None))
        try:
            self._figure.savefig(path, format="png")
        except OSError as error:
            raise UserError("export_refused", path=str(path), reason=error.strerror or type(error).__name__) from error
