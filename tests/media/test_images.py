"""Picture files become what a person sees, or a sentence."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits, Picture, take

RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 230), (255, 255, 255)


def upright(width: int = 60, height: int = 40) -> np.ndarray:
    """Red at the top left, green at the top right, blue at the bottom left, white at the bottom right."""
    colours = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
    return colours.repeat(height // 2, axis=0).repeat(width // 2, axis=1)


# EXIF orientation: how an upright picture is stored
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda picture: picture,
    2: np.fliplr,
    3: lambda picture: np.rot90(picture, 2),
    4: np.flipud,
    5: lambda picture: picture.swapaxes(0, 1),
    6: np.rot90,
    7: lambda picture: np.rot90(picture, 2).swapaxes(0, 1),
    8: lambda picture: np.rot90(picture, -1),
}


def corners(image: Image.Image) -> list[np.ndarray]:
    """The colours at the top left, top right, bottom left, bottom right."""
    right, bottom = image.width - 4, image.height - 4
    return [np.array(image.getpixel(place), int) for place in ((3, 3), (right, 3), (3, bottom), (right, bottom))]


def assert_upright(image: Image.Image, within: int = 30) -> None:
    for found, wanted in zip(corners(image), (RED, GREEN, BLUE, WHITE), strict=True):
        assert np.abs(found - wanted).max() <= within


def greys(image: Image.Image) -> list[int]:
    """The first row. All its channels are alike."""
    pixels = np.asarray(image)
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


def png(width: int, height: int, depth: int = 1, rows: bytes = b"", chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A grey PNG by hand. `chunks`: (name, content) before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    pieces = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)) for name, content in pieces
    )


def saved(pixels: np.ndarray | Image.Image, picture_format: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    file = BytesIO()
    image.save(file, picture_format, **options)
    return file.getvalue()


@pytest.fixture
def picture(tmp_path: Path, taken: Callable[..., list]) -> Callable[..., Picture]:
    """picture(content, name='a', limits=Limits()): the file with this content, loaded."""

    def load(content: bytes, name: str = "a", limits: Limits | None = None) -> Picture:
        (tmp_path / name).write_bytes(content)
        (found,) = taken(tmp_path / name, limits)
        assert found.image.mode == "RGB"
        assert found.name == name
        return found

    return load


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_by_its_exif(picture: Callable[..., Picture], picture_format: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = picture(saved(STORED[orientation](upright()), picture_format, exif=exif))
    assert found.image.size == found.original == (60, 40)
    assert_upright(found.image)


@pytest.mark.parametrize("orientation", [6, 8])
def test_the_original_size_is_as_seen_when_the_sides_nearly_agree(picture: Callable[..., Picture], orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(upright(400, 400)).resize((399, 400))
    # halved by the JPEG decoder, both sides are 200
    assert picture(saved(stored, "JPEG", exif=exif), limits=Limits(pixels=20_000)).original == (400, 399)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(200))]
)
def test_a_picture_with_broken_exif_is_shown_as_stored(picture: Callable[..., Picture], exif: bytes):
    assert_upright(picture(saved(upright(), "JPEG", exif=exif)).image)


def test_odd_exif_does_not_spoil_a_turn(picture: Callable[..., Picture]):
    # orientation 6, and a resolution whose kind is text: it can be read, and not be written again
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHI4s", 0x011A, 2, 4, b"72\0\0")
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + bytes(4)
    assert_upright(picture(saved(STORED[6](upright()), "JPEG", exif=exif)).image)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_no_turn(picture: Callable[..., Picture], orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = picture(saved(upright(), "JPEG", exif=exif))
    assert found.original == (60, 40)
    assert_upright(found.image)


def see_through(mode: str) -> bytes:
    """A PNG of 4 by 1 pixels: black, black and clear, black and half clear, white. LA and RGBA have the half."""
    if mode == "RGBA":
        return saved(np.array([[(0, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128), (255, 255, 255, 255)]], np.uint8), "PNG")
    if mode == "LA":
        return saved(Image.frombytes("LA", (4, 1), bytes([0, 255, 0, 0, 0, 128, 255, 255])), "PNG")
    if mode == "P":
        image = Image.frombytes("P", (4, 1), bytes([0, 1, 2, 3]))
        image.putpalette([0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255])
        return saved(image, "PNG", transparency=bytes([255, 0, 128, 255]))
    if mode == "RGB":
        return saved(np.array([[(0, 0, 0), (9, 9, 9), (128, 128, 128), (255, 255, 255)]], np.uint8), "PNG", transparency=(9, 9, 9))
    return saved(np.array([[0, 9, 128, 255]], np.uint8), "PNG", transparency=9)


@pytest.mark.parametrize(("mode", "half"), [("RGBA", 127), ("LA", 127), ("P", 127), ("RGB", 128), ("L", 128)])
def test_clear_parts_lie_on_white(picture: Callable[..., Picture], mode: str, half: int):
    black, clear, middle, white = greys(picture(see_through(mode)).image)
    assert (black, clear, white) == (0, 255, 255)
    assert abs(middle - half) <= 1


def test_a_clear_gif_lies_on_white(picture: Callable[..., Picture]):
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([0, 0, 0, 0, 200, 0])
    assert np.asarray(picture(saved(image, "GIF", transparency=1)).image).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_a_clear_one_bit_png_lies_on_white(picture: Callable[..., Picture]):
    rows = bytes([0, 0b01000000])
    assert greys(picture(png(2, 1, 1, rows, ((b"tRNS", b"\0\0"),))).image) == [255, 255]


@pytest.mark.parametrize(
    ("values", "kind", "picture_format", "wanted"),
    [
        ([0, 0x4000, 0x8000, 0xFFFF], "uint16", "PNG", [0, 64, 128, 255]),
        ([0, 0x4000, 0x8000, 0xFFFF], "uint16", "TIFF", [0, 64, 128, 255]),
        ([0, 0x4000, 0x8000, 0xFFFF], ">u2", "TIFF", [0, 64, 128, 255]),
        ([0, 0x4000, 0x8000, 0xFFFF], "int32", "TIFF", [0, 64, 128, 255]),
        ([0, 64, 128, 255], "int32", "TIFF", [0, 64, 128, 255]),
        ([-1000, -500, 0, 1000], "int32", "TIFF", [0, 64, 128, 255]),
        ([0, 500_000, 1_000_000, 2_000_000], "int32", "TIFF", [0, 64, 128, 255]),
        ([0, 0.25, 0.5, 1], "float32", "TIFF", [0, 64, 128, 255]),
        ([0, 64, 128, 255], "float32", "TIFF", [0, 64, 128, 255]),
        ([-1, -0.5, 0, 1], "float32", "TIFF", [0, 64, 128, 255]),
        ([0, np.nan, 0.5, 1], "float32", "TIFF", [0, 0, 128, 255]),
        ([0, np.inf, 0.5, 1], "float32", "TIFF", [0, 0, 128, 255]),
        ([0, 0, 0, 0], "float32", "TIFF", [0, 0, 0, 0]),
        ([-5, -5, -5, -5], "float32", "TIFF", [0, 0, 0, 0]),
    ],
)
def test_wide_greys_are_scaled_and_not_cut(
    picture: Callable[..., Picture], values: list[float], kind: str, picture_format: str, wanted: list[int]
):
    found = greys(picture(saved(np.array([values], kind), picture_format)).image)
    assert np.abs(np.array(found) - wanted).max() <= 1


def test_a_cmyk_jpeg_keeps_its_colours(picture: Callable[..., Picture]):
    assert_upright(picture(saved(Image.fromarray(upright()).convert("CMYK"), "JPEG", quality=95)).image)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM", "AVIF", "QOI", "ICO"])
def test_every_form_keeps_its_colours(picture: Callable[..., Picture], picture_format: str):
    content = saved(upright(64, 64), picture_format)
    assert_upright(picture(content).image)


@pytest.mark.parametrize("picture_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_keeps_its_colours(picture: Callable[..., Picture], picture_format: str):
    assert_upright(picture(saved(Image.fromarray(upright()).convert("P", palette=Image.Palette.ADAPTIVE), picture_format)).image)


@pytest.mark.parametrize("picture_format", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_is_black_and_white(picture: Callable[..., Picture], picture_format: str):
    image = Image.fromarray(np.array([[0, 255, 255, 0]], np.uint8)).convert("1")
    assert greys(picture(saved(image, picture_format)).image) == [0, 255, 255, 0]


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_an_animation_shows_its_first_frame(picture: Callable[..., Picture], picture_format: str):
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN, BLUE)]
    found = picture(saved(frames[0], picture_format, save_all=True, append_images=frames[1:])).image
    assert found.size == (32, 32)
    assert np.abs(np.array(found.getpixel((16, 16)), int) - RED).max() <= 12


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(600, 400), (401, 1203), (2000, 30), (640, 480)])
def test_a_picture_is_brought_within_its_pixels(picture: Callable[..., Picture], picture_format: str, size: tuple[int, int]):
    found = picture(saved(Image.fromarray(upright()).resize(size), picture_format), limits=Limits(pixels=20_000))
    width, height = found.image.size
    assert 20_000 * 0.9 <= width * height <= 20_000
    assert abs(width / height - size[0] / size[1]) <= 0.03 * size[0] / size[1] * max(1, 30 / min(width, height))
    assert found.original == size
    assert_upright(found.image, within=60)


def test_a_small_picture_stays_as_it_is(picture: Callable[..., Picture]):
    pixels = np.random.default_rng(1).integers(0, 256, (50, 40, 3), np.uint8)
    found = picture(saved(pixels, "PNG"), limits=Limits(pixels=2000))
    assert (np.asarray(found.image) == pixels).all()


@pytest.mark.parametrize("name", ["a.png", "a", "a.jpg.txt", "a.mp4", "图片 %03d.bmp", "-y", "a|b:c"])
def test_the_name_of_a_jpeg_does_not_matter(picture: Callable[..., Picture], name: str):
    assert_upright(picture(saved(upright(), "JPEG"), name).image)


@pytest.mark.parametrize("picture_format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_the_file_and_its_folder_stay_as_they_are(tmp_path: Path, taken: Callable[..., list], picture_format: str):
    path = tmp_path / "a"
    content = saved(upright(), picture_format)
    path.write_bytes(content)
    path.chmod(0o444)
    before = path.stat()
    taken(path, Limits(pixels=100))
    after = path.stat()
    assert path.read_bytes() == content
    assert (after.st_mtime_ns, after.st_size, after.st_ino, after.st_mode) == (
        before.st_mtime_ns,
        before.st_size,
        before.st_ino,
        before.st_mode,
    )
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_pillow_s_own_settings_stay_as_they_are(picture: Callable[..., Picture]):
    before = Image.MAX_IMAGE_PIXELS
    picture(saved(upright(), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS


NOISE = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.png", b"", "file_empty"),
        ("text.jpg", b"This is a letter.\n", "file_unknown"),
        ("pdf.jpg", b"%PDF-1.7\n", "file_unknown"),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>", "file_svg"),
        ("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "file_heic"),
        ("cut.jpg", saved(NOISE, "JPEG")[:-1000], "picture_broken"),
        ("cut.png", saved(NOISE, "PNG")[:-1000], "picture_broken"),
        ("cut.webp", saved(NOISE, "WEBP")[:-1000], "picture_broken"),
        ("cut.tiff", saved(NOISE, "TIFF")[:-1000], "picture_broken"),
        ("cut.bmp", saved(NOISE, "BMP")[:-1000], "picture_broken"),
        ("head.jpg", saved(NOISE, "JPEG")[:4], "picture_broken"),
        ("head.png", saved(NOISE, "PNG")[:33], "picture_broken"),
        ("chunk.png", flipped(saved(NOISE, "PNG"), 3000), "picture_broken"),
        ("header.png", flipped(saved(NOISE, "PNG"), 20), "picture_broken"),
        ("nothing.png", png(0, 0), "picture_broken"),
        ("narrow.png", png(1, 500, rows=bytes(1000)), "picture_too_long"),
        ("flat.png", saved(Image.new("L", (5000, 40)), "PNG"), "picture_too_long"),
    ],
)
def test_a_wrong_picture_is_refused(tmp_path: Path, refused: Callable[..., str], name: str, content: bytes, code: str):
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name) == code


def test_a_picture_of_the_longest_ratio_is_taken(picture: Callable[..., Picture]):
    assert picture(saved(Image.new("L", (1000, 10)), "PNG")).original == (1000, 10)


HEADERS: dict[str, Callable[[int, int], bytes]] = {
    "PNG": png,
    "BMP": lambda width, height: b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 1, 0, 0, 0, 0, 0, 0) + bytes(100),
    "GIF": lambda width, height: struct.pack("<6sHH8sHHB5s", b"GIF89a", width, height, b"\0\0\0,\0\0\0\0", width, height, 0, b"\2\1\0\0;"),
    "PPM": lambda width, height: f"P5\n{width} {height}\n255\n".encode() + bytes(100),
    "QOI": lambda width, height: b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + bytes(100),
}


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("megapixels", [101, 150, 200, 400])
def test_a_header_of_too_many_megapixels_is_refused_with_their_number(tmp_path: Path, kind: str, megapixels: int):
    (tmp_path / "a").write_bytes(HEADERS[kind](megapixels * 100, 10_000))
    with pytest.raises(UserError, match=f"a has {megapixels} megapixels and the limit is 100") as caught:
        take(tmp_path / "a", "a", Limits())
    assert caught.value.code == "picture_too_large"


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path, refused: Callable[..., str]):
    (tmp_path / "a.png").write_bytes(saved(NOISE, "PNG")[:-2000])  # to decode it would be picture_broken
    assert refused(tmp_path / "a.png", Limits(megapixels=0.004)) == "picture_too_large"


def test_a_decompression_bomb_is_refused(tmp_path: Path, refused: Callable[..., str]):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000, rows=bytes(20_000 * 2501)))
    assert path.stat().st_size < 100_000
    assert refused(path) == "picture_too_large"


def test_a_bomb_of_text_is_refused_or_left_alone(tmp_path: Path, harmless: Callable):
    chunk = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9))
    (tmp_path / "a.png").write_bytes(png(8, 1, rows=bytes(2), chunks=(chunk,)))
    assert harmless(tmp_path / "a.png")


def turned_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


VALID = {
    "JPEG": saved(NOISE, "JPEG", exif=turned_exif()),
    "PNG": saved(NOISE, "PNG"),
    "GIF": saved(NOISE[..., 0], "GIF", save_all=True, append_images=[Image.new("L", (64, 64))]),
    "WEBP": saved(NOISE, "WEBP"),
    "TIFF": saved(NOISE, "TIFF"),
    "TIFF, packed": saved(NOISE, "TIFF", compression="tiff_lzw"),
    "BMP": saved(NOISE, "BMP"),
    "JPEG2000": saved(NOISE, "JPEG2000"),
    "ICO": saved(NOISE, "ICO"),
    "QOI": saved(NOISE, "QOI"),
    "PPM": saved(NOISE, "PPM"),
    "AVIF": saved(NOISE, "AVIF"),
}


@pytest.mark.parametrize("kind", VALID)
def test_damage_gives_a_picture_or_a_sentence(tmp_path: Path, harmless: Callable, kind: str):
    chance = random.Random(kind)
    path = tmp_path / "a"
    for _ in range(40):
        content = bytearray(VALID[kind])
        for _ in range(chance.choice((1, 3, 10))):
            # headers are where it hurts
            content[chance.randrange(4, min(len(content), chance.choice((100, 1000, 10**6))))] = chance.randrange(256)
        path.write_bytes(content[: chance.choice((None, None, chance.randrange(4, len(content))))])
        assert harmless(path)
