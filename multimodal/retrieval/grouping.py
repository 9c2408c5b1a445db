"""The near-duplicates of a whole store."""

from __future__ import annotations

import numpy as np

from multimodal.retrieval.duplicates import Group, find_groups
from multimodal.retrieval.store import Store


def groups_of(store: Store, space: str) -> list[Group]:
    """Groups of pictures that look the same, those with the best picture first.

    The vectors that are there are a second witness: those of `space`, or where it has none those of the encoder with the most.
    """
    ids, signatures, facts = store.signatures()
    tables = [store.vectors(name, "picture", dimension) for name, dimension in store.spaces("picture")]
    table = max(tables, key=lambda table: (table.space == space, table.count()), default=None)
    vectors = None
    if table:
        found, rows = table.vectors(ids)
        vectors = np.zeros((len(ids), table.dimension), np.float16)
        vectors[np.searchsorted(ids, found)] = rows
    return find_groups(ids, signatures, *facts, vectors)
