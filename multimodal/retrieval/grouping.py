"""The near-duplicates of a whole store."""

from __future__ import annotations

import logging

import numpy as np

from multimodal.retrieval.duplicates import Group, find_groups
from multimodal.retrieval.perceptual import is_current
from multimodal.retrieval.store import Store

log = logging.getLogger(__name__)


def groups_of(store: Store, space: str) -> list[Group]:
    """Groups of pictures that look the same, those with the best picture first.

    The vectors that are there are a second witness: those of `space`, or where it has none those of the encoder with the most. A picture
    whose signature is of another version of this program is left out.
    """
    ids, signatures, facts = store.signatures()
    rows = [row for row, signature in enumerate(signatures) if is_current(signature)]
    if len(rows) < len(ids):
        log.warning("%d pictures have a signature of another version, and are not compared", len(ids) - len(rows))
        ids, signatures, facts = ids[rows], [signatures[row] for row in rows], facts[:, rows]
    tables = [store.vectors(name, "picture", dimension) for name, dimension in store.spaces("picture")]
    table = max(tables, key=lambda table: (table.space == space, table.count()), default=None)
    vectors = None
    if table:
        found, known = table.vectors(ids)
        vectors = np.zeros((len(ids), table.dimension), np.float16)
        vectors[np.searchsorted(ids, found)] = known
    return find_groups(ids, signatures, *facts, vectors)
