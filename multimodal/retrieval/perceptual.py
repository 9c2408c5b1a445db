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

# Comparing. Places are in units of half a picture's side, from its centre. The thresholds come from the photographs of one half of the
# objects that tests/bench/duplicates.py measures.
COARSE = 8  # frequencies, and points each way, with which one is first laid on the other
FINE_POINTS = 16
ALL_POINTS = 20
UNMOVED = np.zeros((1, 4), np.float32)
INNER = 0.8  # of the first picture, looked for in the second: it is there after a crop as well
UP_TO = 0.96  # of the second: nearer to its edge, what is beyond would have been seen too
FARTHEST = 0.16  # that one is moved, or made larger
EXPLAINED = 0.9  # of the second picture's variance, by the first as it lies: below it is another one
FAINT = 0.5  # grey levels of detail that may be nothing but noise
PARTS = 5  # each way that are looked at by themselves
OTHER_PART = 0.2  # of the picture's variance: what may be different within one part
OTHER_COLOUR = 0.22  # of the colour
PALE = 8.0  # levels of colour below which small differences say nothing
OTHER_ASPECT = 0.05  # in log2, after what was cropped


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
    """The inner part of each picture at 8 x 8 points, of mean 0 and length 1: float32 [n, 64]."""
    waves = _waves(_points(COARSE, INNER), COARSE)
    grey = (waves @ _series(records, COARSE) @ waves.T).reshape(len(records), -1)
    grey -= grey.mean(axis=1, keepdims=True)
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)


def tangents(records: np.ndarray) -> np.ndarray:
    """What `outlines` can become when the picture is moved, stretched or changed in contrast a little: orthonormal, float32 [n, 64, 5].

    The tangent distance: P. Simard, Y. LeCun and J. Denker, Efficient Pattern Recognition Using a New Transformation Distance, 1993.
    """
    changes = _changes(records, COARSE, COARSE)[..., 1:]
    return np.linalg.qr(changes - changes.mean(axis=1, keepdims=True))[0]


