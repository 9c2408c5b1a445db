"""Videos become their last frame and sound, or frames and sound, or a sentence."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from moviepy.config import FFMPEG_BINARY

from multimodal.errors import UserError
from multimodal.media import Clip, Limits, Picture, Sound, Stopped, look_at, take

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p")
FULL_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv444p")  # takes odd sizes
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-crf", "4", "-b:v", "2M")

FORMS = {
    "mp4": ("a.mp4", H264),
    "mp4 with frames out of order": ("a.mp4", ("-c:v", "libx264", "-bf", "3", "-crf", "8", "-pix_fmt", "yuv420p")),
    "mp4, index first": ("a.mp4", (*H264, "-movflags", "+faststart")),
    "mp4 in pieces": ("a.mp4", (*H264, "-g", "10", "-movflags", "+frag_keyframe+empty_moov")),
    "mov": ("a.mov", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
    "webm": ("a.webm", VP8),
    "webm, recorded live": ("a.webm", (*VP8, "-live", "1")),
    "mkv": ("a.mkv", H264),
    "avi": ("a.avi", ("-c:v", "mpeg4", "-q:v", "2", "-bf", "2")),
    "wmv": ("a.wmv", ("-c:v", "wmv2", "-q:v", "2")),
    "flv": ("a.flv", ("-c:v", "flv", "-q:v", "2", "-ar", "44100")),
    "ts": ("a.ts", (*H264, "-g", "250")),
    "m2ts": ("a.m2ts", H264),
    "mpg": ("a.mpg", ("-c:v", "mpeg2video", "-r", "25", "-q:v", "2")),
    "3gp": ("a.3gp", (*H264, "-c:a", "aac")),
}


@pytest.fixture
def clip(taken: Callable) -> Callable[..., Clip]:
    """clip(path, limits=Limits()): the sampled frames."""

    def run(path: Path, limits: Limits | None = None) -> Clip:
        (found,) = taken(path, limits, video="frames")
        assert isinstance(found, Clip)
        assert len({frame.size for frame in found.frames}) == 1
        assert {frame.mode for frame in found.frames} == {"RGB"}
        return found

    return run


@pytest.mark.parametrize("form", FORMS)
def test_a_video_is_split_into_its_last_frame_and_its_sound(film: Callable, taken: Callable, number: Callable, pitch: Callable, form: str):
    name, out = FORMS[form]
    picture, sound = taken(film(name, 45, sound=4.5, out=out))
    assert isinstance(picture, Picture)
    assert isinstance(sound, Sound)
    assert (picture.name, sound.name) == (name, name)
    assert (picture.image.mode, picture.image.size, picture.original) == ("RGB", (64, 48), (64, 48))
    assert number(picture.image) == 44
    assert abs(sound.seconds - 4.5) <= 0.1
    assert abs(pitch(sound.samples) - 440) <= 3


@pytest.mark.parametrize("form", ["mp4", "webm, recorded live", "avi", "mov"])
def test_a_silent_video_gives_its_last_frame(film: Callable, taken: Callable, number: Callable, form: str):
    name, out = FORMS[form]
    (picture,) = taken(film(name, 12, out=out))
    assert number(picture.image) == 11


@pytest.mark.parametrize("form", ["mp4 with frames out of order", "mov", "webm", "webm, recorded live", "avi", "wmv", "ts"])
def test_frames_are_sampled_from_start_to_end(film: Callable, clip: Callable, number: Callable, form: str):
    name, out = FORMS[form]
    found = clip(film(name, 45, sound=4.5, out=out), Limits(frames_a_second=1))
    assert found.rate == 1
    # forms that keep time in milliseconds, or let the sound begin first, may be a frame off
    assert np.abs(np.array([number(frame) for frame in found.frames[:5]]) - [0, 10, 20, 30, 40]).max() <= 1
    assert len(found.frames) == 5
    assert abs(found.sound.seconds - 4.5) <= 0.1


@pytest.mark.parametrize("rate", [0.5, 1, 2, 3, 5, 10])
def test_a_frame_is_what_is_seen_at_its_time(film: Callable, clip: Callable, number: Callable, rate: float):
    found = clip(film("a.mp4", 50), Limits(frames_a_second=rate))
    assert found.rate == rate
    assert [number(frame) for frame in found.frames] == [math.floor(place * 10 / rate + 1e-9) for place in range(math.ceil(5 * rate))]
    assert found.sound is None


@pytest.mark.parametrize(("form", "most"), [("mp4", 1), ("mp4", 7), ("mp4 in pieces", 5), ("webm", 2), ("webm, recorded live", 5)])
def test_a_longer_video_is_sampled_more_thinly(film: Callable, clip: Callable, number: Callable, form: str, most: int):
    name, out = FORMS[form]
    found = clip(film(name, 50, out=out), Limits(frames=most))
    assert found.rate == pytest.approx(most / 5, rel=0.02)
    assert len(found.frames) == most
    wanted = [math.floor(place * 50 / most) for place in range(most)]
    assert np.abs(np.array([number(frame) for frame in found.frames]) - wanted).max() <= 1


def test_frames_of_a_changing_rate_are_sampled_by_time(film: Callable, clip: Callable, taken: Callable, number: Callable):
    # frame k is shown from 0.1 k² seconds on, the last for half a second
    path = film("a.mp4", 9, out=(*H264, "-vf", "setpts=0.1*N*N/TB", "-fps_mode", "vfr"))
    found = clip(path)
    assert found.rate == 2
    assert len(found.frames) in (13, 14, 15)
    assert [number(frame) for frame in found.frames] == [
        min(8, math.floor(math.sqrt(5 * place) + 1e-6)) for place in range(len(found.frames))
    ]
    assert number(taken(path)[0].image) == 8


def test_frames_go_with_the_sound_when_the_pictures_begin_later(film: Callable, ffmpeg: Callable, clip: Callable, number: Callable):
    late = ffmpeg("late.mkv", "-itsoffset", 2, "-i", film("a.mp4", 30), "-f", "lavfi", "-t", 5, "-i", "sine=440", "-c:v", "copy")
    found = clip(late, Limits(frames_a_second=1))
    assert [number(frame) for frame in found.frames] == [0, 0, 0, 10, 20]


@pytest.mark.parametrize("form", ["mp4", "webm", "avi"])
def test_a_video_of_one_frame_gives_it(film: Callable, clip: Callable, taken: Callable, number: Callable, form: str):
    name, out = FORMS[form]
    path = film(name, 1, out=out)
    assert [number(frame) for frame in clip(path).frames] == [0]
    assert [number(picture.image) for picture in taken(path)] == [0]


@pytest.mark.parametrize("form", ["mp4", "webm, recorded live"])
def test_a_still_picture_with_a_long_sound_gives_it(film: Callable, clip: Callable, taken: Callable, number: Callable, form: str):
    name, out = FORMS[form]
    path = film(name, 1, sound=22, out=out)
    picture, sound = taken(path)
    assert number(picture.image) == 0
    assert abs(sound.seconds - 22) <= 0.1
    found = clip(path)
    assert {number(frame) for frame in found.frames} == {0}
    assert abs(found.sound.seconds - 22) <= 0.1


@pytest.mark.parametrize(
    ("name", "degrees", "white"),
    [("a.mov", 90, "top"), ("a.mov", 180, "left"), ("a.mov", 270, "bottom"), ("a.mov", 0, "right"), ("a.mp4", 90, "top")],
)
def test_a_video_is_turned_as_its_player_would(ffmpeg: Callable, clip: Callable, taken: Callable, name: str, degrees: int, white: str):
    half = "color=black:s=80x48:r=5:d=1,drawbox=x=40:y=0:w=40:h=48:color=white:t=fill"
    source = ffmpeg("source.mp4", "-f", "lavfi", "-i", half, *H264)
    path = ffmpeg(name, "-display_rotation", degrees, "-i", source, "-c", "copy")
    (picture,) = taken(path)
    for image in (picture.image, *clip(path).frames):
        assert image.size == ((48, 80) if degrees in (90, 270) else (80, 48))
        pixels = np.asarray(image.convert("L"))
        right, bottom = image.width // 2, image.height // 2
        halves = {
            "left": pixels[:, : right - 2],
            "right": pixels[:, right + 2 :],
            "top": pixels[: bottom - 2],
            "bottom": pixels[bottom + 2 :],
        }
        assert [side for side, half in halves.items() if half.min() > 240] == [white]


@pytest.mark.parametrize(("shape", "size"), [("2/1", (128, 48)), ("1/2", (64, 96)), ("4/3", (85, 48)), ("1/1", (64, 48))])
def test_pixels_that_are_not_square_become_so(film: Callable, clip: Callable, taken: Callable, shape: str, size: tuple[int, int]):
    path = film("a.mp4", 5, out=(*H264, "-vf", f"setsar={shape}"))
    (picture,) = taken(path)
    assert picture.image.size == clip(path).frames[0].size == size


@pytest.mark.parametrize("size", [(161, 121), (2, 2), (16, 200)])
def test_odd_sizes_stay(film: Callable, clip: Callable, taken: Callable, number: Callable, size: tuple[int, int]):
    path = film("a.mp4", 6, size=size, out=FULL_H264)
    (picture,) = taken(path)
    assert picture.image.size == clip(path).frames[0].size == size
    assert number(picture.image) == 5


@pytest.mark.parametrize(("size", "shape"), [((640, 480), "1/1"), ((320, 640), "1/1"), ((320, 240), "4/1"), ((321, 123), "1/3")])
def test_frames_are_brought_within_their_pixels(film: Callable, clip: Callable, taken: Callable, size: tuple[int, int], shape: str):
    path = film("a.mp4", 4, size=size, out=(*FULL_H264, "-vf", f"setsar={shape}"))
    across, down = (int(part) for part in shape.split("/"))
    ratio = size[0] * across / (size[1] * down)
    limits = Limits(pixels=20_000, frame_pixels=5000)
    for image, pixels in ((taken(path, limits)[0].image, 20_000), (clip(path, limits).frames[0], 5000)):
        assert pixels * 0.94 <= image.width * image.height <= pixels
        assert image.width / image.height == pytest.approx(ratio, rel=0.04)


def decoded(path: Path) -> list[float]:
    """The mean grey of every frame that ffmpeg decodes, read from front to back."""
    command = [
        FFMPEG_BINARY,
        "-v",
        "quiet",
        "-i",
        path,
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "pipe:1",
    ]
    data = np.frombuffer(subprocess.run(command, capture_output=True, check=False).stdout, np.uint8)
    return data.reshape(-1, 48 * 64).mean(axis=1).tolist()


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("mp4, index first", 0.6),
        ("mp4, index first", 0.31),
        ("mp4 in pieces", 0.6),
        ("webm", 0.6),
        ("webm, recorded live", 0.31),
        ("mkv", 0.6),
        ("avi", 0.6),
        ("ts", 0.6),
        ("flv", 0.31),
    ],
)
def test_a_video_cut_short_gives_the_last_frame_that_decodes(
    film: Callable, clip: Callable, taken: Callable, number: Callable, form: str, part: float
):
    name, out = FORMS[form]
    path = film(name, 50, sound=5, out=(*out, "-g", "10"))
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * part)])
    whole = decoded(path)
    assert 10 < len(whole) < 35
    picture, sound = taken(path)
    pixels = np.asarray(picture.image.convert("L"))
    # what a decoder makes of the torn end is not the same each time
    assert min(abs(pixels.mean() - frame) for frame in whole[-2:]) < 1.5
    assert number(picture.image) > len(whole) - 4
    assert 1 <= sound.seconds <= 4
    found = [number(frame) for frame in clip(path, Limits(frames_a_second=2)).frames]
    assert abs(len(found) - len(whole) / 5) <= 1
    assert np.abs(np.array(found) - 5 * np.arange(len(found))).max() <= 2


def longer(path: Path, seconds: float) -> Path:
    """The Matroska file at `path`, with a header that claims to last so many seconds."""
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3  # the element Duration, eight bytes long, in milliseconds
    path.write_bytes(content[:place] + struct.pack(">d", seconds * 1000) + content[place + 8 :])
    return path


@pytest.mark.parametrize("claimed", [0.5, 60, 100_000])
def test_the_length_that_a_header_claims_is_not_believed(film: Callable, clip: Callable, taken: Callable, number: Callable, claimed: float):
    path = longer(film("a.mkv", 50, sound=5), claimed)
    picture, _ = taken(path)
    assert number(picture.image) == 49
    found = clip(path, Limits(frames=5))
    assert found.rate == pytest.approx(1, rel=0.01)
    assert [number(frame) for frame in found.frames] == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("form", ["mp4", "webm, recorded live", "avi"])
def test_a_video_of_two_hours_is_refused_at_once(film: Callable, refused: Callable, form: str):
    name, out = FORMS[form]
    path = film(name, 13, rate="1/600", out=out)
    start = time.monotonic()
    assert refused(path) == "video_too_long"
    assert time.monotonic() - start < 10


def test_a_short_video_with_a_long_sound_is_refused(film: Callable, refused: Callable):
    assert refused(film("a.mp4", 10, sound=9), Limits(video_seconds=5, sound_seconds=600)) == "video_too_long"


def test_a_too_long_video_says_how_long_it_is(film: Callable):
    path = film("a.mp4", 13, rate="1/600")
    with pytest.raises(UserError, match="lasts 2:10:00 and the limit is 10:00"):
        take(path, path.name, Limits())


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov", "a.avi"])
def test_a_container_without_pictures_is_a_sound(tone: Callable, ffmpeg: Callable, taken: Callable, refused: Callable, name: str):
    path = ffmpeg(name, "-i", tone("source.wav", 1, 44_100))
    (sound,) = taken(path, only="sound")
    assert isinstance(sound, Sound)
    assert refused(path, only="video") == "file_wrong_kind"


@pytest.mark.parametrize("only", ["picture", "sound"])
def test_a_video_in_the_wrong_place_is_refused(film: Callable, refused: Callable, only: str):
    assert refused(film("a.mp4", 5, sound=0.5), only=only) == "file_wrong_kind"


def test_sound_and_last_frame_can_be_had_alone(film: Callable, taken: Callable, refused: Callable, number: Callable):
    path = film("a.mp4", 20, sound=2)
    (sound,) = taken(path, video="sound")
    assert abs(sound.seconds - 2) <= 0.1
    (picture,) = taken(path, video="last frame", only="video")
    assert number(picture.image) == 19
    assert refused(film("silent.mp4", 20), video="sound") == "sound_broken"


def test_a_sound_track_too_short_to_be_heard_is_left_out(film: Callable, clip: Callable, taken: Callable):
    path = film("a.mkv", 20, sound=0.05, out=(*H264, "-c:a", "pcm_s16le"))
    assert [type(medium) for medium in taken(path)] == [Picture]
    assert clip(path).sound is None


def test_a_very_narrow_video_is_refused(film: Callable, refused: Callable):
    path = film("a.mp4", 3, size=(2000, 4), out=FULL_H264)
    assert refused(path) == "picture_too_long"
    assert refused(path, video="frames") == "picture_too_long"


def test_frames_that_would_fill_the_memory_are_refused(film: Callable, refused: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("multimodal.media.ffmpeg.MOST_PIXELS", 64 * 48 - 1)
    assert refused(film("a.mp4", 5, sound=0.5)) == "video_broken"


@pytest.mark.parametrize("limit", ["SECONDS_TO_PROBE", "SECONDS_TO_DECODE"])
def test_a_video_that_takes_too_long_to_read_is_given_up(film: Callable, refused: Callable, monkeypatch: pytest.MonkeyPatch, limit: str):
    path = film("a.mp4", 50)
    monkeypatch.setattr(f"multimodal.media.ffmpeg.{limit}", 0.001)
    assert refused(path) == "decoder_slow"


@pytest.mark.parametrize("video", ["split", "frames", "sound", "last frame"])
def test_reading_ends_when_nobody_waits_any_more(film: Callable, video: str):
    path, stop = film("a.mp4", 50, sound=5), threading.Event()
    threading.Timer(0.05, stop.set).start()

    def read_for_ever() -> None:
        while True:  # wherever in the reading the moment falls
            take(path, "a.mp4", Limits(), video, stop=stop)

    with pytest.raises(Stopped):
        read_for_ever()
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


@pytest.mark.parametrize("name", ["a", "a.jpg", "电影 %03d.mp4", "-y", "concat:a|b"])
def test_the_name_of_a_video_does_not_matter(film: Callable, taken: Callable, number: Callable, name: str):
    path = film("source.mp4", 8)
    (picture,) = taken(path.rename(path.with_name(name)))
    assert number(picture.image) == 7


@pytest.mark.parametrize(("form", "keep"), [("mp4", 0.6), ("webm", 0.004), ("avi", 0.01), ("mp4, index first", 0.01)])
def test_a_video_without_anything_to_see_is_refused(film: Callable, refused: Callable, form: str, keep: float):
    name, out = FORMS[form]
    path = film(name, 50, sound=5, out=out)  # the index of a plain mp4 stands at its end
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * keep)])
    assert refused(path) in ("file_unknown", "video_broken")


@pytest.mark.parametrize("form", ["mp4", "webm", "avi", "ts"])
def test_damage_gives_media_or_a_sentence(film: Callable, harmless: Callable, form: str):
    name, out = FORMS[form]
    path = film(name, 10, sound=1, out=out)
    valid = path.read_bytes()
    chance = random.Random(form)
    for video in ("split", "frames", "split"):
        content = bytearray(valid)
        for _ in range(40):
            content[chance.randrange(12, len(content))] = chance.randrange(256)
        path.write_bytes(content)
        assert harmless(path, video=video)


def test_the_video_file_stays_as_it_is(tmp_path: Path, film: Callable, taken: Callable, clip: Callable):
    path = film("a.mp4", 10, sound=1)
    path.chmod(0o444)
    before, content = path.stat(), path.read_bytes()
    taken(path)
    clip(path)
    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [found.name for found in tmp_path.iterdir()] == ["a.mp4"]


def test_streams_are_measured(film: Callable):
    kind, signature, streams = look_at(film("a.mp4", 20, sound=3), "a", Limits())
    assert (kind, signature.reader, streams.sound, streams.video) == ("video", "mov", True, True)
    assert streams.video_seconds == pytest.approx(2, abs=0.01)
    assert streams.seconds == pytest.approx(3, abs=0.05)


def test_colours_stay(ffmpeg: Callable, taken: Callable):
    (picture,) = taken(ffmpeg("a.mp4", "-f", "lavfi", "-i", "color=red:s=64x48:r=5:d=1", *H264))
    assert np.abs(np.asarray(picture.image).reshape(-1, 3).mean(axis=0) - [254, 0, 0]).max() <= 4
