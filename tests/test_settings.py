"""`.env`, environment and command line into Settings."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from multimodal.errors import UserError
from multimodal.settings import HANDED_ON, KEYS, Settings, read_settings

ROOT = Path(__file__).parent.parent

LIGHT = tuple(f"low_vram/{name}.py" for name in ("__init__", "arrangement", "budget", "request"))  # what settings are read with
# key: a value, as text and as it is read
GOOD = {
    "MODEL_PATH": ("Qwen/Qwen2.5-Omni-3B", "Qwen/Qwen2.5-Omni-3B"),
    "DEVICE": ("cuda:1", "cuda:1"),
    "HOST": ("0.0.0.0", "0.0.0.0"),
    "PORT": ("8000", 8000),
    "SHARE": ("true", True),
    "BROWSER": ("false", False),
    "DATA_DIR": ("/tmp", Path("/tmp").resolve()),
    "LANGUAGE": ("zh", "zh"),
    "SYSTEM_PROMPT": ("Be brief.", "Be brief."),
    "MAX_NEW_TOKENS": ("64", 64),
    "TEMPERATURE": ("0.5", 0.5),
    "CONTEXT_TOKENS": ("4096", 4096),
    "MEMORY_BUDGET": ("8GiB", 8 * 2**30),
    "DEVICE_MAP": ("thinker.visual=host", {"thinker.model.visual": "host"}),
    "PRECISION": ("nf4", "nf4"),
    "LOAD_ANYWAY": ("true", True),
    "UNLOAD_MINUTES": ("30", 30),
    "CLIP_MODEL": ("OFA-Sys/chinese-clip-vit-base-patch16", "OFA-Sys/chinese-clip-vit-base-patch16"),
    "CLIP_DEVICE": ("cuda:1", "cuda:1"),
    "CROSS_MODEL": ("Salesforce/blip-itm-base-coco", "Salesforce/blip-itm-base-coco"),
    "SHARE_LIBRARY": ("yes", True),
    "MAX_PIXELS": ("200704", 200_704),
    "MAX_FRAMES": ("12", 12),
    "MAX_UPLOAD_MB": ("5", 5),
    "MAX_MEDIA_SECONDS": ("30", 30),
}
BAD = {
    "MODEL_PATH": (
        "Qwen",
        "Qwen/Qwen2.5/Omni",
        "./no-such-folder",
        "~/no-such-folder-here",
        "~nobody-of-this-name/model",
        "/no/such/folder",
        "C:\\models",
        "https://hub.example/model",
        "x/" + "y" * 300 + "/z",
    ),
    "DEVICE": ("gpu", "cuda:", "cuda:x", "cuda:0,1", "CPU", "mps"),
    "HOST": ("999.1.1.1", "1.2.3", "http://x", "localhost:7860", "a b", "-x", "::g", "1.2.3.4/24", "主机", "x" * 300),
    "PORT": ("-1", "65536", "99999", "80.5", "http", "0x50", "7860;", "nan"),
    "SHARE": ("maybe", "2", "yes please"),
    "BROWSER": ("firefox", "-1"),
    "LANGUAGE": ("de", "en_US:en", "english"),
    "MAX_NEW_TOKENS": ("0", "8193", "1e3", "many", "-5"),
    "TEMPERATURE": ("-0.1", "2.1", "nan", "inf", "-inf", "warm", "0,5"),
    "CONTEXT_TOKENS": ("511", "32769", "8k"),
    "MEMORY_BUDGET": ("much", "-8GiB", "0", "8TiB", "gpu"),
    "DEVICE_MAP": ("talker", "talker=there", "tower=host", "=host"),
    "PRECISION": ("4", "fp4", "half"),
    "LOAD_ANYWAY": ("maybe",),
    "UNLOAD_MINUTES": ("-1", "10081", "soon", "1.5"),
    "CLIP_MODEL": ("no such model", "a/b/c", "./no/such/folder"),
    "CLIP_DEVICE": ("gpu", "cuda:x"),
    "CROSS_MODEL": ("blip", "a/b/c", "./no/such/folder"),
    "SHARE_LIBRARY": ("maybe",),
    "MAX_PIXELS": ("3135", "12845057", "1M"),
    "MAX_FRAMES": ("1", "769", "2.5"),
    "MAX_UPLOAD_MB": ("0", "10001", "200MB"),
    "MAX_MEDIA_SECONDS": ("0", "36001", "10:00"),
}


def read(tmp_path: Path, env: str | bytes = "", environment: dict[str, str] | None = None, *arguments: str) -> Settings:
    file = tmp_path / ".env"
    file.write_bytes(env if isinstance(env, bytes) else env.encode())
    return read_settings(arguments, environment or {}, file)


def refusal(tmp_path: Path, *sources: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read(tmp_path, *sources)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return caught.value


def option_of(key: str, value: str) -> list[str]:
    """The setting on the command line."""
    if key in ("SHARE", "BROWSER"):
        return ["--share" if key == "SHARE" else "--no-browser"]
    return [{"MODEL_PATH": "--model"}.get(key, "--" + key.lower().replace("_", "-")), value]


def test_every_key_is_tested() -> None:
    assert set(GOOD) == set(KEYS)
    assert set(KEYS) - set(BAD) == {"DATA_DIR", "SYSTEM_PROMPT"}


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert read_settings([], {}, tmp_path / "none") == Settings()
    assert read(tmp_path) == Settings()
    assert (Settings().model_path, Settings().host, Settings().port, Settings().share) == (None, "127.0.0.1", 7860, False)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_read_from_each_source(tmp_path: Path, key: str) -> None:
    text, value = GOOD[key]
    expected = dataclasses.replace(Settings(), **{key.lower(): value})
    assert read(tmp_path, f"{key}={text}\n") == expected
    assert read(tmp_path, "", {key: text}) == expected
    assert read(tmp_path, "", {}, *option_of(key, text)) == expected
    assert expected != Settings()


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, "PORT=1\nMAX_FRAMES=11", {"PORT": "2"}, "--port", "3") == dataclasses.replace(Settings(), port=3, max_frames=11)
    assert read(tmp_path, "PORT=1", {"PORT": "2"}).port == 2
    assert read(tmp_path, "SHARE=false\nBROWSER=true", {}, "--share", "--no-browser") == dataclasses.replace(
        Settings(), share=True, browser=False
    )


def test_the_environment_is_the_process_own_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PORT", "8123")
    assert read_settings([], env_file=tmp_path / "none").port == 8123


def test_a_bad_value_that_is_overridden_does_not_matter(tmp_path: Path) -> None:
    assert read(tmp_path, "PORT=no", {"PORT": "7"}).port == 7
    assert read(tmp_path, "", {"HOST": "x86_64-conda-linux-gnu"}, "--host", "127.0.0.1").host == "127.0.0.1"


@pytest.mark.parametrize("empty", ["", "   ", "\t"])
@pytest.mark.parametrize("key", KEYS)
def test_an_empty_value_is_as_good_as_none(tmp_path: Path, key: str, empty: str) -> None:
    text, value = GOOD[key]
    assert read(tmp_path, f'{key}="{empty}"\n') == Settings()
    assert read(tmp_path, f"{key}={empty}\n") == Settings()
    assert read(tmp_path, f"{key}\n") == Settings()
    assert getattr(read(tmp_path, f"{key}={text}", {key: empty}), key.lower()) == value


def test_an_empty_value_on_the_command_line_brings_back_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "MODEL_PATH=Qwen/Qwen2.5-Omni-3B", {}, "--model", "").model_path is None


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_a_bad_value_is_said_in_one_sentence(tmp_path: Path, key: str, value: str) -> None:
    error = refusal(tmp_path, f"{key}='{value}'")
    assert error.code == "bad_value"
    assert str(error) == f"The setting {key} cannot be {value!r}: it takes {KEYS[key].wanted}."


@pytest.mark.parametrize("key", [key for key in BAD if key not in ("SHARE", "BROWSER")])
def test_a_bad_value_is_said_wherever_it_stands(tmp_path: Path, key: str) -> None:
    value = BAD[key][0]
    assert refusal(tmp_path, "", {}, *option_of(key, value)).code == "bad_value"
    if key not in ("LANGUAGE", "HOST"):
        assert refusal(tmp_path, "", {key: value}).code == "bad_value"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("LANGUAGE", value) for value in ("en_US:en", "zh_CN")),
        *(("BROWSER", value) for value in ("firefox", "/opt/editor/bin/helpers/browser.sh")),
        *(("HOST", value) for value in ("x86_64-conda-linux-gnu", "arm64-apple-darwin20.0.0", "somebodys-machine", "a b")),
    ],
)
def test_what_others_keep_in_the_environment_under_the_same_name_is_passed_over(tmp_path: Path, key: str, value: str) -> None:
    assert read(tmp_path, "", {key: value}) == Settings()
    assert getattr(read(tmp_path, f"{key}={GOOD[key][0]}", {key: value}), key.lower()) == GOOD[key][1]


@pytest.mark.parametrize("value", ["1", "TRUE", "Yes", "on"])
def test_switches_take_the_usual_words(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, f"SHARE={value}").share is True


@pytest.mark.parametrize("value", ["0", "FALSE", "No", "off"])
def test_switches_take_the_usual_words_for_no(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, f"BROWSER={value}").browser is False


def test_the_ends_of_a_range_belong_to_it(tmp_path: Path) -> None:
    for low, high, key in (
        (0, 65535, "PORT"),
        (1, 8192, "MAX_NEW_TOKENS"),
        (0, 2, "TEMPERATURE"),
        (512, 32768, "CONTEXT_TOKENS"),
        (2, 768, "MAX_FRAMES"),
    ):
        for value in (low, high):
            assert getattr(read(tmp_path, f"{key}={value}"), key.lower()) == value


@pytest.mark.parametrize(
    ("host", "read_as", "address"),
    [
        ("localhost", "localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
        ("::1", "::1", "[::1]"),
        ("[::1]", "::1", "[::1]"),
        ("::", "::", "[::]"),
        ("desk.home.arpa", "desk.home.arpa", "desk.home.arpa"),
        (" desk-1 ", "desk-1", "desk-1"),
    ],
)
def test_a_host_is_a_name_or_an_address(tmp_path: Path, host: str, read_as: str, address: str) -> None:
    settings = read(tmp_path, f"HOST={host}")
    assert (settings.host, settings.address) == (read_as, address)


@pytest.mark.parametrize(("device", "read_as"), [("auto", "auto"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:12", "cuda:12")])
def test_a_device_is_named_in_full(tmp_path: Path, device: str, read_as: str) -> None:
    assert read(tmp_path, f"DEVICE={device}").device == read_as


# the model and the data


def test_a_model_may_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models" / "通义 omni"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for text in (str(folder), "models/通义 omni", "./models/通义 omni", "~/models/通义 omni", f"{folder}/", "models/../models/通义 omni"):
        assert read(tmp_path, f"MODEL_PATH={text}").model_path == str(folder.resolve()), text
    assert read(tmp_path, "MODEL_PATH=models").model_path == str(folder.parent.resolve())


def test_a_folder_goes_before_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, "MODEL_PATH=Qwen/Omni").model_path == "Qwen/Omni"
    (tmp_path / "Qwen" / "Omni").mkdir(parents=True)
    assert read(tmp_path, "MODEL_PATH=Qwen/Omni").model_path == str((tmp_path / "Qwen" / "Omni").resolve())


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert refusal(tmp_path, f"MODEL_PATH={tmp_path / 'model.safetensors'}").code == "bad_value"


def test_the_data_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for text in ("new/data", "~/new/data", str(tmp_path / "new" / "data")):
        assert read(tmp_path, f"DATA_DIR={text}").data_dir == (tmp_path / "new" / "data").resolve()
    assert not (tmp_path / "new").exists()  # reading makes nothing


def test_the_data_cannot_lie_in_a_file_or_at_nobodys(tmp_path: Path) -> None:
    for text in (str(tmp_path / ".env"), "~nobody-of-this-name/data", "x" * 5000):
        assert refusal(tmp_path, f"DATA_DIR={text}").code == "bad_value"


# the file


@pytest.mark.parametrize(
    ("env", "prompt"),
    [
        ("SYSTEM_PROMPT=Be brief.", "Be brief."),
        ("\ufeffSYSTEM_PROMPT=Be brief.\nPORT=7860\n", "Be brief."),
        ("\ufeff# a comment\r\n\r\nSYSTEM_PROMPT=Be brief.\r\nPORT=7860\r\n", "Be brief."),
        ("SYSTEM_PROMPT=Be brief.\rPORT=7860\r", "Be brief."),
        ("SYSTEM_PROMPT = Be brief.  # shorter", "Be brief."),
        ('SYSTEM_PROMPT="Be brief. # or not"', "Be brief. # or not"),
        ("SYSTEM_PROMPT='It costs $5 \\n'", "It costs $5 \\n"),
        ('SYSTEM_PROMPT="One line\\nand another"', "One line\nand another"),
        ('SYSTEM_PROMPT="One line\nand another"', "One line\nand another"),
        ("export SYSTEM_PROMPT=Be brief.", "Be brief."),
        ("SYSTEM_PROMPT=你是一个有用的助手。", "你是一个有用的助手。"),
        ('SYSTEM_PROMPT="说“你好” = 好 🙂"', "说“你好” = 好 🙂"),
        ("SYSTEM_PROMPT=first\nSYSTEM_PROMPT=last", "last"),
        ("   SYSTEM_PROMPT=Be brief.   \n\n\n", "Be brief."),
        ("# SYSTEM_PROMPT=Be long.", ""),
    ],
)
def test_the_file_is_read_as_people_write_it(tmp_path: Path, env: str, prompt: str) -> None:
    settings = read(tmp_path, env)
    assert settings == dataclasses.replace(Settings(), system_prompt=prompt)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ("PORT 8000", 1),
        ("PORT: 8000", 1),
        ('\n\n# x\n\nSYSTEM_PROMPT="open\nPORT=1', 5),
        ("PORT=1\r\n=5\r\n", 2),
        ("PORT='1' 2", 1),
        ("SHARE=1\njust some words", 2),
    ],
)
def test_a_line_that_cannot_be_read_is_said_by_number(tmp_path: Path, env: str, line: int) -> None:
    error = refusal(tmp_path, env)
    assert error.code == "bad_line"
    assert str(error).startswith(f"Line {line} of .env cannot be read: ")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("MODEL", "MODEL_PATH"),
        ("MODEL_PTH", "MODEL_PATH"),
        ("port", "PORT"),
        ("MAX_TOKENS", "MAX_NEW_TOKENS"),
        ("MAX_NEW_TOKEN", "MAX_NEW_TOKENS"),
        ("LANG", "LANGUAGE"),
        ("max-frames", "MAX_FRAMES"),
    ],
)
def test_an_unknown_key_is_said_with_the_one_that_was_meant(tmp_path: Path, key: str, meant: str) -> None:
    error = refusal(tmp_path, f"{key}=1")
    assert error.code == "unknown_key"
    assert str(error) == f"The setting {key} in .env is not known: did you mean {meant}."


def test_a_key_like_no_other_is_said_with_all_of_them(tmp_path: Path) -> None:
    error = refusal(tmp_path, "颜色=1")
    assert error.code == "unknown_key"
    assert all(key in str(error) for key in KEYS)


def test_an_unknown_key_in_the_environment_is_nobodys_business(tmp_path: Path) -> None:
    assert read(tmp_path, "", {"MODEL": "x", "MAX_TOKENS": "y", "PATH": "z", "port": "1"}) == Settings()


@pytest.mark.parametrize("prefix", HANDED_ON)
def test_keys_of_the_libraries_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    key = f"{prefix}TEST_OF_SETTINGS"
    monkeypatch.setenv(key, "before")  # so that it is taken away at the end
    monkeypatch.delenv(key)
    assert read(tmp_path, f"{key}=值 1") == Settings()
    assert os.environ[key] == "值 1"
    assert read(tmp_path, f"{key}=2") == Settings()
    assert os.environ[key] == "值 1"  # what is set already stays


def test_nothing_else_of_the_file_reaches_the_environment(tmp_path: Path) -> None:
    before = dict(os.environ)
    read(tmp_path, "PORT=1\nMODEL_PATH=Qwen/Omni")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "content",
    ["SYSTEM_PROMPT=你好".encode("gb18030"), "SYSTEM_PROMPT=你好".encode("utf-16"), b"SYSTEM_PROMPT=caf\xe9"],
    ids=["gb18030", "utf-16", "latin-1"],
)
def test_a_file_that_is_not_utf8_is_said(tmp_path: Path, content: bytes) -> None:
    error = refusal(tmp_path, content)
    assert error.code == "bad_env_file"
    assert ".env cannot be read (it is not UTF-8)" in str(error)


def test_a_folder_in_place_of_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder" / ".env").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        read_settings([], {}, tmp_path / "folder" / ".env")
    assert caught.value.code == "bad_env_file"


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1


# what a person reads


def test_every_key_is_explained_in_the_example() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = re.findall(r"^# ([A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert [key for key, _ in shown] == list(KEYS)
    assert shown[0][0] == "MODEL_PATH"
    assert re.findall(r"^[^#\n]", text, re.MULTILINE) == []
    for paragraph in text.strip().split("\n\n")[1:]:
        *explained, setting = paragraph.split("\n")
        assert 1 <= len(explained) <= 2
        assert re.match(r"# [A-Z_]+=", setting)
        assert all(re.match(r"# [A-Z0-9]|# true|# auto", line) and line.endswith(".") for line in explained)


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    settings = read(tmp_path, re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE))
    assert settings == dataclasses.replace(Settings(), data_dir=Settings().data_dir.resolve())


@pytest.fixture
def run_app(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess, float]]:
    """run_app(*arguments): (how `python app.py` ended, seconds). Only what settings need is there, so nothing else can be what is slow."""
    home = tmp_path / "desk"
    (home / "multimodal").mkdir(parents=True)
    (home / "low_vram").mkdir()
    for file in (
        "app.py",
        "multimodal/__init__.py",
        "multimodal/data_dir.py",
        "multimodal/errors.py",
        "multimodal/sentences.py",
        "multimodal/settings.py",
        *LIGHT,
    ):
        shutil.copy(ROOT / file, home / file)
    environment = {name: value for name, value in os.environ.items() if name not in KEYS and name != "PYTHONPATH"}

    def run(*arguments: str) -> tuple[subprocess.CompletedProcess, float]:
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, str(home / "app.py"), *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        return ended, time.monotonic() - began

    return run


@pytest.mark.parametrize(
    ("env", "arguments", "sentence"),
    [
        ("", ["--port", "99999"], "The setting PORT cannot be '99999': it takes a number from 0 (any free one) to 65535."),
        (
            "",
            ["--data-dir", "desk/app.py/data"],
            "The setting DATA_DIR cannot be '{folder}/desk/app.py/data': it takes a folder that can be written to.",
        ),
        ("MODEL=1", [], "The setting MODEL in .env is not known: did you mean MODEL_PATH."),
    ],
)
def test_the_program_says_what_is_wrong_and_ends(
    run_app: Callable[..., tuple[subprocess.CompletedProcess, float]], tmp_path: Path, env: str, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "desk" / ".env").write_text(env)
    ended, seconds = run_app(*arguments)
    assert ended.returncode == 2
    assert ended.stderr == sentence.format(folder=tmp_path.resolve()) + "\n"
    assert ended.stdout == ""
    assert seconds < 3


def test_the_help_names_every_setting(run_app: Callable[..., tuple[subprocess.CompletedProcess, float]]) -> None:
    ended, _ = run_app("--help")
    assert ended.returncode == 0
    for key in KEYS:
        assert option_of(key, "")[0] in ended.stdout
