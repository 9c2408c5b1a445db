"""Sound files become 16 kHz mono, or a sentence."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal.media import Limits, Sound

# name, seconds and rate of the tone, ffmpeg's options, seconds that a lossy coder may add or lose
CODED = {
    "mp3": ("a.mp3", ("-c:a", "libmp3lame"), 0.1),
    "mp3 without tags": ("a.mp3", ("-c:a", "libmp3lame", "-id3v2_version", "0", "-write_xing", "0"), 0.1),
    "mp3 of changing rate": ("a.mp3", ("-c:a", "libmp3lame", "-q:a", "4"), 0.1),
    "mp3 with old and new tags": ("a.mp3", ("-c:a", "libmp3lame", "-write_id3v1", "1", "-metadata", "title=#EXTM3U"), 0.1),
    "m4a": ("a.m4a", ("-c:a", "aac"), 0.1),
    "m4a, lossless": ("a.m4a", ("-c:a", "alac"), 0),
    "aac": ("a.aac", ("-c:a", "aac"), 0.1),
    "ogg vorbis": ("a.ogg", ("-c:a", "libvorbis"), 0.1),
    "ogg opus": ("a.opus", ("-c:a", "libopus"), 0.1),
    "webm opus": ("a.webm", ("-c:a", "libopus"), 0.1),
    "webm opus, recorded live": ("a.webm", ("-c:a", "libopus", "-live", "1"), 0.1),
    "flac in ogg": ("a.oga", ("-c:a", "flac"), 0),
    "aiff": ("a.aiff", (), 0),
    "au": ("a.au", (), 0),
    "caf": ("a.caf", (), 0),
    "wma": ("a.wma", ("-c:a", "wmav2"), 0.1),
    "amr": ("a.amr", ("-ar", "8000"), 0.1),
    "wav, adpcm": ("a.wav", ("-c:a", "adpcm_ms"), 0.1),
    "wav, rf64": ("a.wav", ("-rf64", "always"), 0),
    "matroska": ("a.mka", ("-c:a", "aac"), 0.1),
    "mpegts": ("a.ts", ("-c:a", "aac"), 0.1),
}


def heard(media: list) -> np.ndarray:
    """The samples of the one sound."""
    (sound,) = media
    assert isinstance(sound, Sound)
    assert sound.samples.dtype == np.float32
    assert sound.samples.ndim == 1
    assert sound.seconds == len(sound.samples) / 16_000
    assert np.abs(sound.samples).max() <= 1
    return sound.samples


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("a.wav", "PCM_U8", 16_000, 1),
        ("a.wav", "PCM_U8", 8000, 2),
        ("a.wav", "PCM_16", 8000, 1),
        ("a.wav", "PCM_16", 16_000, 1),
        ("a.wav", "PCM_16", 44_100, 2),
        ("a.wav", "PCM_16", 48_000, 6),
        ("a.wav", "PCM_24", 48_000, 2),
        ("a.wav", "PCM_32", 44_100, 2),
        ("a.wav", "FLOAT", 48_000, 1),
        ("a.wav", "FLOAT", 44_100, 2),
        ("a.wav", "DOUBLE", 16_000, 2),
        ("a.wav", "ULAW", 8000, 1),
        ("a.flac", "PCM_16", 44_100, 2),
        ("a.flac", "PCM_24", 8000, 1),
        ("a.aiff", "PCM_16", 44_100, 2),
        ("a.ogg", "VORBIS", 48_000, 2),
    ],
)
def test_a_plain_sound_is_heard_as_loud_as_it_is(
    tone: Callable, taken: Callable, pitch: Callable, name: str, subtype: str, rate: int, channels: int
):
    samples = heard(taken(tone(name, 1.5, rate, 700, channels, subtype=subtype)))
    assert abs(len(samples) - 24_000) <= (1600 if subtype == "VORBIS" else 480)
    assert abs(pitch(samples) - 700) <= 3
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", CODED)
def test_a_coded_sound_is_heard(tone: Callable, ffmpeg: Callable, taken: Callable, pitch: Callable, kind: str):
    name, options, slack = CODED[kind]
    samples = heard(taken(ffmpeg(name, "-i", tone("source.wav", 2, 44_100, 600), *options)))
    assert abs(len(samples) - 32_000) <= max(0.02 * 32_000, slack * 16_000)
    assert abs(pitch(samples) - 600) <= 3


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a"])
def test_a_cover_picture_does_not_make_a_sound_a_video(
    tmp_path: Path, tone: Callable, ffmpeg: Callable, taken: Callable, pitch: Callable, name: str
):
    Image.effect_noise((300, 300), 80).convert("RGB").save(tmp_path / "cover.jpg", quality=95)  # larger than the head that is looked at
    covered = ("-map", "0:a", "-map", "1:v", "-c:v", "copy", "-disposition:v", "attached_pic")
    path = ffmpeg(name, "-i", tone("source.wav", 2, 44_100, 600), "-i", tmp_path / "cover.jpg", *covered)
    assert path.stat().st_size > (tmp_path / "cover.jpg").stat().st_size
    samples = heard(taken(path, only="sound"))
    assert abs(len(samples) - 32_000) <= 1600
    assert abs(pitch(samples) - 600) <= 3


@pytest.mark.parametrize("coded", ["a.flac", "a.aac", "a.mp3"])
@pytest.mark.parametrize("size", [16, 10_000])
def test_a_tag_in_front_does_not_hide_the_form(tmp_path: Path, tone: Callable, ffmpeg: Callable, taken: Callable, coded: str, size: int):
    sound = ffmpeg(coded, "-i", tone("source.wav", 1, 44_100), "-id3v2_version", "0").read_bytes()
    tag = b"ID3\4\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
    (tmp_path / "tagged").write_bytes(tag + sound)
    assert abs(len(heard(taken(tmp_path / "tagged"))) - 16_000) <= 1600


@pytest.mark.parametrize("name", ["a.mp3", "a", "声音 %03d.jpg", "-y", "http:a|b"])
def test_the_name_of_a_sound_does_not_matter(tone: Callable, taken: Callable, name: str):
    path = tone("source.wav")
    assert len(heard(taken(path.rename(path.with_name(name))))) == 16_000


def test_both_channels_are_heard(tmp_path: Path, taken: Callable, pitch: Callable):
    times = np.arange(32_000) / 16_000
    left, right = 0.5 * np.sin(2 * np.pi * 500 * times), 0.5 * np.sin(2 * np.pi * 900 * times)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000)
    power = np.abs(np.fft.rfft(heard(taken(tmp_path / "a.wav"))))
    assert power[1000] == pytest.approx(power[1800], rel=0.02)
    assert power[1000] > 1000


def test_nan_and_too_loud_samples_are_tamed(tmp_path: Path, taken: Callable):
    samples = np.full(8000, 0.25, np.float32)
    samples[100:200], samples[300:400], samples[500:600], samples[700:800] = np.nan, np.inf, -np.inf, 7
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    found = heard(taken(tmp_path / "a.wav"))
    assert found[[0, 150, 350, 550, 750, 900]].tolist() == [0.25, 0, 1, -1, 1, 0.25]


def test_a_sound_cut_short_is_heard_up_to_there(tone: Callable, taken: Callable, pitch: Callable):
    path = tone("a.wav", 2)
    path.write_bytes(path.read_bytes()[:32_000])
    samples = heard(taken(path))
    assert abs(len(samples) - 16_000) <= 100
    assert abs(pitch(samples) - 440) <= 3


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp3", ()), ("a.flac", ()), ("a.aac", ()), ("a.webm", ()), ("a.ogg", ("-page_duration", "100000"))]
)
def test_a_coded_sound_cut_short_is_heard_up_to_there(
    tone: Callable, ffmpeg: Callable, taken: Callable, name: str, options: tuple[str, ...]
):
    path = ffmpeg(name, "-i", tone("source.wav", 4, 44_100), *options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 16_000 <= len(heard(taken(path))) <= 40_000


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 1_000_000_000])
def test_the_length_that_a_wav_claims_is_not_believed(tone: Callable, taken: Callable, claimed: int):
    # recorders that were stopped, or that write into a pipe, leave such headers
    path = tone("a.wav")
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + struct.pack("<I", claimed) + content[place + 4 :])
    assert len(heard(taken(path))) == 16_000


def test_the_length_that_an_mp3_claims_is_not_believed(tone: Callable, ffmpeg: Callable, taken: Callable):
    # half of a sound above the limit is below it
    path = ffmpeg("a.mp3", "-i", tone("source.wav", 8, 44_100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert abs(len(heard(taken(path, Limits(sound_seconds=5)))) - 64_000) <= 3200


@pytest.mark.parametrize(
    ("seconds", "code"), [(0.01, "sound_too_short"), (0.09, "sound_too_short"), (3.2, "sound_too_long"), (30, "sound_too_long")]
)
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_sound_of_wrong_length_is_refused(tone: Callable, refused: Callable, name: str, seconds: float, code: str):
    assert refused(tone(name, seconds), Limits(sound_seconds=3)) == code


def test_a_wav_of_no_seconds_is_refused(tone: Callable, refused: Callable):
    assert refused(tone("a.wav", 0)) == "sound_broken"


@pytest.mark.parametrize("seconds", [0.1, 3])
def test_a_sound_of_the_shortest_and_longest_length_is_taken(tone: Callable, taken: Callable, seconds: float):
    assert len(heard(taken(tone("a.wav", seconds), Limits(sound_seconds=3)))) == seconds * 16_000


@pytest.mark.parametrize("options", [("-c:a", "libopus", "-live", "1"), ("-c:a", "libopus")])
def test_a_long_webm_is_refused_whether_or_not_it_says_so(tone: Callable, ffmpeg: Callable, refused: Callable, options: tuple[str, ...]):
    assert refused(ffmpeg("a.webm", "-i", tone("source.wav", 5), *options), Limits(sound_seconds=3)) == "sound_too_long"


def test_the_header_alone_of_a_wav_is_refused(tone: Callable, refused: Callable):
    path = tone("a.wav")
    path.write_bytes(path.read_bytes()[:44])
    assert refused(path) == "sound_broken"


@pytest.mark.parametrize("length", [12, 20, 36, 43])
def test_a_part_of_the_header_of_a_wav_is_refused(tone: Callable, refused: Callable, length: int):
    path = tone("a.wav")
    path.write_bytes(path.read_bytes()[:length])
    assert refused(path) == "sound_broken"


@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_silence_is_a_sound(ffmpeg: Callable, taken: Callable, name: str):
    assert np.abs(heard(taken(ffmpeg(name, "-f", "lavfi", "-t", 1, "-i", "anullsrc=r=44100")))).max() < 0.001


def test_the_sound_file_stays_as_it_is(tmp_path: Path, tone: Callable, taken: Callable):
    path = tone("a.wav")
    path.chmod(0o444)
    before, content = path.stat(), path.read_bytes()
    taken(path)
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [found.name for found in tmp_path.iterdir()] == ["a.wav"]
