"""How a picture looks, in a few bytes: enough to tell its copies from other pictures without opening a file again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

SIDE = 32  # of the small picture that everything is computed from
HASH_SIDE = 8  # frequencies each way that the hash is made of
KEPT = 16  # frequencies each way that are kept of the brightness, where the length of both together is below this
COLOUR_KEPT = 4  # the same of the two colour differences, where the sum of both is below this
STEPS = 16  # in which a kept frequency is told, to what they have on average
FREQUENCIES = np.hypot(*np.indices((KEPT, KEPT))).astype(np.float32)
DETAIL = (FREQUENCIES > 0) & (FREQUENCIES < KEPT)
COLOUR = np.add.outer(range(COLOUR_KEPT), range(COLOUR_KEPT)) < COLOUR_KEPT
# BT.601 as in JFIF: brightness, blue difference, red difference
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)

VERSION = 1
# `aspect`: log2(width / height). `contrast`: the root mean square of the brightness's frequencies, each times its length, in grey levels;
# `detail`: each of these, in steps of a sixteenth of that. `colour`: frequencies of the blue and the red difference, in levels.
LAYOUT = np.dtype(
    [
        ("version", "u1"),
        ("hash", "<u8"),
        ("aspect", "<f2"),
        ("contrast", "<f2"),
        ("detail", "i1", int(DETAIL.sum())),
        ("colour", "i1", (2, int(COLOUR.sum()))),
    ]
)

# Comparing. Places are in units of half a picture's side, from its centre.
COARSE = 8  # frequencies, and points each way, with which one is first laid on the other
FINE_POINTS = 16
ALL_POINTS = 20
INNER = 0.8  # of the first picture, looked for in the second: it is there after a crop as well
FARTHEST = 0.16  # that one is moved, or made larger
EXPLAINED = 0.9  # of the second picture's variance, by the first as it lies: below it is another one
FAINT = 1.0  # grey levels of detail that may be nothing but noise
PARTS = 5  # each way that are looked at by themselves
OTHER_PART = 0.25  # of the picture's variance: what may be different within one part
OTHER_COLOUR = 0.28  # of the colour
PALE = 8.0  # levels of colour below which small differences say nothing
OTHER_ASPECT = 0.08  # in log2, after what was cropped


def perceptual_hash(image: Image.Image) -> int:
    """64 bits of an RGB picture that stay nearly the same when it is resized, recompressed or slightly changed.

    The signs of the 8 x 8 lowest frequencies of a cosine transform of the picture at 32 x 32, against their median: C. Zauner,
    Implementation and Benchmarking of Perceptual Image Hash Functions (2010), section 3.2.1, here with the lowest row and column.
    """
    return _hash(_frequencies(image)[0])


def hash_distance(one: int, other: int) -> int:
    """In how many of 64 bits two hashes differ. Those of unrelated pictures do in some 32."""
    return (one ^ other).bit_count()


def signature(image: Image.Image) -> bytes:
    """All that is kept of how an RGB picture of any size looks: LAYOUT.itemsize bytes."""
    brightness, *colour = _frequencies(image)
    weighted = brightness[:KEPT, :KEPT][DETAIL] * FREQUENCIES[DETAIL] / SIDE
    contrast = np.sqrt(np.mean(weighted**2))
    record = np.zeros((), LAYOUT)
    record["version"] = VERSION
    record["hash"] = _hash(brightness)
    record["aspect"] = np.log2(image.width / image.height)
    record["contrast"] = contrast
    record["detail"] = np.clip(np.rint(weighted / max(contrast, 1e-3) * STEPS), -127, 127)
    kept = [difference[:COLOUR_KEPT, :COLOUR_KEPT][COLOUR] / SIDE for difference in colour]
    record["colour"] = np.clip(np.rint(kept), -127, 127)
    return record.tobytes()


def is_current(signature: bytes) -> bool:
    """Whether these bytes are what `signature` makes today; if not, the picture has to be looked at again."""
    return len(signature) == LAYOUT.itemsize and signature[0] == VERSION


def read_signatures(signatures: Sequence[bytes]) -> np.ndarray:
    """The signatures as records of LAYOUT [n]. Raises ValueError where one is not current."""
    if not all(map(is_current, signatures)):
        raise ValueError(f"a signature is not of version {VERSION}")
    return np.frombuffer(b"".join(signatures), LAYOUT)


def outlines(records: np.ndarray) -> np.ndarray:
    """The inner part of each picture at 8 x 8 points, in grey levels: float32 [n, 64]. What `likeness` begins with."""
    waves = _waves(_points(COARSE, INNER), COARSE)
    return (waves @ _series(records, COARSE) @ waves.T).reshape(len(records), -1)


def likeness(one: np.void, others: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """How far each of `others` [m] is the same picture as `one`: float32 [m], 1 for the very same, 0 for another.

    `outlines` [m, 64] are theirs. Each is laid on `one` as closely as moving and stretching along both sides and a change of contrast
    bring it (B. Lucas and T. Kanade, An Iterative Image Registration Technique, 1981; with one picture's slopes for all steps: S. Baker
    and I. Matthews, Lucas-Kanade 20 Years On, 2004, section 3.2). The likeness is the correlation of the details then, that is of the
    Laplacian, where noise counts against it. It is 0 where the colours, the aspect or one part of the picture are different.
    """
    alike = np.zeros(len(others), np.float32)
    first = _Slopes(one, COARSE, COARSE)
    rows, places = np.arange(len(others)), np.zeros((len(others), 4), np.float32)
    places, explained = first.lay(outlines, places)
    fine = None
    for _ in range(2):
        near = explained >= EXPLAINED
        rows, places = rows[near], places[near]
        if not len(rows):
            return alike
        fine = fine or _Slopes(one, KEPT, FINE_POINTS)
        seen = _seen(_series(others[rows], KEPT), places, _points(FINE_POINTS, INNER))[0]
        places, explained = fine.lay(seen.reshape(len(rows), -1), places)
    alike[rows] = _correlation(one, others[rows], places)
    return alike


class _Slopes:
    """What one picture looks like when it is moved, stretched, and changed in contrast or brightness by a little."""

    def __init__(self, one: np.void, kept: int, count: int):
        points = _points(count, INNER)
        series, waves, slopes = _series(one[None], kept)[0], _waves(points, kept), _waves_slopes(points, kept)
        grey, along, down = waves @ series @ waves.T, waves @ series @ slopes.T, slopes @ series @ waves.T
        changes = [grey, np.ones_like(grey), along, along * points, down, down * points[:, None]]
        self.changes = np.stack(changes, axis=2).reshape(-1, 6)
        square = self.changes.T @ self.changes
        # what hardly changes the picture is held still
        square[range(6), range(6)] = square.diagonal() * 1.001 + 1e-3
        self.solution = np.linalg.solve(square, self.changes.T)

    def lay(self, seen: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(better places [m, 4], share [m] of the variance that is explained) for what is seen [m, points] of others at `places`.

        A place is (along, stretched by, down, stretched by), which says where in the other picture a point of this one is.
        """
        steps = seen @ self.solution.T
        left = ((seen - steps @ self.changes.T) ** 2).sum(axis=1)
        variance = seen.shape[1] * seen.var(axis=1)
        gain = np.maximum(steps[:, :1], 0.2)
        moved, stretched = steps[:, 2::2] / gain, steps[:, 3::2] / gain
        better = np.empty_like(places)
        better[:, 0::2] = places[:, 0::2] - (1 + places[:, 1::2]) * moved
        better[:, 1::2] = (1 + places[:, 1::2]) * (1 - stretched) - 1
        return np.clip(better, -FARTHEST, FARTHEST), (variance - left) / (variance + seen.shape[1] * FAINT**2 / 4)


