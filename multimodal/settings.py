"""`.env`, environment and command line into one frozen Settings. Each value is checked; what cannot be used is said in one sentence."""

from __future__ import annotations

import argparse
import difflib
import io
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from low_vram.arrangement import read_map
from low_vram.budget import read_bytes
from multimodal.errors import UserError

# What this machine is called by itself alone.
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Keys in .env that are not the desk's own: they belong to the libraries beneath it and are handed on as they are.
HANDED_ON = ("HF_", "HUGGINGFACE_", "CUDA_", "PYTORCH_", "OMP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# Keys that shells, desktops and editors put into the environment for themselves (BROWSER=firefox, LANGUAGE=en_US:en, and HOST, the
# machine's name or its kind): there, what the desk cannot use is passed over, and of hosts only an address is taken.
NOT_OURS_ALONE = ("BROWSER", "LANGUAGE", "HOST")


@dataclass(frozen=True)
class Key:
    """How a setting is read: from text to its value (ValueError where it cannot be), and what it takes, in words."""

    read: Callable[[str], object]
    wanted: str
    help: str


def _switch(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError
    return values[text.lower()]


def _between(kind: type, low: float, high: float) -> Callable[[str], object]:
    def read(text: str) -> object:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _or_auto(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text.lower() == "auto" else read(text)


def _budget(text: str) -> object:
    return "cpu" if text.lower() == "cpu" else read_bytes(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError
        return text.lower()

    return read


def _host(text: str) -> str:
    if re.fullmatch(r"(?!-)[A-Za-z0-9.-]{1,253}", text) and not re.fullmatch(r"[0-9.]+", text):
        return text
    return str(ipaddress.ip_address(text.strip("[]")))


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise ValueError
    return "cuda:0" if text == "cuda" else text


def _model(text: str) -> str:
    looks_like_folder = text.startswith((".", "~", "/", "\\")) or re.match(r"[A-Za-z]:[\\/]", text)
    if looks_like_folder or Path(text).is_dir():
        folder = Path(text).expanduser()
        if not folder.is_dir():
            raise ValueError
        return str(folder.resolve())
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise ValueError
    return text


def _folder(text: str) -> Path:
    folder = Path(text).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ValueError
    return folder.resolve()


def _setting(default: object, read: Callable[[str], object], wanted: str, help: str):
    return field(default=default, metadata={"key": Key(read, wanted, help)})


@dataclass(frozen=True)
class Settings:
    """Everything a person can set. The names are those of `.env`, in lower case."""

    model_path: str | None = _setting(
        None,
        _model,
        "an existing folder, or a hub name such as Qwen/Qwen2.5-Omni-3B",
        "the model: a folder or a hub name; empty for the demo model",
    )
    device: str = _setting("auto", _device, "auto, cpu, cuda or cuda:N", "where the model computes")
    host: str = _setting("127.0.0.1", _host, "an address or a host name", "the address to listen at; this machine alone by default")
    port: int = _setting(7860, _between(int, 0, 65535), "a number from 0 (any free one) to 65535", "the port to listen at")
    share: bool = _setting(False, _switch, "true or false", "make a public Gradio link")
    browser: bool = _setting(True, _switch, "true or false", "open a browser tab at the start")
    data_dir: Path = _setting(Path.home() / ".omni-desk", _folder, "a folder", "where uploads and the picture library are kept")  # noqa: RUF009 (a field)
    language: str = _setting("auto", _one_of("auto", "en", "zh"), "auto, en or zh", "the screen's language; auto follows the browser")
    system_prompt: str = _setting("", str, "any text", "what the model is told before every conversation")
    max_new_tokens: int = _setting(512, _between(int, 1, 8192), "a number from 1 to 8192", "the longest answer, in tokens")
    temperature: float = _setting(0.0, _between(float, 0, 2), "a number from 0 to 2", "0 for the likeliest words, more for variety")
    context_tokens: int = _setting(
        16384, _between(int, 512, 32768), "a number from 512 to 32768", "how much of a conversation the model sees, in tokens"
    )
    memory_budget: int | str | None = _setting(
        None, _or_auto(_budget), "auto, cpu, or an amount such as 8GiB", "the memory that the model may take of the card, or of the host"
    )
    device_map: dict[str, str] | None = _setting(  # noqa: RUF009 (a field)
        None, read_map, "part=place, ... with the places device, moved and host", "where a part of the model must be"
    )
    precision: str = _setting(
        "auto", _one_of("auto", "full", "int8", "nf4"), "auto, full, int8 or nf4", "how the language layers are kept in memory"
    )
    load_anyway: bool = _setting(False, _switch, "true or false", "load a model that will not fit, as it seems")
    unload_minutes: int = _setting(
        0, _between(int, 0, 10_080), "a number from 0 (never) to 10080", "minutes without a question after which the model leaves memory"
    )
    clip_model: str | None = _setting(
        None,
        _model,
        "an existing folder, or a hub name such as OFA-Sys/chinese-clip-vit-base-patch16",
        "the encoder of the picture library: a folder or a hub name; empty for the demo encoder",
    )
    clip_device: str = _setting("cpu", _device, "auto, cpu, cuda or cuda:N", "where the encoder of the picture library computes")
    cross_model: str | None = _setting(
        None,
        _model,
        "an existing folder, or a hub name such as Salesforce/blip-itm-base-coco",
        "the cross-attention model that orders the best of a search: a folder or a hub name; empty for none",
    )
    share_library: bool = _setting(False, _switch, "true or false", "show the picture library also to those who come from other machines")
    max_pixels: int | None = _setting(
        None, _or_auto(_between(int, 3136, 12_845_056)), "auto, or a number from 3136 to 12845056", "pixels kept of a picture"
    )
    max_frames: int | None = _setting(None, _or_auto(_between(int, 2, 768)), "auto, or a number from 2 to 768", "frames taken of a video")
    max_upload_mb: int = _setting(200, _between(int, 1, 10_000), "a number from 1 to 10000", "the largest file, in megabytes")
    max_media_seconds: int = _setting(600, _between(int, 1, 36_000), "a number from 1 to 36000", "the longest sound or video")

    @property
    def shared(self) -> bool:
        """Whether others than this machine's people may see the screen."""
        return self.share or self.host not in LOCAL_NAMES

    @property
    def address(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host


KEYS: dict[str, Key] = {setting.name.upper(): setting.metadata["key"] for setting in fields(Settings)}


def read_settings(arguments: Sequence[str], environment: Mapping[str, str] | None = None, env_file: Path = Path(".env")) -> Settings:
    """Settings from, in rising order: the defaults, `env_file`, `environment`, the command line.

    Raises UserError for a key or value that cannot be used. An empty value is as good as none; on the command line it brings back the
    default. Keys of the libraries beneath (HF_..., CUDA_...) in `env_file` are put into the process's environment.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, str] = {}
    for name, value in _read_env_file(env_file).items():
        if name in KEYS:
            values[name] = value
        elif name.startswith(HANDED_ON):
            os.environ.setdefault(name, value)
        else:
            close = difflib.get_close_matches(name.upper(), KEYS, 1)
            raise UserError(
                "unknown_key",
                key=name,
                where=env_file.name,
                hint=f"did you mean {close[0]}" if close else f"the keys are {', '.join(KEYS)}",
            )
    values |= {name: environment[name] for name in KEYS if environment.get(name, "").strip() and _is_meant(name, environment[name])}
    values |= {name.upper(): value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    return Settings(**{name.lower(): _read(name, value) for name, value in values.items() if value.strip()})


def _read_env_file(path: Path) -> dict[str, str]:
    """What stands in the file; nothing where there is none. Raises UserError where it cannot be read as a whole."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark before the first key
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeError) else error.strerror
        raise UserError("bad_env_file", where=path.name, reason=reason) from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:  # dotenv itself would pass it over
            line = binding.original.line + binding.original.string.rstrip("\n").count("\n")
            raise UserError("bad_line", line=line, where=path.name)
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO(text)).items()}


def _is_meant(name: str, value: str) -> bool:
    """Whether a value in the environment is for the desk."""
    if name not in NOT_OURS_ALONE:
        return True
    try:
        read = _read(name, value)
        if name == "HOST" and read != "localhost":
            ipaddress.ip_address(read)
    except (UserError, ValueError):
        return False
    return True


def _read(name: str, value: str) -> object:
    try:
        return KEYS[name].read(value.strip())
    except (ValueError, OSError, RuntimeError) as error:  # the latter two: a path that no folder can have, and '~' of nobody
        raise UserError("bad_value", key=name, value=value, wanted=KEYS[name].wanted) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python app.py", description="Omni Desk: a private multimodal assistant in one process.", allow_abbrev=False
    )
    names = {"MODEL_PATH": "--model"}
    for name, key in KEYS.items():
        option = names.get(name, "--" + name.lower().replace("_", "-"))
        if name == "SHARE":
            parser.add_argument(option, dest="share", action="store_const", const="true", help=key.help)
        elif name == "BROWSER":
            parser.add_argument("--no-browser", dest="browser", action="store_const", const="false", help="open no browser tab")
        else:
            parser.add_argument(option, dest=name.lower(), metavar="VALUE", help=f"{key.help} ({key.wanted})".replace("%", "%%"))
    return parser
