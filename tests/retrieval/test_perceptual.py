"""What a signature tells: copies are alike, other pictures are not, and plain ones are like nothing."""

from __future__ import annotations

from functools import reduce
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from multimodal.retrieval.duplicates import DOUBTFUL, NEAR, SAME
from multimodal.retrieval.perceptual import (
    LAYOUT,
    is_current,
    likeness,
    may_be_alike,
    outlines,
    read_signatures,
    signature,
    tangents,
)
from tests.bench.duplicates import COPIES, in_library

CHANGES = [pytest.param(change, quality, id=f"{kind}{place}") for kind in COPIES for place, (change, quality) in enumerate(COPIES[kind])]


def clouds(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Spots of all sizes and colours, the large ones strongest, as in photographs."""
    random = np.random.default_rng(seed)
    layers = [Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8)) for cells in (3, 6, 12, 24, 48)]
    return reduce(lambda large, small: Image.blend(large, small, 0.35), [layer.resize(size, Image.Resampling.BICUBIC) for layer in layers])


def page(random: Random) -> Image.Image:
    """A page of text, laid out as every other."""
    image = Image.new("RGB", (450, 600), "white")
    draw = ImageDraw.Draw(image)
    for top in range(40, 560, 13):
        if random.random() < 0.1:  # between two paragraphs
            continue
        line = "".join(random.choice("etaoin shrdlu ") for _ in range(random.choice((56, 56, 56, random.randint(10, 56)))))
        draw.text((40, top), line, fill="black")
    return image


def alike(one: Image.Image, other: Image.Image) -> float:
    """The likeness of two pictures."""
    first, second = read_signatures([signature(one), signature(other)])
    return float(likeness(first, np.array([second]))[0])


@pytest.mark.parametrize(("change", "quality"), CHANGES)
def test_a_copy_is_alike_whichever_of_the_two_is_asked_about(change, quality):
    for seed in range(3):
        original = clouds(seed)
        records = read_signatures([signature(original), in_library("", "", change(original), quality).signature])
        assert np.bitwise_count(records["hash"][0] ^ records["hash"][1]) <= NEAR
        for one, other in ((0, 1), (1, 0)):
            assert likeness(records[one], records[other : other + 1])[0] >= SAME
            assert may_be_alike(tangents(records[one : one + 1])[0], outlines(records[other : other + 1]))[0]


def test_other_pictures_are_not_alike_and_their_hashes_are_far():
    pictures = [clouds(seed) for seed in range(12)]
    records = read_signatures([signature(picture) for picture in pictures])
    for place, record in enumerate(records):
        others = np.delete(np.arange(len(records)), place)
        assert likeness(record, records[others]).max() < 0.5
        assert np.bitwise_count(record["hash"] ^ records["hash"][others]).min() > 10


def test_a_picture_in_other_colours_is_another():
    original = clouds(1)
    red, green, blue = original.split()
    assert alike(original, Image.merge("RGB", (blue, green, red))) == 0
    assert alike(original, original.convert("L").convert("RGB")) == 0


def test_a_picture_with_something_else_in_one_place_is_another():
    original = clouds(1)
    changed = original.copy()
    changed.paste("grey", (200, 130, 250, 180))
    assert alike(original, original) > 0.99
    assert alike(original, changed) == 0


def test_a_squeezed_picture_is_another():
    assert alike(clouds(1), clouds(1).resize((320, 180))) == 0


def test_a_turned_or_mirrored_picture_is_another():
    assert alike(clouds(1), clouds(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)) < 0.5
    assert alike(clouds(1), clouds(1).transpose(Image.Transpose.ROTATE_180)) < 0.5


def test_pages_of_text_with_the_same_layout_are_told_apart():
    random = Random(0)
    records = read_signatures([signature(page(random)) for _ in range(8)])
    for place, record in enumerate(records):
        shares = likeness(record, records)
        assert shares[place] > 0.99
        assert np.delete(shares, place).max() < SAME


def test_plain_pictures_are_like_nothing_not_even_one_another():
    noise = np.random.default_rng(0).normal(128, 2, (2, 150, 200, 3)).astype(np.uint8)
    plain = [Image.new("RGB", (200, 150), colour) for colour in ("white", "white", "#fefefe", "black", "red")]
    plain += [Image.fromarray(pixels) for pixels in noise]
    records = read_signatures([in_library("", "", picture, 75).signature for picture in plain])
    for record in records:
        assert likeness(record, records).max() < DOUBTFUL


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (3, 2), (33, 31)])
def test_a_picture_of_any_size_has_a_signature(size):
    made = signature(clouds(0, size))
    assert len(made) == LAYOUT.itemsize <= 256
    assert is_current(made)


def test_a_signature_that_is_not_current_is_refused():
    made = signature(clouds(0))
    for other in (b"", made[:-1], made + b"\0", bytes([made[0] + 1]) + made[1:]):
        assert not is_current(other)
        with pytest.raises(ValueError, match="version"):
            read_signatures([made, other])
