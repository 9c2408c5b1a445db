"""Real files for the tests, made with Pillow, soundfile and the ffmpeg that moviepy brings, and the door they go through."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from moviepy.config import FFMPEG_BINARY
from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits, Medium, take

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "8", "-pix_fmt", "yuv420p")
DARKEST, STEP = 20, 4  # grey levels of a film's frames: the first, and from one to the next


@pytest.fixture
def ffmpeg(tmp_path: Path) -> Callable[..., Path]:
    """ffmpeg(name, *options, data=b''): the file `name`, written with these options; `data` is what 'pipe:0' reads."""

    def run(name: str, *options: object, data: bytes = b"") -> Path:
        path = tmp_path / name
        command = [FFMPEG_BINARY, "-v", "error", "-y", *(str(option) for option in options), f"file:{path}"]
        subprocess.run(command, input=data, check=True, timeout=60)
        return path

    return run


@pytest.fixture(scope="session")
def films() -> dict[tuple[object, ...], bytes]:
    """The films that were made before, by what was asked for: coding takes most of the time."""
    return {}


@pytest.fixture
def film(tmp_path: Path, ffmpeg: Callable[..., Path], films: dict[tuple[object, ...], bytes]) -> Callable[..., Path]:
    """film(name, frames, rate=10, size=(64, 48), sound=0, out=H264): a video whose frame k has, with noise, the grey DARKEST + STEP * k.

    `sound`: seconds of a tone of 440 Hz.
    """

    def make(
        name: str, frames: int, rate: float | str = 10, size: tuple[int, int] = (64, 48), sound: float = 0, out: tuple[object, ...] = H264
    ) -> Path:
        asked = (Path(name).suffix, frames, rate, size, sound, out)
        if asked in films:
            (tmp_path / name).write_bytes(films[asked])
            return tmp_path / name
        noise = np.random.default_rng(0).integers(-15, 16, (frames, size[1], size[0]))
        noise -= np.rint(noise.mean(axis=(1, 2), keepdims=True)).astype(int)
        greys = DARKEST + STEP * np.arange(frames)[:, None, None] + noise
        data = greys.astype(np.uint8).tobytes()
        video = ("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{size[0]}x{size[1]}", "-r", rate, "-i", "pipe:0")
        heard = ("-f", "lavfi", "-t", sound, "-i", "sine=440:r=44100") if sound else ()
        path = ffmpeg(name, *video, *heard, *out, data=data)
        films[asked] = path.read_bytes()
        return path

    return make


@pytest.fixture
def number() -> Callable[[Image.Image], int]:
    """number(frame): which frame of a film it is."""
    return lambda frame: round((np.asarray(frame.convert("L")).mean() - DARKEST) / STEP)


@pytest.fixture
def tone(tmp_path: Path) -> Callable[..., Path]:
    """tone(name, seconds=1, rate=16000, hertz=440, channels=1, **options of soundfile): a sound file with a sine."""

    def make(name: str, seconds: float = 1, rate: int = 16_000, hertz: float = 440, channels: int = 1, **options: str) -> Path:
        times = np.arange(round(seconds * rate)) / rate
        samples = 0.5 * np.sin(2 * np.pi * hertz * times)
        soundfile.write(tmp_path / name, np.stack([samples] * channels, axis=1), rate, **options)
        return tmp_path / name

    return make


@pytest.fixture
def pitch() -> Callable[[np.ndarray], float]:
    """pitch(samples): the strongest frequency in Hz of samples at 16 kHz."""

    def find(samples: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        return float(power.argmax() * 16_000 / len(samples))

    return find


@pytest.fixture
def taken() -> Callable[..., list[Medium]]:
    """taken(path, limits=Limits(), **options of take): the media."""

    def run(path: Path, limits: Limits | None = None, **options: str) -> list[Medium]:
        return take(path, path.name, limits or Limits(), **options)

    return run


@pytest.fixture
def refused() -> Callable[..., str]:
    """refused(path, limits=Limits(), **options of take): the code with which it is refused. Its sentences are looked at, too."""

    def run(path: Path, limits: Limits | None = None, **options: str) -> str:
        with pytest.raises(UserError) as caught:
            take(path, path.name, limits or Limits(), **options)
        for language in ("en", "zh"):
            assert path.name in caught.value.say(language)
            assert len(caught.value.say(language)) > len(path.name) + 5
        assert 400 <= caught.value.status < 500
        return caught.value.code

    return run


@pytest.fixture
def harmless() -> Callable[..., bool]:
    """harmless(path, **options of take): True if the file gives media, or a UserError that names it. Anything else is raised."""

    def run(path: Path, **options: str) -> bool:
        try:
            return bool(take(path, path.name, Limits(), **options))
        except UserError as error:
            return all(path.name in error.say(language) for language in ("en", "zh"))

    return run


@dataclass
class Secret:
    """What must not be read: a sound and a video with a tone of 1000 Hz. `asked`: what the server at `address` was asked for."""

    sound: Path
    video: Path
    address: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def served_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secret]:
    """A Secret on the disk, and on a server of this machine that counts."""
    folder = tmp_path_factory.mktemp("secret")
    sound, video = folder / "secret.wav", folder / "secret.ts"
    soundfile.write(sound, 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000), 16_000)
    sources = ("-f", "lavfi", "-t", "1", "-i", "color=red:s=64x48:r=10", "-f", "lavfi", "-t", "1", "-i", "sine=1000")
    subprocess.run([FFMPEG_BINARY, "-v", "error", *sources, *H264, "-c:a", "aac", video], check=True, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            content = (folder / Path(self.path).name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Secret(sound, video, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield found
        server.shutdown()


@pytest.fixture
def secret(served_secret: Secret) -> Secret:
    """The Secret, and nobody has asked for it yet."""
    served_secret.asked.clear()
    return served_secret
