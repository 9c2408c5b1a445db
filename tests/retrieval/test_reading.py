"""What is read from one picture file, and its thumbnail."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.reading import Read, read_content, read_picture
from multimodal.retrieval.thumbnails import LONGER, Thumbnails

TAG, GPS = ExifTags.Base, ExifTags.GPS
SHOT = datetime(2021, 7, 4, 12, 30, tzinfo=timezone.utc).timestamp()


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 220
    return Image.fromarray(pixels)


def exif_of(camera: dict | None = None, place: dict | None = None, **base: object) -> Image.Exif:
    exif = Image.Exif()
    for name, value in base.items():
        exif[TAG[name]] = value
    exif.get_ifd(ExifTags.IFD.Exif).update(camera or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(place or {})
    return exif


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """read(image, exif=None, form='JPEG', shorter=0, longer=LONGER): it is saved and read. It was changed at 1,000,000 s."""

    def run(image: Image.Image, exif: Image.Exif | None = None, form: str = "JPEG", shorter: int = 0, longer: int = LONGER) -> Read:
        path = tmp_path / "picture"
        image.save(path, form, **({} if exif is None else {"exif": exif}))
        os.utime(path, (1_000_000, 1_000_000))
        return read_picture(read_content(path, "picture", Limits()), "picture", Limits(), shorter, longer)

    return run


def test_the_hash_is_that_of_the_bytes(tmp_path: Path):
    halves(40, 30).save(tmp_path / "a.png")
    content = read_content(tmp_path / "a.png", "a.png", Limits())
    assert content.hash == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert content.form == "PNG"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_upright_and_its_size_as_seen(read: Callable[..., Read], form: str):
    found = read(halves(1200, 800).transpose(Image.Transpose.ROTATE_90), exif_of(Orientation=6), form)
    assert (found.width, found.height) == (1200, 800)
    assert found.image.width > found.image.height
    left, right = (np.asarray(found.image)[10, column] for column in (5, -5))
    assert left[0] > 200 > 50 > left[2]
    assert right[2] > 200 > 50 > right[0]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(3000, 2000), (2000, 3000), (640, 480), (4000, 90), (50, 40)])
def test_a_picture_is_decoded_no_larger_than_needed_and_no_smaller(read: Callable[..., Read], form: str, size: tuple[int, int]):
    found = read(halves(*size), form=form, shorter=448)
    assert (found.width, found.height) == size
    assert min(found.image.size) >= min(448, *size)
    assert max(found.image.size) >= min(LONGER, max(size))
    if min(size) >= 2 * 448:
        assert min(found.image.size) < 2 * 448


def test_the_day_is_the_camera_s_in_its_own_zone(read: Callable[..., Read]):
    camera = {TAG.DateTimeOriginal: "2021:07:04 14:30:00", TAG.OffsetTimeOriginal: "+02:00"}
    assert read(halves(20, 20), exif_of(camera)).taken == SHOT


@pytest.mark.parametrize("zone", [None, "", "nowhere"])
def test_without_a_zone_it_is_this_machine_s(read: Callable[..., Read], zone: str | None):
    camera = {TAG.DateTimeOriginal: "2021:07:04 14:30:00"} | ({TAG.OffsetTimeOriginal: zone} if zone is not None else {})
    assert read(halves(20, 20), exif_of(camera)).taken == datetime(2021, 7, 4, 14, 30).timestamp()


@pytest.mark.parametrize("said", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "", "2021:02:30 01:00:00", "9999:99:99"])
def test_without_a_day_it_is_the_file_s(read: Callable[..., Read], said: str):
    assert read(halves(20, 20), exif_of({TAG.DateTimeOriginal: said})).taken == 1_000_000
    assert read(halves(20, 20)).taken == 1_000_000


def test_what_the_camera_wrote_is_readable(read: Callable[..., Read]):
    camera = {
        TAG.LensModel: "EF 50mm",
        TAG.ExposureTime: 0.008,
        TAG.FNumber: 2.8,
        TAG.ISOSpeedRatings: 400,
        TAG.FocalLength: 50.0,
    }
    place = {
        GPS.GPSLatitudeRef: "S",
        GPS.GPSLatitude: (33.0, 51.0, 25.2),
        GPS.GPSLongitudeRef: "E",
        GPS.GPSLongitude: (151.0, 12.0, 54.0),
        GPS.GPSAltitude: 12.4,
    }
    found = read(halves(20, 20), exif_of(camera, place, Make="Canon", Model="Canon EOS 5D", ImageDescription="海边".encode()))
    assert dict(found.exif) == {
        "camera": "Canon EOS 5D",
        "lens": "EF 50mm",
        "exposure": "1/125 s",
        "aperture": "f/2.8",
        "iso": "400",
        "focal_length": "50 mm",
        "latitude": "-33.857000",
        "longitude": "151.215000",
        "altitude": "12 m",
        "description": "海边",
    }


def test_faulty_fields_are_left_out_and_long_ones_cut(read: Callable[..., Read]):
    camera = {TAG.ExposureTime: 0.0, TAG.FNumber: "wide", TAG.FocalLength: float("inf")}
    place = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (91.0, 0.0, 0.0), GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (1.0, 0.0, 0.0)}
    found = read(halves(20, 20), exif_of(camera, place, Make="M", Model="X\x07\nY", ImageDescription="long " * 500))
    assert set(found.exif) == {"camera", "description"}
    assert found.exif["camera"] == "M X Y"
    assert len(found.exif["description"]) == 300


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(200))]
)
def test_broken_exif_spoils_nothing(read: Callable[..., Read], exif: bytes):
    found = read(halves(20, 20), exif)
    assert (found.width, found.height, found.taken, dict(found.exif)) == (20, 20, 1_000_000, {})


def small(form: str) -> bytes:
    file = BytesIO()
    halves(64, 64).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (b"", Limits(), "file_empty"),
        (b"just words", Limits(), "file_unknown"),
        (small("JPEG")[:-100], Limits(), "picture_broken"),
        (small("PNG")[:60], Limits(), "picture_broken"),
        (small("PNG"), Limits(megapixels=0.001), "picture_too_large"),
        (small("PNG"), Limits(file_bytes=50), "file_too_large"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\4\0\0\0\0\0\1\0", Limits(), "file_wrong_kind"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Limits(), "file_heic"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, content: bytes, limits: Limits, code: str):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_picture(read_content(tmp_path / "a.jpg", "a.jpg", limits), "a.jpg", limits, 0, LONGER)
    assert caught.value.code == code
    assert "a.jpg" in caught.value.say("zh")


def test_a_file_that_went_is_told(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        read_content(tmp_path / "a.jpg", "a.jpg", Limits())
    assert caught.value.code == "file_missing"


def test_a_file_that_may_not_be_opened_is_told_apart(tmp_path: Path, closed: Callable[[Path], None]):
    halves(20, 20).save(tmp_path / "a.png")
    closed(tmp_path / "a.png")
    with pytest.raises(UserError) as caught:
        read_content(tmp_path / "a.png", "a.png", Limits())
    assert caught.value.code == "file_unreadable"


def test_a_thumbnail_is_made_again_from_the_original_and_from_no_other_file(tmp_path: Path):
    halves(900, 600).save(tmp_path / "a.png")
    content = read_content(tmp_path / "a.png", "a.png", Limits())
    thumbnails = Thumbnails(tmp_path / "thumbnails")
    for _ in range(2):
        path = thumbnails.of(content.hash, lambda: tmp_path / "a.png", "a.png", Limits())
        with Image.open(path) as image:
            assert (image.size, image.format) == ((LONGER, LONGER * 2 // 3), "WEBP")
        path.write_bytes(b"")  # as a power cut leaves it
    thumbnails.drop(content.hash)
    thumbnails.drop(content.hash)
    halves(90, 60).save(tmp_path / "a.png")
    with pytest.raises(UserError) as caught:
        thumbnails.of(content.hash, lambda: tmp_path / "a.png", "a.png", Limits())
    assert caught.value.code == "original_gone"
    assert not thumbnails.is_there(content.hash)


def test_a_thumbnail_that_is_there_needs_no_original(tmp_path: Path):
    thumbnails = Thumbnails(tmp_path)
    thumbnails.put("ab" * 32, halves(30, 20))

    def original() -> Path:
        raise AssertionError("it was asked for")

    with Image.open(thumbnails.of("ab" * 32, original, "a", Limits())) as image:
        assert image.size == (30, 20)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["ab" * 32 + ".webp"]
