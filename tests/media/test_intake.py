"""The door: what is taken, what is refused, and that no file opens another file or address."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from moviepy.config import FFMPEG_BINARY
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Clip, Limits, Picture, Sound, look_at, take

# Text that names a sound or video elsewhere: {there} is its address or path, {name} its path from the folder of the text.
PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{there}\n#EXT-X-ENDLIST\n",
    "m3u8 with a key": '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128,URI="{there}"\n#EXTINF:1.0,\n{there}\n#EXT-X-ENDLIST\n',
    "m3u8 of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{there}\n",
    "m3u": "#EXTM3U\n#EXTINF:1,Title\n{there}\n",
    "m3u8 behind a mark": "\ufeff#EXTM3U\n#EXTINF:1.0,\n{there}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{there}'\n",
    "mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet><Representation id="1" bandwidth="1" mimeType="video/mp4">'
    "<BaseURL>{there}</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
    "pls": "[playlist]\nNumberOfEntries=1\nFile1={there}\n",
    "asx": '<asx version="3.0"><entry><ref href="{there}"/></entry></asx>\n',
    "asf reference": "[Reference]\nRef1={there}\n",
    "smil": '<smil><body><video src="{there}"/></body></smil>\n',
    "wpl": '<?wpl version="1.0"?>\n<smil><body><seq><media src="{there}"/></seq></body></smil>\n',
    "an address": "{there}\n",
}
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:{there}\n"
ID3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
LAST = ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{there}\n#EXT-X-ENDLIST\n" + "\n" * 600).encode()  # as long as a probe looks

# The starts of forms that ffmpeg reads, with a playlist behind each: name, and the bytes with the playlist's place
DISGUISES = {
    "ID3": ID3 + b"%s",
    "ID3 as long as the head": b"ID3\4\0\0\0\0\x20\0" + bytes(4096) + b"%s",
    "mp3": b"\xff\xfb\x90\x64%s",
    "aac": b"\xff\xf1\x50\x80%s",
    "flac": b"fLaC%s",
    "wav": b"RIFF\xff\xff\0\0WAVE%s",
    "avi": b"RIFF\xff\xff\0\0AVI %s",
    "mp4": b"\0\0\0\x10ftypisom\0\0\0\0%s",
    "mp4, an unknown brand": b"\0\0\0\x10ftyp#EXT\0\0\0\0%s",
    "mov": b"\0\0\0\x08wide%s",
    "webm": b"\x1a\x45\xdf\xa3%s",
    "ogg": b"OggS%s",
    "flv": b"FLV\1\5\0\0\0\x09%s",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"%s",
    "mpg": b"\0\0\1\xba%s",
    "ts": b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"%s",
    "aiff": b"FORM\0\0\xff\xffAIFF%s",
    "caf": b"caff\0\1\0\0%s",
    "au": b".snd%s",
    "amr": b"#!AMR\n%s",
}


def places(secret, folder: Path) -> list[str]:
    """How a playlist in `folder` can name the secret."""
    return [
        f"{secret.address}/secret.ts",
        str(secret.video),
        f"file://{secret.video}",
        os.path.relpath(secret.video, folder),
        os.path.relpath(secret.sound, folder),
    ]


def refuse(path: Path, names: tuple[str, ...]) -> set[str]:
    """The codes with which the file is refused under these names."""
    codes = set()
    for name in names:
        path = path.rename(path.with_name(name))
        with pytest.raises(UserError) as caught:
            take(path, name, Limits())
        codes.add(caught.value.code)
    return codes


def followed(path: Path, *options: str) -> np.ndarray:
    """The samples that ffmpeg brings where it may guess what the file is, and open what that names."""
    command = [
        FFMPEG_BINARY,
        "-v",
        "quiet",
        "-nostdin",
        "-protocol_whitelist",
        "file,http,tcp",
        *options,
        "-i",
        path,
        "-ar",
        "16000",
        "-ac",
        "1",
    ]
    return np.frombuffer(subprocess.run([*command, "-f", "f32le", "pipe:1"], capture_output=True, check=False, timeout=20).stdout, "<f4")


def withheld(path: Path, pitch: Callable[[np.ndarray], float]) -> bool:
    """True if the file is refused, or brings no sound with the secret's tone."""
    try:
        media = take(path, path.name, Limits())
    except UserError:
        return True
    return all(abs(pitch(medium.samples) - 1000) > 50 for medium in media if isinstance(medium, Sound))


