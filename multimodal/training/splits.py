"""Which pictures are trained with, and which a model is judged on: the names of splits, and a split where a data set has none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from multimodal.training.captioned import SPLITS

# what data sets call them; 'restval' is the part of COCO's val2014 that Karpathy's split gives to training
NAMES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
TRAIN, TRAIN_OR_VAL = 0.8, 0.9  # shares of all pictures
FEWEST = 3  # pictures from which on no split is empty


def split_by_name(names: Sequence[str]) -> list[str]:
    """A split for each picture, about 80 % train, 10 % val and 10 % test.

    By a hash of its name alone, so that it stays where it is when others come and go; but of three pictures or more each split gets one.
    """
    shares = [_share(name) for name in names]
    splits = ["train" if share < TRAIN else "val" if share < TRAIN_OR_VAL else "test" for share in shares]
    if len(names) >= FEWEST:
        for empty in [split for split in SPLITS if split not in splits]:
            largest = max(SPLITS, key=splits.count)
            last = max((place for place, split in enumerate(splits) if split == largest), key=lambda place: shares[place])
            splits[last] = empty
    return splits


def _share(name: str) -> float:
    """A number from 0 up to 1 that looks drawn by chance and is always the same for one name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
