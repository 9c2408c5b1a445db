"""Groups of pictures that are the same but for their size, compression, a slight crop or slightly other colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.retrieval.perceptual import likeness, may_be_alike, outlines, read_signatures, tangents

NEAR = 18  # bits of 64 in which the hashes of near-duplicates may differ
SAME = 0.85  # likeness from which on two pictures are the same
DOUBTFUL = 0.7  # and from which on they are if their vectors say so as well
PLAIN = 0.05  # grey levels of contrast: with less there is nothing to compare, `likeness` finds nothing alike
BLOCK = 1024  # pictures that are computed with at once
DRAWN, FEWEST = 4000, 100  # pairs that tell how alike the vectors of unrelated pictures are, and how few of them tell nothing


@dataclass(frozen=True)
class Member:
    """A picture of a group, and how far it is the same as the group's best: 0 to 1."""

    id: int
    likeness: float


@dataclass(frozen=True)
class Group:
    """Near-duplicates of its first member, which is the one to keep; the others in the order in which they would be kept."""

    members: tuple[Member, ...]

    @property
    def best(self) -> int:
        """The id of the picture to keep."""
        return self.members[0].id

    @property
    def others(self) -> tuple[int, ...]:
        """The ids of those that may go."""
        return tuple(member.id for member in self.members[1:])


def find_groups(
    ids: np.ndarray,
    signatures: Sequence[bytes],
    pixels: np.ndarray,
    sizes: np.ndarray,
    times: np.ndarray,
    vectors: np.ndarray | None = None,
) -> list[Group]:
    """The groups among n pictures, those with the best picture first.

    `ids` int64 [n]; `signatures` of perceptual.signature; `pixels` (width times height), `sizes` (bytes) and `times` (seconds since the
    epoch) [n] say which of two to keep: the one with more pixels, else with more bytes, else the older, else with the lower id. `vectors`
    float16 [n, dimension], of unit length, a row of zeros where there is none: a second witness where the signatures leave doubt.

    Each picture goes to the best one that it is a near-duplicate of, directly: likeness is not handed on, so that a chain of pictures,
    each a little different from the last, does not become one group. Every hash is compared with every other: 100,000 pictures take some
    seconds, a million some ten minutes. Raises ValueError for a signature that is not current.
    """
    order = np.lexsort((ids, times, -np.asarray(sizes, np.int64), -np.asarray(pixels, np.int64)))
    records = read_signatures([signatures[row] for row in order])
    order, records = order[records["contrast"] > PLAIN], records[records["contrast"] > PLAIN]
    if not len(records):
        return []
    hashes = np.ascontiguousarray(records["hash"])
    lines = np.concatenate([outlines(part) for part in _blocks(records)])
    witness = None if vectors is None else _Witness(vectors, order, hashes)
    taken = np.zeros(len(order), bool)
    groups = []
    near_hashes = _NearHashes(hashes)
    for row in range(len(hashes)):
        if row % BLOCK == 0:
            block = tangents(records[row : row + BLOCK])
        if taken[row]:
            continue
        near = near_hashes.after(row)
        near = near[~taken[near]]
        near = near[may_be_alike(block[row % BLOCK], lines[near])]
        if not len(near):
            continue
        alike = np.concatenate([likeness(records[row], records[part]) for part in _blocks(near)])
        same = alike >= SAME
        doubtful = ~same & (alike >= DOUBTFUL)
        if witness and doubtful.any():
            same[doubtful] = witness.agrees(row, near[doubtful])
        if same.any():
            taken[near[same]] = True
            others = [Member(int(ids[order[other]]), float(share)) for other, share in zip(near[same], alike[same], strict=True)]
            groups.append(Group((Member(int(ids[order[row]]), 1.0), *others)))
    return groups


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    """`rows` in parts of BLOCK at most: what is computed of each row takes some kilobytes."""
    return np.split(rows, range(BLOCK, len(rows), BLOCK))


class _NearHashes:
    """Finds the hashes that are near to one of uint64 [n], by comparing it with every later one: at 0.6 ns each that is the fastest way."""

    def __init__(self, hashes: np.ndarray):
        self._hashes = hashes
        # made once: fresh memory for each row would take longer than the comparing
        self._apart, self._bits, self._near = np.empty_like(hashes), np.empty(len(hashes), np.uint8), np.empty(len(hashes), bool)

    def after(self, row: int) -> np.ndarray:
        """The later rows whose hashes are near to that of `row`, ascending."""
        later = slice(row + 1, len(self._hashes))
        apart, bits, near = self._apart[later], self._bits[later], self._near[later]
        np.bitwise_xor(self._hashes[later], self._hashes[row], out=apart)
        np.bitwise_count(apart, out=bits)
        np.less_equal(bits, NEAR, out=near)
        return np.flatnonzero(near) + row + 1


class _Witness:
    """What the vectors say. How alike those of unrelated pictures are depends on the encoder, so it is drawn from the pictures at hand."""

    def __init__(self, vectors: np.ndarray, order: np.ndarray, hashes: np.ndarray):
        """Row k of `hashes` belongs to row order[k] of `vectors`."""
        self._vectors, self._order = vectors, order
        self._least = np.inf  # it agrees with nothing
        drawn = np.random.default_rng(0).integers(len(hashes), size=(2, DRAWN))
        drawn = drawn[:, np.bitwise_count(hashes[drawn[0]] ^ hashes[drawn[1]]) > NEAR]
        one, other = drawn[:, vectors[order[drawn]].any(axis=2).all(axis=0)]
        if len(one) >= FEWEST:
            # half of the way from what unrelated pictures hardly reach to the very same
            self._least = (1 + np.quantile(self._cosines(one, other), 0.99)) / 2

    def agrees(self, row: int, others: np.ndarray) -> np.ndarray:
        """Whether the picture at `row` is the same as each of `others`: bool [m]."""
        return self._cosines(np.full(len(others), row), others) >= self._least  # one that has no vector reaches 0 with all

    def _cosines(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        one, other = (self._vectors[self._order[part]].astype(np.float32) for part in (rows, others))
        return np.einsum("nd,nd->n", one, other)
