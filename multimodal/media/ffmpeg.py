"""The ffmpeg that moviepy brings along, run in bounds: as a child process, with a forced reader, on one local file, for a limited time.

moviepy's own readers let ffmpeg guess what a file is, and ffmpeg's guess may be a playlist that opens other files or addresses; and they
can wait for ever on a file with many faults. So its binary is used, and its readers are not.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from moviepy.config import FFMPEG_BINARY

SECONDS_TO_PROBE = 20
SECONDS_TO_DECODE = 180
POLL_SECONDS = 0.1
REPORT_BYTES = 200_000
MOST_PIXELS = 2**26  # of a frame, twice 8K: a few kilobytes can hold frames that fill the memory

# ffmpeg's framecrc: lines on the streams first, then on each packet "stream, decoded at, shown at, lasts, bytes, checksum"
UNIT = re.compile(rb"#tb (\d+): (\d+)/(\d+)")
PICTURES = re.compile(rb"#media_type (\d+): video")
PACKET = re.compile(rb"(\d+), *-?\d+, *(-?\d+), *(\d+), *\d+,")


class DecoderSlow(Exception):
    """ffmpeg was ended because it took too long."""


class Stopped(Exception):
    """ffmpeg was ended because nobody waits for it any more."""


@dataclass(frozen=True)
class Streams:
    """What a container holds. `seconds`: when the last of its packets ends; `video_seconds`: the same of its pictures alone.

    Both are measured, for headers lie: a file that was cut short claims more than it has, and one recorded live claims nothing.
    """

    sound: bool
    video: bool
    seconds: float
    video_seconds: float


def probe(path: Path, demuxer: str, stop: threading.Event | None = None) -> Streams:
    """The streams of a file, from its headers, and their length, from its packets. A cover picture in a sound file is not a video.

    Raises DecoderSlow, and Stopped once `stop` is set.
    """
    command = [*_input(path, demuxer), "-hide_banner"]
    try:
        report = (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_TO_PROBE)
            .stderr[:REPORT_BYTES]
            .decode("utf-8", "replace")
        )
    except subprocess.TimeoutExpired as error:
        raise DecoderSlow from error
    # Values of tags stand after a colon on lines of their own; streams are lines that start so.
    lines = re.findall(r"^  Stream #\d+:\d+.*$", report, re.MULTILINE)
    sound = any(": Audio: " in line and "Audio: none" not in line for line in lines)
    video = any(": Video: " in line and "(attached pic)" not in line for line in lines)
    return Streams(sound, video, *(_measure(path, demuxer, stop) if sound or video else (0.0, 0.0)))


def _measure(path: Path, demuxer: str, stop: threading.Event | None) -> tuple[float, float]:
    """(seconds of everything, seconds of the pictures). The packets are read, not decoded."""
    units: dict[bytes, float] = {}  # of each stream, seconds
    ends: dict[bytes, float] = {}
    pictures = b""
    with decode(path, demuxer, ("-map", "0:V:0?", "-map", "0:a?", "-c", "copy", "-f", "framecrc"), stop=stop) as pipe:
        for line in pipe:
            if packet := PACKET.match(line):
                stream, shown, lasts = packet[1], int(packet[2]), int(packet[3])
                ends[stream] = max(ends.get(stream, 0.0), (shown + lasts) * units[stream])
            elif unit := UNIT.match(line):
                units[unit[1]] = int(unit[2]) / int(unit[3])
            elif found := PICTURES.match(line):
                pictures = found[1]
    return max(ends.values(), default=0.0), ends.get(pictures, 0.0)


def _input(path: Path, demuxer: str, before: tuple[str, ...] = ()) -> list[str]:
    """ffmpeg's command up to the one file it reads."""
    bounds = ("-protocol_whitelist", "file", "-max_pixels", str(MOST_PIXELS))
    return [FFMPEG_BINARY, "-nostdin", *bounds, *before, "-f", demuxer, "-i", f"file:{path.resolve()}"]


@contextmanager
def decode(
    path: Path, demuxer: str, output: tuple[str, ...], before: tuple[str, ...] = (), stop: threading.Event | None = None
) -> Iterator[BinaryIO]:
    """ffmpeg's output as a readable pipe. `before` are options of the input, `output` of the output.

    Raises DecoderSlow, or Stopped once `stop` is set, at the end of the block.
    """
    command = [*_input(path, demuxer, ("-threads", "2", *before)), "-v", "quiet", *output, "pipe:1"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    over, late, deadline = threading.Event(), threading.Event(), time.monotonic() + SECONDS_TO_DECODE

    def watch() -> None:
        while not over.wait(min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                late.set()
            if late.is_set() or (stop is not None and stop.is_set()):
                process.kill()
                return

    watching = threading.Thread(target=watch, name="decode", daemon=True)
    watching.start()
    try:
        yield process.stdout
    finally:
        over.set()
        process.kill()
        process.stdout.close()
        process.wait()
        watching.join()
    if late.is_set():
        raise DecoderSlow
    if stop is not None and stop.is_set():
        raise Stopped