def test_the_trap_springs_where_ffmpeg_may_guess(tmp_path: Path, pitch: Callable, secret):
    # the tests below are worth something only while this is so
    for there in (f"{secret.address}/secret.ts", os.path.relpath(secret.video, tmp_path)):
        (tmp_path / "a.m3u8").write_text(PLAYLISTS["m3u8"].format(there=there))
        assert pitch(followed(tmp_path / "a.m3u8")) == pytest.approx(1000, abs=20)
    assert secret.asked


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_is_refused_and_not_followed(tmp_path: Path, secret, kind: str):
    for there in places(secret, tmp_path):
        if kind == "an address" and "://" not in there:
            continue
        (tmp_path / "a").write_text(PLAYLISTS[kind].format(there=there))
        codes = refuse(tmp_path / "a", ("a.m3u8", "a.mp4", "a.mp3", "a.mpd", "a.png", "a"))
        assert codes <= {"file_playlist", "file_unknown"}  # what starts with file:// is no kind of file
    assert codes == {"file_playlist"} or kind == "an address"
    assert secret.asked == []


def test_a_list_of_paths_and_a_session_description_are_unknown(tmp_path: Path, secret):
    for there in places(secret, tmp_path)[1:]:
        (tmp_path / "a").write_text(f"{there}\n")
        assert refuse(tmp_path / "a", ("a.m3u", "a.txt", "a")) == {"file_unknown"}
        (tmp_path / "a").write_text(SDP.format(there=there))
        assert refuse(tmp_path / "a", ("a.sdp", "a")) == {"file_unknown"}
    assert secret.asked == []


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_playlist_in_disguise_is_not_followed(tmp_path: Path, pitch: Callable, secret, disguise: str):
    for there, name in ((f"{secret.address}/secret.ts", "a.m3u8"), (os.path.relpath(secret.video, tmp_path), "a.mp4")):
        (tmp_path / name).write_bytes(DISGUISES[disguise].replace(b"%s", LAST.replace(b"{there}", there.encode())))
        if disguise == "amr":  # there any bytes are a sound
            assert withheld(tmp_path / name, pitch)
        else:
            assert refuse(tmp_path / name, (name,)) <= {"sound_broken", "video_broken", "file_unknown"}
    assert secret.asked == []


@pytest.mark.parametrize("start", [b"\0\0\0\x10ftypdash\0\0\0\0", b"\0\0\0\x10ftypisom\0\0\0\0", ID3])
@pytest.mark.parametrize("kind", ["mpd", "ffconcat", "m3u8 with a key"])
def test_other_lists_in_disguise_are_not_followed(tmp_path: Path, secret, start: bytes, kind: str):
    text = PLAYLISTS[kind].format(there=f"{secret.address}/secret.ts")
    (tmp_path / "a.mp4").write_bytes(start + text.encode())
    assert refuse(tmp_path / "a.mp4", ("a.mp4", "a.mp3")) <= {"sound_broken", "video_broken", "file_unknown"}
    assert secret.asked == []


@pytest.mark.parametrize("start", [b"OggS", b"caff\0\1\0\0"])
def test_a_file_is_read_only_as_what_it_starts_as(tmp_path: Path, tone: Callable, ffmpeg: Callable, refused: Callable, start: bytes):
    sound = ffmpeg("a.mp3", "-i", tone("source.wav", 2), "-id3v2_version", "0").read_bytes()
    (tmp_path / "a").write_bytes(start + sound)
    assert len(followed(tmp_path / "a")) > 16_000  # ffmpeg guesses MP3
    assert refused(tmp_path / "a") in ("file_unknown", "sound_broken")


