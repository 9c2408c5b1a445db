"""What a file is, from its first bytes."""

from __future__ import annotations

import pytest

from multimodal.media.signature import Signature, read_signature

PACKETS = b"".join(b"\x47" + bytes(187) for _ in range(4))
TIMED_PACKETS = b"".join(bytes(4) + b"\x47" + bytes(187) for _ in range(4))


@pytest.mark.parametrize(
    ("head", "kind", "reader"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "picture", "JPEG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", "picture", "PNG"),
        (b"GIF87a\1\0\1\0", "picture", "GIF"),
        (b"GIF89a\1\0\1\0", "picture", "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "picture", "WEBP"),
        (b"II*\0\x08\0\0\0", "picture", "TIFF"),
        (b"MM\0*\0\0\0\x08", "picture", "TIFF"),
        (b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(40), "picture", "BMP"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "picture", "JPEG2000"),
        (b"\0\0\1\0\1\0", "picture", "ICO"),
        (b"8BPS\0\1", "picture", "PSD"),
        (b"qoif\0\0\0\1", "picture", "QOI"),
        (b"P6\n2 2\n255\n", "picture", "PPM"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "picture", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "picture", "AVIF"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "sound", "wav"),
        (b"fLaC\0\0\0\x22", "sound", "flac"),
        (b"ID3\4\0\0\0\0\0\0", "sound", "mp3"),
        (b"\xff\xfb\x90\x64", "sound", "mp3"),
        (b"\xff\xf3\x40\xc4", "sound", "mp3"),
        (b"\xff\xfd\xa4\0", "sound", "mp3"),
        (b"\xff\xf1\x50\x80", "sound", "aac"),
        (b"FORM\0\0\0\0AIFFCOMM", "sound", "aiff"),
        (b"caff\0\1\0\0", "sound", "caf"),
        (b".snd\0\0\0\x18", "sound", "au"),
        (b"#!AMR\n", "sound", "amr"),
        (b"RIFF\0\0\0\0AVI LIST", "container", "avi"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "container", "mov"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0", "container", "mov"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "container", "mov"),
        (b"\0\0\2\0moov\0\0\0\x6cmvhd", "container", "mov"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", "container", "matroska"),
        (b"OggS\0\2", "container", "ogg"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "container", "asf"),
        (b"FLV\1\5", "container", "flv"),
        (b"\0\0\1\xba\x44", "container", "mpeg"),
        (PACKETS, "container", "mpegts"),
        (TIMED_PACKETS, "container", "mpegts"),
    ],
)
def test_the_first_bytes_tell_kind_and_reader(head: bytes, kind: str, reader: str):
    assert read_signature(head) == Signature(kind, reader)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "file_heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "file_heic"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "file_svg"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<SVG>", "file_svg"),
        (b"#EXTM3U\n", "file_playlist"),
        (b"\xef\xbb\xbf\r\n#EXTM3U\n", "file_playlist"),
        (b"ffconcat version 1.0\n", "file_playlist"),
        (b"[playlist]\nFile1=http://a/b\n", "file_playlist"),
        (b"[Reference]\nRef1=http://a/b\n", "file_playlist"),
        (b"<ASX version='3.0'>", "file_playlist"),
        (b"<?xml version='1.0'?>\n<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>", "file_playlist"),
        (b"<smil>", "file_playlist"),
        (b"<?wpl version='1.0'?>", "file_playlist"),
        (b"http://a/b.mp3\n", "file_playlist"),
    ],
)
def test_what_is_refused_is_named(head: bytes, code: str):
    assert read_signature(head) == code


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"R",
        b"RIFF\0\0\0\0",
        b"RIFF\0\0\0\0ACON",
        b"Dear reader,",
        "Dear reader,".encode("utf-16"),
        "亲爱的读者".encode("utf-16"),
        "亲爱的读者".encode(),
        b"%PDF-1.7",
        b"PK\3\4",
        b"\x7fELF",
        b"#!/bin/sh",
        bytes(4096),
        b"Go to https://a/b",
        b"BMW drives",
        b"Paris",
        b"ID",
        b"\x47" + bytes(500),
    ],
)
def test_anything_else_is_unknown(head: bytes):
    assert read_signature(head) is None