def _correlation(one: np.void, others: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The likeness of `one` and others [m] that lie at `places` [m, 4]."""
    points = _points(ALL_POINTS, 1.0)
    this, _, _ = _seen(_series(one[None], KEPT), np.zeros((1, 4), np.float32), points)
    other, down, along = _seen(_series(others, KEPT), places, points)
    both = ((np.abs(down) <= 1)[:, :, None] & (np.abs(along) <= 1)[:, None, :]).astype(np.float32)

    within = both[:, 2:, 1:-1] * both[:, :-2, 1:-1] * both[:, 1:-1, 2:] * both[:, 1:-1, :-2]
    detail, other_detail = _laplacian(this) * within, _laplacian(other) * within
    noise = within.sum(axis=(1, 2)) * FAINT**2
    energy = ((detail**2).sum(axis=(1, 2)) + noise) * ((other_detail**2).sum(axis=(1, 2)) + noise)
    alike = (detail * other_detail).sum(axis=(1, 2)) / np.sqrt(energy)

    count = both.sum(axis=(1, 2))
    this = (this - ((this * both).sum(axis=(1, 2)) / count)[:, None, None]) * both
    other = (other - ((other * both).sum(axis=(1, 2)) / count)[:, None, None]) * both
    gain = (this * other).sum(axis=(1, 2)) / ((other**2).sum(axis=(1, 2)) + 1e-6)
    variance = (this**2).sum(axis=(1, 2)) / count
    part = ALL_POINTS // PARTS
    cut = (len(others), PARTS, part, PARTS, part)
    left = ((this - gain[:, None, None] * other) ** 2).reshape(cut).sum(axis=(2, 4))
    left /= np.maximum(both.reshape(cut).sum(axis=(2, 4)), part * part / 2)
    same = left.max(axis=(1, 2)) <= OTHER_PART * variance

    colour, other_colour = one["colour"].astype(np.float32), others["colour"].astype(np.float32)
    apart = np.sqrt(((colour - other_colour) ** 2).sum(axis=(1, 2)))
    strength = np.sqrt(((colour**2).sum() + (other_colour**2).sum(axis=(1, 2))) / 2)
    same &= apart <= OTHER_COLOUR * (strength + PALE)

    aspect = others["aspect"].astype(np.float32) - np.float32(one["aspect"])
    same &= np.abs(aspect + np.log2((1 + places[:, 1]) / (1 + places[:, 3]))) <= OTHER_ASPECT
    return np.where(same, np.clip(alike, 0, 1), 0).astype(np.float32)


def _laplacian(grey: np.ndarray) -> np.ndarray:
    """[n, a, b] -> [n, a - 2, b - 2]: each point against its four neighbours."""
    return 4 * grey[:, 1:-1, 1:-1] - grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1] - grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]


def _seen(series: np.ndarray, places: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(grey levels [m, points, points] of pictures at these points of the first, moved to `places`; where that is in them: down, along)."""
    along = places[:, 0, None] + (1 + places[:, 1, None]) * points
    down = places[:, 2, None] + (1 + places[:, 3, None]) * points
    kept = series.shape[-1]
    return _waves(down, kept) @ series @ _waves(along, kept).transpose(0, 2, 1), down, along


def _series(records: np.ndarray, kept: int) -> np.ndarray:
    """The cosine series of the brightness, float32 [n, kept, kept], the higher of the kept frequencies weaker: a picture without edges."""
    series = np.zeros((len(records), KEPT, KEPT), np.float32)
    series[:, DETAIL] = records["detail"]
    lengths = np.maximum(FREQUENCIES, 1)
    scale = np.where(np.arange(KEPT) == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    series *= (np.outer(scale, scale) * SIDE / STEPS / lengths * np.exp(-((lengths / kept) ** 2))).astype(np.float32)
    return (series * records["contrast"].astype(np.float32)[:, None, None])[:, :kept, :kept]


def _points(count: int, part: float) -> np.ndarray:
    """`count` places in the middle `part` of a side, which goes from -1 to 1: float32 [count]."""
    return (part * ((np.arange(count) + 0.5) / count * 2 - 1)).astype(np.float32)


def _waves(points: np.ndarray, kept: int) -> np.ndarray:
    """The cosines 0 to `kept` - 1 of a side at points [...]: float32 [..., kept]."""
    return np.cos(np.pi / 2 * np.arange(kept, dtype=np.float32) * (points[..., None] + 1))


def _waves_slopes(points: np.ndarray, kept: int) -> np.ndarray:
    """The derivatives of `_waves`."""
    turns = np.pi / 2 * np.arange(kept, dtype=np.float32)
    return -turns * np.sin(turns * (points[..., None] + 1))


def _frequencies(image: Image.Image) -> np.ndarray:
    """The orthonormal cosine transform of brightness, blue and red difference at 32 x 32: float32 [3, 32, 32]."""
    # by way of a larger one: rounded to whole levels at 32 x 32, a plain picture would be nothing but rounding
    larger = np.asarray(image.resize((4 * SIDE, 4 * SIDE), Image.Resampling.BOX, reducing_gap=2), dtype=np.float32)
    small = larger.reshape(SIDE, 4, SIDE, 4, 3).mean(axis=(1, 3)) @ YCBCR.T
    cosines = _cosines()
    return cosines @ small.transpose(2, 0, 1) @ cosines.T


@cache
def _cosines() -> np.ndarray:
    """float32 [32, 32]: row k is the k-th of the orthonormal cosines (DCT-II)."""
    angles = np.pi * np.arange(SIDE)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)
    scale = np.where(np.arange(SIDE) == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return (scale[:, None] * np.cos(angles)).astype(np.float32)


def _hash(brightness: np.ndarray) -> int:
    lowest = np.rint(brightness[:HASH_SIDE, :HASH_SIDE]).ravel()
    bits = lowest > np.median(lowest[1:])  # the first is the mean, which says nothing of the form
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