def may_be_alike(tangents: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """Whether `likeness` can be more than 0 at all, by one's tangents [64, 5] and others' outlines [m, 64]: bool [m]."""
    return ((outlines @ tangents) ** 2).sum(axis=1) >= EXPLAINED


def likeness(one: np.void, others: np.ndarray) -> np.ndarray:
    """How far each of `others` [m] is the same picture as `one`: float32 [m], 1 for the very same, 0 for another.

    Each is laid on `one` as closely as moving and stretching along both sides and a change of contrast bring it: B. Lucas and T. Kanade,
    An Iterative Image Registration Technique (1981), with the slopes of one picture for all steps, as the inverse compositional algorithm
    of S. Baker and I. Matthews, Lucas-Kanade 20 Years On (2004). The likeness is the correlation of the details then, that is of the
    Laplacian, where noise counts against it. It is 0 where the colours, the aspect or one part of the picture are different.
    """
    alike = np.zeros(len(others), np.float32)
    rows, places = np.arange(len(others)), np.zeros((len(others), 4), np.float32)
    coarse, fine = _Slopes(one, COARSE, COARSE), _Slopes(one, KEPT, FINE_POINTS)
    for slopes in (coarse, fine, fine):
        places, explained = slopes.lay(others[rows], places)
        near = explained >= EXPLAINED
        rows, places = rows[near], places[near]
        if not len(rows):
            return alike
    others = others[rows]
    same = _colours_agree(one, others, places) & _aspects_agree(one, others, places)
    alike[rows] = np.where(same, _correlation(one, others, places), 0)
    return alike


class _Slopes:
    """One picture, to lay others on by its frequencies below `kept`, at `count` points each way."""

    def __init__(self, one: np.void, kept: int, count: int):
        self.kept, self.count = kept, count
        self.changes = _changes(one[None], kept, count)[0]
        square = self.changes.T @ self.changes
        square[range(6), range(6)] = square.diagonal() * 1.001 + 1e-3  # what hardly changes the picture is held still
        self.solution = np.linalg.solve(square, self.changes.T)

    def lay(self, others: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(better places [m, 4], share [m] of the variance that is explained) for others [m] that lie at `places`.

        A place is (along, stretched by, down, stretched by), which says where in the other picture a point of this one is.
        """
        seen = _seen(_series(others, self.kept), places, _points(self.count, INNER))[0].reshape(len(others), -1)
        steps = seen @ self.solution.T
        left = ((seen - steps @ self.changes.T) ** 2).mean(axis=1)
        gain = np.maximum(steps[:, 1:2], 0.2)
        moved, stretched = steps[:, 2::2] / gain, steps[:, 3::2] / gain
        better = np.empty_like(places)
        better[:, 0::2] = places[:, 0::2] - (1 + places[:, 1::2]) * moved
        better[:, 1::2] = (1 + places[:, 1::2]) * (1 - stretched) - 1
        return np.clip(better, -FARTHEST, FARTHEST), 1 - left / np.maximum(seen.var(axis=1), 1e-6)


def _changes(records: np.ndarray, kept: int, count: int) -> np.ndarray:
    """How the inner part of each picture, at `count` points each way, changes with a little more of these: float32 [n, points, 6].

    Brightness, contrast, moved along, stretched along, moved down, stretched down.
    """
    points = _points(count, INNER)
    series, waves, slopes = _series(records, kept), _waves(points, kept), _slopes(points, kept)
    grey, along, down = waves @ series @ waves.T, waves @ series @ slopes.T, slopes @ series @ waves.T
    changes = [np.ones_like(grey), grey, along, along * points, down, down * points[:, None]]
    return np.stack(changes, axis=3).reshape(len(records), -1, 6)


def _correlation(one: np.void, others: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Of the details of `one` and of others that lie at `places` [m, 4]: 0 to 1, [m]; 0 where one part is different."""
    points = _points(ALL_POINTS, 1.0)
    this, _, _ = _seen(_series(one[None], KEPT), UNMOVED, points)
    other, down, along = _seen(_series(others, KEPT), places, points)
    both = ((np.abs(down) <= UP_TO)[:, :, None] & (np.abs(along) <= UP_TO)[:, None, :]).astype(np.float32)
    within = both[:, 2:, 1:-1] * both[:, :-2, 1:-1] * both[:, 1:-1, 2:] * both[:, 1:-1, :-2]
    detail, other_detail = _laplacian(this) * within, _laplacian(other) * within
    noise = within.sum(axis=(1, 2)) * FAINT**2
    energy = ((detail**2).sum(axis=(1, 2)) + noise) * ((other_detail**2).sum(axis=(1, 2)) + noise)
    correlation = (detail * other_detail).sum(axis=(1, 2)) / np.sqrt(energy)
    return np.where(_parts_agree(this, other, both), np.clip(correlation, 0, 1), 0)


def _parts_agree(this: np.ndarray, other: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Whether `this` [1, a, a] and each `other` [m, a, a] are nowhere very different, but for contrast, where `both` [m, a, a] are: [m]."""
    count = both.sum(axis=(1, 2))
    this = (this - ((this * both).sum(axis=(1, 2)) / count)[:, None, None]) * both
    other = (other - ((other * both).sum(axis=(1, 2)) / count)[:, None, None]) * both
    gain = (this * other).sum(axis=(1, 2)) / ((other**2).sum(axis=(1, 2)) + 1e-6)
    part = ALL_POINTS // PARTS
    cut = (len(other), PARTS, part, PARTS, part)
    left = ((this - gain[:, None, None] * other) ** 2).reshape(cut).sum(axis=(2, 4))
    left /= np.maximum(both.reshape(cut).sum(axis=(2, 4)), part * part / 2)
    return left.max(axis=(1, 2)) <= OTHER_PART * (this**2).sum(axis=(1, 2)) / count


def _colours_agree(one: np.void, others: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether the colour differences are nearly the same in the inner part: bool [m]."""
    points = _points(COARSE, INNER)
    apart = strength = np.float32(0)
    for series, other_series in zip(_colour_series(one[None]), _colour_series(others), strict=True):
        this, other = _seen(series, UNMOVED, points)[0], _seen(other_series, places, points)[0]
        apart += ((this - other) ** 2).mean(axis=(1, 2))
        strength += (this**2 + other**2).mean(axis=(1, 2)) / 2
    return np.sqrt(apart) <= OTHER_COLOUR * (np.sqrt(strength) + PALE)


def _aspects_agree(one: np.void, others: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether nothing is squeezed: the aspects differ by what was cropped, as `places` tell. bool [m]."""
    aspect = others["aspect"].astype(np.float32) - np.float32(one["aspect"])
    return np.abs(aspect + np.log2((1 + places[:, 1]) / (1 + places[:, 3]))) <= OTHER_ASPECT


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
    """The cosine series of the brightness, float32 [n, kept, kept], the higher frequencies weaker: as seen from farther away."""
    series = np.zeros((len(records), KEPT, KEPT), np.float32)
    series[:, DETAIL] = records["detail"] * records["contrast"].astype(np.float32)[:, None]
    return series[:, :kept, :kept] * _weights(kept)


def _colour_series(records: np.ndarray) -> np.ndarray:
    """The same of the two colour differences: float32 [2, n, 4, 4]."""
    series = np.zeros((2, len(records), COLOUR_KEPT, COLOUR_KEPT), np.float32)
    series[:, :, COLOUR] = records["colour"].transpose(1, 0, 2)
    farther = np.exp(-((FREQUENCIES[:COLOUR_KEPT, :COLOUR_KEPT] / COLOUR_KEPT) ** 2))
    return series * _amplitudes(COLOUR_KEPT) * farther**2


@cache
def _weights(kept: int) -> np.ndarray:
    """What makes of a kept detail the amplitude of its cosine: float32 [kept, kept]."""
    lengths = np.maximum(FREQUENCIES, 1)[:kept, :kept]
    return _amplitudes(kept) / STEPS / lengths * np.exp(-((lengths / kept) ** 2))


@cache
def _amplitudes(kept: int) -> np.ndarray:
    """The amplitude of each product of two cosines, for a frequency of one level: float32 [kept, kept]."""
    scale = np.where(np.arange(kept) == 0, 1, np.sqrt(2)).astype(np.float32)
    return np.outer(scale, scale)


@cache
def _points(count: int, part: float) -> np.ndarray:
    """`count` places in the middle `part` of a side, which goes from -1 to 1: float32 [count]."""
    return (part * ((np.arange(count) + 0.5) / count * 2 - 1)).astype(np.float32)


def _waves(points: np.ndarray, kept: int) -> np.ndarray:
    """The cosines 0 to `kept` - 1 of a side at points [...]: float32 [..., kept]."""
    return np.cos(np.pi / 2 * np.arange(kept, dtype=np.float32) * (points[..., None] + 1))


def _slopes(points: np.ndarray, kept: int) -> np.ndarray:
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
    """64 bits that stay nearly the same when a picture is resized, recompressed or slightly changed; unrelated ones differ in some 32.

    The signs of the 8 x 8 lowest of its `_frequencies`, against their median: the DCT hash of C. Zauner, Implementation and Benchmarking of
    Perceptual Image Hash Functions (2010), here with the lowest row and column.
    """
    lowest = np.rint(brightness[:HASH_SIDE, :HASH_SIDE]).ravel()
    bits = lowest > np.median(lowest[1:])  # the first is the mean, which says nothing of the form
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
