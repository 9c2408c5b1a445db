"""What a file is, from its first bytes alone: names and endings are not believed."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = 4096  # bytes that are looked at


@dataclass(frozen=True)
class Signature:
    """`kind`: 'picture', 'sound' or 'container' (sound or video, its streams tell).

    `reader`: the Pillow format, or the ffmpeg demuxer. The reader is always forced, so that no file can pass for one kind here and be
    read as another there: a playlist, say, that names other files or addresses.
    """

    kind: str
    reader: str


HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
PLAYLISTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"[reference]", b"<asx", b"<smil", b"<mpd", b"rtsptext", b"<?wpl")
ADDRESSES = (b"rtsp://", b"http://", b"https://")
MPEGTS = ((0, 188), (4, 192))  # where the first packet starts, its bytes; camcorders put a time before each
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def read_signature(head: bytes) -> Signature | str | None:
    """The signature of a file that starts with `head`; an error code for what is refused by name; None for the unknown."""
    if head.startswith(b"\xff\xd8\xff"):
        return Signature("picture", "JPEG")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Signature("picture", "PNG")
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return Signature("picture", "GIF")
    if head[:4] == b"RIFF" and len(head) >= 12:
        riff = {b"WEBP": ("picture", "WEBP"), b"WAVE": ("sound", "wav"), b"AVI ": ("container", "avi")}.get(head[8:12])
        return Signature(*riff) if riff else None
    if head[:4] == b"RF64":
        return Signature("sound", "wav")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Signature("picture", "TIFF")
    if (
        head[:2] == b"BM"
        and len(head) > 26
        and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x34\0\0\0", b"\x38\0\0\0", b"\x40\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0")
    ):
        return Signature("picture", "BMP")
    if head[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or head[:4] == b"\xff\x4f\xff\x51":
        return Signature("picture", "JPEG2000")
    if head[:4] == b"\0\0\1\0":
        return Signature("picture", "ICO")
    if head[:4] == b"8BPS":
        return Signature("picture", "PSD")
    if head[:4] == b"qoif":
        return Signature("picture", "QOI")
    if head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3] in (b" ", b"\n", b"\t", b"\r"):
        return Signature("picture", "PPM")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return Signature("container", "mov")  # QuickTime, from before ftyp
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return Signature("container", "matroska")
    if head[:4] == b"OggS":
        return Signature("container", "ogg")
    if head[:4] == b"fLaC":
        return Signature("sound", "flac")
    if head[:3] == b"ID3":
        return Signature("sound", "mp3")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0x06:
        # the last condition leaves out layer 1, which nobody uses: UTF-16 text starts like it
        return Signature("sound", "aac" if head[1] & 0xF6 == 0xF0 else "mp3")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Signature("sound", "aiff")
    if head[:4] == b"caff":
        return Signature("sound", "caf")
    if head[:4] == b".snd":
        return Signature("sound", "au")
    if head[:5] == b"#!AMR":
        return Signature("sound", "amr")
    if head.startswith(ASF):
        return Signature("container", "asf")
    if head[:3] == b"FLV":
        return Signature("container", "flv")
    if head[:4] == b"\0\0\1\xba":
        return Signature("container", "mpeg")
    if any(len(head) > first + 2 * step and head[first] == head[first + step] == head[first + 2 * step] == 0x47 for first, step in MPEGTS):
        return Signature("container", "mpegts")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if any(mark in text[:400] for mark in PLAYLISTS) or text.startswith(ADDRESSES):
        return "file_playlist"
    if b"<svg" in text:
        return "file_svg"
    return None


def id3_bytes(head: bytes) -> int:
    """The bytes of the ID3 tag that `head` starts with; 0 where there is none."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    # a size of four times seven bits, without these ten bytes; and perhaps a footer
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)) + (10 if head[5] & 0x10 else 0)


def tagged_signature(head: bytes) -> Signature:
    """The signature of a sound whose bytes behind its ID3 tag are `head`."""
    signature = read_signature(head)
    tagged = isinstance(signature, Signature) and signature.reader in ("aac", "flac")
    return signature if tagged else Signature("sound", "mp3")


def _iso_media(head: bytes) -> Signature | str:
    brand = head[8:12]
    if brand in (b"avif", b"avis"):
        return Signature("picture", "AVIF")
    if brand in HEIF_BRANDS:
        return "file_heic" if b"avif" not in head[8:64] else Signature("picture", "AVIF")
    return Signature("container", "mov")
