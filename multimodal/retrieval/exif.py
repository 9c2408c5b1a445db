"""What a camera wrote into a picture: which way up it is, when it was taken, with what, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from PIL import ExifTags, Image

from multimodal.media.images import FAULTS, TURNS

LONGEST = 300  # characters of a text
TAG, GPS = ExifTags.Base, ExifTags.GPS


@dataclass(frozen=True)
class Exif:
    """`orientation`: 1 to 8. `taken`: seconds since the epoch, None where the picture does not say. `fields`: the rest, for people."""

    orientation: int
    taken: float | None
    fields: Mapping[str, str]


def read_exif(image: Image.Image) -> Exif:
    """What a loaded picture says of itself. Cameras write faulty EXIF: what cannot be read is left out."""
    try:
        exif = image.getexif()
        base, camera, place = dict(exif), exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except FAULTS:
        return Exif(1, None, {})
    orientation = base.get(TAG.Orientation, 1)
    fields = {
        "camera": _camera(_text(base.get(TAG.Make)), _text(base.get(TAG.Model))),
        "lens": _text(camera.get(TAG.LensModel)),
        "exposure": _exposure(_number(camera.get(TAG.ExposureTime))),
        "aperture": _measure(camera.get(TAG.FNumber), "f/{:g}"),
        "iso": _measure(camera.get(TAG.ISOSpeedRatings), "{:.0f}"),
        "focal_length": _measure(camera.get(TAG.FocalLength), "{:g} mm"),
        **_position(place),
        "altitude": _altitude(place),
        "description": _text(base.get(TAG.ImageDescription)),
        "artist": _text(base.get(TAG.Artist)),
        "copyright": _text(base.get(TAG.Copyright)),
    }
    taken = _time(camera.get(TAG.DateTimeOriginal), camera.get(TAG.OffsetTimeOriginal))
    if taken is None:
        taken = _time(camera.get(TAG.DateTimeDigitized), camera.get(TAG.OffsetTimeDigitized))
    return Exif(orientation if orientation in TURNS else 1, taken, {name: value for name, value in fields.items() if value})


def _text(value: object) -> str:
    """A value as text of at most LONGEST characters: Pillow reads it as Latin-1, many programs write UTF-8."""
    if isinstance(value, str):
        with suppress(UnicodeError):  # it was Latin-1
            value = value.encode("latin-1").decode()
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    else:
        return ""
    shown = "".join(sign if sign.isprintable() else " " for sign in value.partition("\0")[0])
    return " ".join(shown.split())[:LONGEST]


def _number(value: object) -> float | None:
    """A rational, a number, or the first of several."""
    try:
        number = float(value[0] if isinstance(value, tuple) else value)
    except FAULTS:
        return None
    return number if math.isfinite(number) else None


def _measure(value: object, form: str) -> str:
    number = _number(value)
    return form.format(round(number, 1)) if number is not None and number > 0 else ""


def _camera(make: str, model: str) -> str:
    """'Canon EOS 5D' of 'Canon' and 'Canon EOS 5D', 'Apple iPhone 12' of 'Apple' and 'iPhone 12'."""
    return model if make and model.lower().startswith(make.split()[0].lower()) else f"{make} {model}".strip()


def _exposure(seconds: float | None) -> str:
    if seconds is None or seconds <= 0:
        return ""
    return f"1/{1 / seconds:.0f} s" if seconds < 0.3 else f"{seconds:.1f} s"


def _position(place: Mapping[int, object]) -> dict[str, str]:
    """Latitude and longitude in degrees, north and east being positive."""
    latitude = _degrees(place.get(GPS.GPSLatitude), place.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(place.get(GPS.GPSLongitude), place.get(GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None or latitude == longitude == 0:  # what is written where there was no reception
        return {}
    return {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}"}


def _degrees(value: object, reference: object, negative: str, most: float) -> float | None:
    parts = [_number(part) for part in value] if isinstance(value, tuple) and len(value) == 3 else [None]
    if None in parts:
        return None
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= degrees <= most:
        return None
    return -degrees if _text(reference).upper().startswith(negative) else degrees


def _altitude(place: Mapping[int, object]) -> str:
    metres = _number(place.get(GPS.GPSAltitude))
    if metres is None:
        return ""
    below = place.get(GPS.GPSAltitudeRef) in (b"\1", 1)
    return f"{-metres if below else metres:.0f} m"


def _time(value: object, offset: object) -> float | None:
    """'2021:07:04 12:30:00', in the zone '+02:00' if that is known, else in this machine's."""
    text, zone = _text(value).replace("-", ":")[:19], _text(offset)
    with suppress(*FAULTS):
        return datetime.strptime(text + zone, "%Y:%m:%d %H:%M:%S%z").timestamp()
    with suppress(*FAULTS):  # no zone, or a faulty one
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").timestamp()
    return None