def alias(target: Path, levels: int) -> bytes:
    """A QuickTime data reference to another file, as an alias: from the folder `levels` above, by the last `levels` names of its path."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">HH", kind, len(content)) + content + bytes(len(content) % 2)

    def text(content: str, size: int) -> bytes:
        return bytes([len(content)]) + content.encode().ljust(size, b"\0")

    fixed = bytes(10) + text("", 27) + bytes(12) + text(target.name, 63) + bytes(16) + struct.pack(">HH", levels, levels) + bytes(16)
    whole = str(target).replace("/", ":")
    record = fixed + item(0, target.parent.name.encode()) + item(2, whole.encode()) + struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I", 12 + len(record)) + b"alis" + bytes(4) + record


def referring(path: Path, entry: bytes) -> Path:
    """The QuickTime file at `path`, of one track and with its index at the end, whose samples are in the file that `entry` names."""
    content = bytearray(path.read_bytes())
    place = content.index(b"dref") + 12  # behind the name, the version and the count
    old = struct.unpack(">I", content[place : place + 4])[0]
    content[place : place + old] = entry
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        size = content.rindex(box) - 4
        struct.pack_into(">I", content, size, struct.unpack(">I", content[size : size + 4])[0] + len(entry) - old)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("levels", [1, 2])
def test_a_mov_whose_samples_are_elsewhere_does_not_bring_them(tmp_path: Path, ffmpeg: Callable, pitch: Callable, secret, levels: int):
    silence = ("-f", "lavfi", "-t", 1, "-i", "anullsrc=r=16000:cl=mono", "-c:a", "pcm_s16le")
    target = secret.sound
    if levels == 1:
        target = tmp_path / "secret.wav"
        target.write_bytes(secret.sound.read_bytes())
    path = referring(ffmpeg("a.mov", *silence), alias(target, levels))
    assert pitch(followed(path, "-enable_drefs", "1", "-use_absolute_path", "1")) == pytest.approx(
        1000, abs=20
    )  # the reference is a good one
    assert withheld(path, pitch)


def test_a_mov_that_refers_to_an_address_does_not_ask_it(ffmpeg: Callable, pitch: Callable, secret):
    silence = ("-f", "lavfi", "-t", 1, "-i", "anullsrc=r=16000:cl=mono", "-c:a", "pcm_s16le")
    record = f"{secret.address}/secret.wav".encode() + b"\0"
    path = referring(ffmpeg("a.mov", *silence), struct.pack(">I", 12 + len(record)) + b"url " + bytes(4) + record)
    assert withheld(path, pitch)
    assert secret.asked == []


def test_a_picture_that_refers_to_an_address_is_refused(tmp_path: Path, refused: Callable, secret):
    (tmp_path / "a.png").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"><image x:href="{secret.address}/secret.ts"/></svg>'
    )
    assert refused(tmp_path / "a.png") == "file_svg"
    assert secret.asked == []


def test_a_folder_is_refused(tmp_path: Path, refused: Callable):
    (tmp_path / "folder.mp4").mkdir()
    assert refused(tmp_path / "folder.mp4") == "file_unknown"


def test_a_missing_file_is_refused(tmp_path: Path, refused: Callable):
    assert refused(tmp_path / "gone.mp4") == "file_missing"


def test_links_in_a_circle_are_refused(tmp_path: Path, refused: Callable):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    assert refused(tmp_path / "a.mp4") == "file_missing"


def test_a_link_to_nothing_is_refused(tmp_path: Path, refused: Callable):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    assert refused(tmp_path / "a.mp4") == "file_missing"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_on(tmp_path: Path, refused: Callable):
    os.mkfifo(tmp_path / "a.wav")
    assert refused(tmp_path / "a.wav") == "file_unknown"


def test_a_path_that_can_be_no_path_is_refused(tmp_path: Path, refused: Callable):
    assert refused(tmp_path / "a\0b.png") == "file_missing"
    assert refused(tmp_path / ("a" * 5000)) == "file_missing"


def test_a_link_to_a_file_is_followed(tmp_path: Path, tone: Callable, taken: Callable):
    (tmp_path / "link").symlink_to(tone("a.wav"))
    assert len(taken(tmp_path / "link")[0].samples) == 16_000


def test_a_path_from_here_is_taken(tmp_path: Path, tone: Callable, monkeypatch: pytest.MonkeyPatch):
    tone("-a.wav")
    monkeypatch.chdir(tmp_path)
    assert len(take(Path("-a.wav"), "a", Limits())[0].samples) == 16_000


def test_a_file_above_the_limit_is_refused(tone: Callable, taken: Callable, refused: Callable):
    path = tone("a.wav")
    size = path.stat().st_size
    assert taken(path, Limits(file_bytes=size))
    assert refused(path, Limits(file_bytes=size - 1)) == "file_too_large"


@pytest.mark.parametrize("length", range(1, 13))
def test_the_first_bytes_alone_are_refused(tmp_path: Path, refused: Callable, length: int):
    (tmp_path / "a").write_bytes(b"RIFF\0\0\0\0WAVE"[:length])
    assert refused(tmp_path / "a") in ("file_unknown", "sound_broken")


@pytest.mark.parametrize(("only", "kept"), [("picture", Picture), ("sound", Sound), ("video", Clip)])
def test_only_one_kind_is_taken_where_one_is_wanted(
    tmp_path: Path, tone: Callable, film: Callable, taken: Callable, refused: Callable, only: str, kept: type
):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", tone("a.wav"), film("a.mp4", 5)):
        kind, _, _ = look_at(path, path.name, Limits())
        if kind == only:
            assert [type(medium) for medium in taken(path, only=only, video="frames")] == [kept]
        else:
            assert refused(path, only=only) == "file_wrong_kind"


@pytest.mark.parametrize(("language", "words"), [("en", ("is a video", "not a picture")), ("zh", ("是视频", "不是图片"))])
def test_the_wrong_kind_is_named_in_words(film: Callable, language: str, words: tuple[str, str]):
    with pytest.raises(UserError) as caught:
        take(film("a.mp4", 5), "a.mp4", Limits(), only="picture")
    assert all(word in caught.value.say(language) for word in words)


# The starts of every form that is known
STARTS = [
    *(start.replace(b"%s", b"") for start in DISGUISES.values()),
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe1\0\x40Exif\0\0",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10\x08\2\0\0\0",
    b"GIF87a",
    b"GIF89a\x10\0\x10\0\x80",
    b"RIFF\xff\xff\0\0WEBP",
    b"RIFF\xff\xff\0\0WEBPVP8 ",
    b"RIFF\xff\xff\0\0WEBPVP8X",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0\1\0\1\0",
    b"II*\0",
    b"MM\0*\0\0\0\x08\0\x04",
    b"II+\0\x08\0\0\0",
    b"MM\0+\0\x08\0\0",
    b"BM" + bytes(12) + b"\x28\0\0\0\x10\0\0\0\x10\0\0\0\1\0",
    b"BM" + bytes(12) + b"\x0c\0\0\0",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"\0\0\1\0\2\0",
    b"8BPS\0\1",
    b"qoif\0\0\0\x10\0\0\0\x10\3\0",
    b"P1\n8 8\n",
    b"P3\n8 8\n255\n",
    b"P5 ",
    b"P6\n8 8\n65535\n",
    b"Pf\n8 8\n-1.0\n",
    b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
    b"\0\0\0\x18ftypheic\0\0\0\0",
    b"\0\0\1\0moov\0\0\0\x6cmvhd",
    b"ID3\xff\xff\xff\xff\xff\xff\xff",
    b"<svg",
    b"",
]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start[:12].hex() or "nothing")
def test_noise_behind_a_known_start_gives_media_or_a_sentence(tmp_path: Path, harmless: Callable, start: bytes):
    chance = random.Random(start)
    for length in (3, 5000):
        (tmp_path / "noise").write_bytes(start + chance.randbytes(length))
        assert harmless(tmp_path / "noise")
    assert harmless(tmp_path / "noise", video="frames")
