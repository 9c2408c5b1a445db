"""Groups of near-duplicates: what belongs together, which one is kept, and what the vectors add."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageFilter

from multimodal.retrieval import duplicates
from multimodal.retrieval.duplicates import DOUBTFUL, NEAR, SAME, find_groups
from multimodal.retrieval.perceptual import LAYOUT, likeness, read_signatures, signature
from tests.bench.duplicates import COPIES, PHOTOS, copies_of, cropped, measure, scaled
from tests.retrieval.test_perceptual import clouds


def groups(pictures: list[Image.Image], **facts: object) -> list[list[int]]:
    """The groups of pictures with the ids 100, 101 ..."""
    count = len(pictures)
    known = {"pixels": [picture.width * picture.height for picture in pictures], "sizes": [1] * count, "times": [0.0] * count} | facts
    found = find_groups(np.arange(count) + 100, [signature(picture) for picture in pictures], **known)
    return [[member.id for member in group.members] for group in found]


@pytest.mark.parametrize("kind", COPIES)
def test_the_copies_of_each_picture_are_found_and_nothing_else(tmp_path, kind):
    copies = []
    for seed in range(3):
        (tmp_path / str(seed)).mkdir()
        clouds(seed).save(tmp_path / str(seed) / "picture.png")
        copies += [copy for copy in copies_of(tmp_path / str(seed) / "picture.png") if copy.kind in ("original", kind)]
    found = measure(copies)
    assert found["wrong"] == 0
    assert found["recall"] >= 0.95


def test_the_best_has_most_pixels_then_most_bytes_then_is_the_oldest_then_has_the_lowest_id():
    picture = clouds(0)
    larger = scaled(1.5)(picture)
    assert groups([picture, larger, clouds(1)]) == [[101, 100]]
    assert groups([picture, picture, picture], sizes=[1, 3, 2]) == [[101, 102, 100]]
    assert groups([picture, picture, picture], times=[9.0, 8.0, 7.0]) == [[102, 101, 100]]
    assert groups([picture, picture]) == [[100, 101]]
    assert groups([picture, larger], sizes=[9, 1], times=[0.0, 9.0]) == [[101, 100]]


def test_a_group_tells_its_best_the_others_and_how_alike_they_are():
    pictures = [clouds(0), cropped(left=0.05)(clouds(0))]
    (group,) = find_groups(np.array([7, 8]), [signature(picture) for picture in pictures], [2, 1], [1, 1], [0, 0])
    assert (group.best, group.others) == (7, (8,))
    assert group.members[0].likeness == 1
    assert SAME <= group.members[1].likeness < 1


def test_a_chain_of_slightly_different_pictures_is_not_one_group():
    # each is the same picture seen a little farther to the right: 5 % from one to the next, more than a third from end to end
    wide = clouds(0, (480, 240))
    steps = [wide.crop((left, 0, left + 320, 240)) for left in range(0, 161, 16)]
    records = read_signatures([signature(picture) for picture in steps])
    assert all(likeness(one, np.array([other]))[0] >= SAME for one, other in itertools.pairwise(records))
    found = groups(steps)
    assert len(found) > 1
    for group in found:
        best = records[group[0] - 100]
        assert likeness(best, records[[id - 100 for id in group]]).min() >= SAME
    assert len({id for group in found for id in group}) == sum(map(len, found))  # each in one group at most


def test_plain_pictures_make_no_groups():
    assert groups([Image.new("RGB", (300, 200), colour) for colour in ("white", "white", "black", "red", "red")]) == []


def test_no_pictures_make_no_groups():
    assert groups([]) == []


def test_hashes_are_near_as_their_bits_say():
    hashes = np.random.default_rng(0).integers(2**64, size=300, dtype=np.uint64)
    hashes[200:] = hashes[:100] ^ np.uint64(2**NEAR - 1)  # as far as is allowed
    hashes[150] = hashes[20] ^ np.uint64(2 ** (NEAR + 1) - 1)  # one bit farther
    search = duplicates._NearHashes(hashes)
    for row in range(len(hashes)):
        expected = [later for later in range(row + 1, 300) if int(hashes[row] ^ hashes[later]).bit_count() <= NEAR]
        assert search.after(row).tolist() == expected
    assert 220 in search.after(20)
    assert 150 not in search.after(20)


def doubtful_pair() -> tuple[Image.Image, Image.Image]:
    """Two pictures of which the signatures alone cannot say that they are the same: one has a pattern over it."""
    picture = clouds(0).filter(ImageFilter.GaussianBlur(14))
    pattern = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24), np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    over = np.asarray(picture, np.float32) + (np.asarray(pattern, np.float32)[..., None] - 128) / 21
    return picture, Image.fromarray(np.clip(over, 0, 255).astype(np.uint8))


def vectors_of(count: int, cosine: float) -> np.ndarray:
    """Unit vectors of which only the first two are alike, by `cosine`."""
    vectors = np.random.default_rng(0).normal(size=(count, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    aside = vectors[1] - (vectors[1] @ vectors[0]) * vectors[0]
    vectors[1] = cosine * vectors[0] + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)
    return vectors.astype(np.float16)


def test_where_signatures_leave_doubt_vectors_decide():
    pictures = [*doubtful_pair(), *(clouds(seed) for seed in range(1, 30))]
    one, other = read_signatures([signature(picture) for picture in pictures[:2]])
    assert DOUBTFUL <= likeness(one, np.array([other]))[0] < SAME
    newest_first = -np.arange(31.0)
    assert groups(pictures) == []
    assert groups(pictures, vectors=vectors_of(31, 0.99), times=newest_first) == [[101, 100]]
    assert groups(pictures, vectors=vectors_of(31, 0.3), times=newest_first) == []


def test_pictures_that_have_no_vectors_yet_decide_nothing():
    pictures = [*doubtful_pair(), *(clouds(seed) for seed in range(1, 30))]
    vectors = vectors_of(31, 0.99)
    vectors[1] = 0
    assert groups(pictures, vectors=vectors) == []
    vectors = vectors_of(31, 0.99)
    vectors[2:] = 0  # nothing tells how alike those of unrelated pictures are
    assert groups(pictures, vectors=vectors) == []


def test_vectors_that_are_all_alike_or_too_few_decide_nothing():
    pictures = [*doubtful_pair(), *(clouds(seed) for seed in range(1, 30))]
    crowded = np.float16(1) + vectors_of(31, 0.9) / 4
    crowded /= np.linalg.norm(crowded.astype(np.float32), axis=1, keepdims=True).astype(np.float16)
    assert groups(pictures, vectors=crowded) == []
    assert groups(pictures[:2], vectors=vectors_of(2, 0.99)) == []


def test_many_unlike_pictures_are_looked_through_in_a_moment():
    # 5,000 signatures make 12 million pairs
    random = np.random.default_rng(0)
    records = np.zeros(5000, LAYOUT)
    records["version"], records["contrast"] = read_signatures([signature(clouds(0))])["version"], 10
    records["hash"] = random.integers(2**64, size=5000, dtype=np.uint64)
    records["detail"] = random.integers(-40, 40, records["detail"].shape)
    records[4999] = records[1234]
    ones = np.ones(5000)
    (group,) = find_groups(np.arange(5000), [record.tobytes() for record in records], ones, ones, ones)
    assert [member.id for member in group.members] == [1234, 4999]


def test_photographs_of_the_same_thing_are_no_duplicates():
    paths = sorted(PHOTOS.glob("*/*.jpg"))
    if not paths:
        pytest.skip(f"there are no photographs in {PHOTOS}")
    pictures = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (256, 256))
            pictures.append(image.convert("RGB"))
    assert groups(pictures) == []


def test_copies_of_photographs_are_found():
    paths = sorted(PHOTOS.glob("*/00.jpg"))[::4]
    if not paths:
        pytest.skip(f"there are no photographs in {PHOTOS}")
    found = measure([copy for path in paths for copy in copies_of(path)])
    assert found["wrong"] == 0
    assert found["recall"] >= 0.95
