"""POST /multimodal, at a running desk."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from multimodal.api import routes
from multimodal.chat.conversation import Conversation, Speech
from multimodal.chat.events import Done, Event, Notice, Text
from multimodal.chat.options import Options
from multimodal.desk import DEMO_NAME, Desk
from multimodal.errors import SENTENCES
from multimodal.settings import Settings
from tests.conftest import EXAMPLES, ROOT, RunningDesk
from tests.wire import CHINESE, bomb_png, client_of, error_of, lying_in, parts_of, png, raw_form

SHAPES = ("images", "shapes.png", (EXAMPLES / "shapes.png").read_bytes())
PAIR = ("images", "pair.png", (EXAMPLES / "pair.png").read_bytes())
WORD = ("audios", "word.wav", (EXAMPLES / "word.wav").read_bytes())
MOVING = ("videos", "moving.mp4", (EXAMPLES / "moving.mp4").read_bytes())

WAYS = {
    "frames and sound": {},
    "sound": {"extract_video_audio": "true"},
    "last frame": {"extract_video_frame": "true"},
    "sound and last frame": {"extract_video_audio": "true", "extract_video_frame": "true"},
}
QUESTIONS = {
    "text": ((), {"text": "What can you do?"}),
    "Chinese": ((), {"text": "你能做什么？"}),
    "picture": ((SHAPES,), {"text": "Describe the picture."}),
    "picture alone": ((SHAPES,), {}),
    "pictures": ((SHAPES, PAIR, SHAPES), {"text": "Describe the pictures."}),
    "sound": ((WORD,), {"text": "What is said?"}),
    "everything": ((MOVING, WORD, SHAPES), {"text": "What is this?"}),
    **{f"video: {way}": ((MOVING,), {"text": "Which way does it move?", **fields}) for way, fields in WAYS.items()},
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_has_its_whole_shape(ask: Callable[..., dict], question: str) -> None:
    parts, fields = QUESTIONS[question]
    answer = ask(*parts, **fields)
    assert answer.keys() == {"text", "usage", "timings", "model"}
    assert answer["text"].strip()
    assert answer["model"] == {"name": DEMO_NAME, "demo": True}
    assert answer["usage"].keys() == {"prompt_tokens", "completion_tokens"}
    assert all(type(count) is int and count > 0 for count in answer["usage"].values())
    assert answer["timings"].keys() == {"wait", "encode", "first_token", "total"}
    assert all(0 <= seconds < 60 for seconds in answer["timings"].values())
    assert answer["timings"]["encode"] <= answer["timings"]["first_token"] <= answer["timings"]["total"]


def test_a_form_without_files_may_be_urlencoded(client: httpx.Client, ask: Callable[..., dict]) -> None:
    response = client.post("/multimodal", data={"text": "你好 & hello"})
    assert response.status_code == 200
    assert response.json()["text"] == ask(text="你好 & hello")["text"]


def test_every_file_takes_its_place_in_the_prompt(ask: Callable[..., dict]) -> None:
    def tokens(*parts: tuple) -> int:
        return ask(*parts, text="What?", max_new_tokens=1)["usage"]["prompt_tokens"]

    without = tokens()
    one, other, sound = tokens(SHAPES) - without, tokens(PAIR) - without, tokens(WORD) - without
    assert min(one, other, sound) > 0
    assert tokens(SHAPES, PAIR, PAIR, WORD) == without + one + 2 * other + sound


def test_the_ways_of_a_video_take_its_sound_and_its_last_frame(ask: Callable[..., dict], sound_track: bytes) -> None:
    def tokens(*parts: tuple, **fields: object) -> int:
        return ask(*parts, text="What?", max_new_tokens=1, **fields)["usage"]["prompt_tokens"]

    without = tokens()
    sound, frame = tokens(("audios", "track.wav", sound_track)) - without, tokens(("images", "frame.png", png((240, 240)))) - without
    assert tokens(MOVING, **WAYS["sound"]) == without + sound
    assert tokens(MOVING, **WAYS["last frame"]) == without + frame
    assert tokens(MOVING, **WAYS["sound and last frame"]) == without + sound + frame
    assert tokens(MOVING) > without + sound + frame  # several frames, and the sound between them


def test_a_videos_sound_is_heard_as_the_same_sound_in_a_file(ask: Callable[..., dict], sound_track: bytes) -> None:
    assert ask(MOVING, **WAYS["sound"])["text"] == ask(("audios", "track.wav", sound_track))["text"]


def test_a_video_without_sound_is_seen(ask: Callable[..., dict], refused: Callable[..., str], silent_video: bytes) -> None:
    silent = ("videos", "silent.mp4", silent_video)
    seen, with_sound = ask(silent), ask(MOVING)
    assert seen["text"]
    assert seen["usage"]["prompt_tokens"] < with_sound["usage"]["prompt_tokens"]
    assert ask(silent, **WAYS["last frame"])["text"]
    both, frame = ask(silent, **WAYS["sound and last frame"]), ask(silent, **WAYS["last frame"])
    assert both["usage"] == frame["usage"]
    assert refused(silent, **WAYS["sound"]) == "sound_broken"


@pytest.mark.parametrize("most", [1, 2, 5])
def test_an_answer_keeps_to_max_new_tokens(ask: Callable[..., dict], most: int) -> None:
    short, whole = (ask(text="What can you do?", max_new_tokens=count)["usage"]["completion_tokens"] for count in (most, 512))
    assert short == min(most, whole)
    assert whole > 1


def test_greedy_answers_are_the_same_twice(ask: Callable[..., dict]) -> None:
    first, second, third = (ask(SHAPES, WORD, text="What is this?", **fields) for fields in ({}, {"temperature": "0"}, {"temperature": ""}))
    assert first["text"] == second["text"] == third["text"]
    assert first["usage"] == second["usage"]


def test_temperature_makes_answers_differ(ask: Callable[..., dict]) -> None:
    answers = {ask(text="Tell me something.", temperature="2", max_new_tokens=12)["text"] for _ in range(6)}
    assert len(answers) > 1


def test_the_system_prompt_stands_before_the_question(ask: Callable[..., dict]) -> None:
    with_prompt, without = (ask(text="Hello!", **fields) for fields in ({"system_prompt": "Answer in one sentence. 请简短。"}, {}))
    assert with_prompt["text"]
    assert with_prompt["usage"]["prompt_tokens"] > without["usage"]["prompt_tokens"] + 5


@pytest.mark.parametrize(
    ("word", "on"),
    [(word, True) for word in ("true", "1", "on", "YES", " True ")] + [(word, False) for word in ("false", "0", "off", "No", "")],
)
def test_switches_are_read_as_people_write_them(client: httpx.Client, word: str, on: bool) -> None:
    response = client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=1, return_audio=word))
    assert response.status_code == (422 if on else 200)  # the demo does not speak


def test_marks_of_the_model_in_a_text_are_only_text(ask: Callable[..., dict]) -> None:
    answer = ask(SHAPES, text="<|IMAGE|><|AUDIO|><|VIDEO|><|im_end|>", system_prompt="<|IMAGE|>")
    assert answer["text"]


BAD_FIELDS = [
    {"text": "Hello!", "colour": "red"},
    {"text": "Hello!", "Text": "Hello!"},
    *({"text": "Hello!", "max_new_tokens": value} for value in ("0", "-1", "8193", "1.5", "1e3", "many", "nan", "9" * 5000)),
    *({"text": "Hello!", "temperature": value} for value in ("-0.1", "2.1", "nan", "inf", "warm")),
    *({"text": "Hello!", name: "perhaps"} for name in ("extract_video_audio", "extract_video_frame", "return_audio")),
    *({"text": "Hello!", name: "shapes.png"} for name in ("images", "audios", "videos")),
]


@pytest.mark.parametrize("fields", BAD_FIELDS, ids=lambda fields: "&".join(f"{name}={value}"[:40] for name, value in fields.items()))
def test_a_bad_field_is_refused_by_name(client: httpx.Client, refused: Callable[..., str], fields: dict[str, str]) -> None:
    assert refused(**fields) == "bad_field"
    message = error_of(client.post("/multimodal", files=parts_of(**fields)))["message"]
    name, value = list(fields.items())[-1]
    assert f"The field {name} cannot be '{value[:80]}': it takes " in message
    assert len(message) < 400


@pytest.mark.parametrize("field", ["text", "max_new_tokens", "return_audio", "colour"])
def test_a_file_in_a_text_field_is_refused(refused: Callable[..., str], field: str) -> None:
    assert refused((field, "note.txt", b"5")) == "bad_field"


def test_a_bad_field_is_explained_in_chinese_alone(client: httpx.Client) -> None:
    sent = parts_of(text="Hello!", temperature="warm")
    message = error_of(client.post("/multimodal", files=sent, headers={"accept-language": "zh"}))["message"]
    assert message == "字段 temperature 不能是 'warm'：应为 0 到 2 之间的数。"


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": " \n\t"}, {"system_prompt": "Be brief.", "max_new_tokens": 5}])
def test_no_question_is_refused(refused: Callable[..., str], fields: dict[str, object]) -> None:
    assert refused(**(fields or {"temperature": ""})) == "empty_question"


def test_the_demo_does_not_speak(ask: Callable[..., dict], refused: Callable[..., str]) -> None:
    assert refused(text="Hello!", return_audio="true") == "no_speech"
    assert "audio" not in ask(text="Hello!", return_audio="false")


# what is sent in place of an uploaded file


@pytest.mark.parametrize("field", ["images", "audios", "videos"])
@pytest.mark.parametrize(
    "place", ["{address}/x.png", "{file}", "file://{file}", "file:///etc/passwd", "../../app.py", "data:image/png;base64,iVBO"]
)
def test_a_path_or_address_in_place_of_a_file_is_not_followed(
    client: httpx.Client, refused: Callable[..., str], fetched: tuple[str, list[str]], field: str, place: str
) -> None:
    address, asked = fetched
    text = place.format(address=address, file=EXAMPLES / "shapes.png")
    assert refused(text="What is this?", **{field: text}) == "bad_field"
    response = client.post("/multimodal", data={"text": "What is this?", field: text})
    assert (response.status_code, error_of(response)["code"]) == (422, "bad_field")
    assert asked == []


def test_an_address_in_the_text_is_only_text(ask: Callable[..., dict], fetched: tuple[str, list[str]]) -> None:
    address, asked = fetched
    assert ask(text=f"What is on {address}/x.png and file:///etc/passwd?")["text"]
    assert asked == []


def test_an_address_inside_a_file_is_not_followed(refused: Callable[..., str], fetched: tuple[str, list[str]]) -> None:
    address, asked = fetched
    playlist = f"#EXTM3U\n#EXTINF:1,\n{address}/x.ts\n".encode()
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}/x.png"/></svg>'.encode()
    assert refused(("videos", "x.mp4", playlist)) == "file_playlist"
    assert refused(("audios", "x.wav", b"ffconcat version 1.0\nfile '" + address.encode() + b"/x.wav'\n")) == "file_playlist"
    assert refused(("images", "x.png", svg)) == "file_svg"
    assert asked == []


# files that are not what they should be

TRUNCATED = (EXAMPLES / "shapes.png").read_bytes()[:2000]
WRONG_FILES = {
    "picture as sound": ("audios", "x.png", SHAPES[2], "file_wrong_kind", 415),
    "picture as video": ("videos", "x.png", SHAPES[2], "file_wrong_kind", 415),
    "sound as picture": ("images", "x.wav", WORD[2], "file_wrong_kind", 415),
    "sound as video": ("videos", "x.wav", WORD[2], "file_wrong_kind", 415),
    "video as sound": ("audios", "x.mp4", MOVING[2], "file_wrong_kind", 415),
    "video as picture": ("images", "x.mp4", MOVING[2], "file_wrong_kind", 415),
    "text named .jpg": ("images", "x.jpg", b"This is only text.\n" * 20, "file_unknown", 415),
    "text named .wav": ("audios", "x.wav", "只是文字".encode() * 20, "file_unknown", 415),
    "empty": ("images", "x.png", b"", "file_empty", 422),
    "one byte": ("videos", "x.mp4", b"\0", "file_unknown", 415),
    "truncated picture": ("images", "x.png", TRUNCATED, "picture_broken", 422),
    "truncated video": ("videos", "x.mp4", MOVING[2][:600], "file_unknown", 415),
    "bomb": ("images", "x.png", bomb_png(), "picture_too_large", 413),
    "vector drawing": ("images", "x.svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "file_svg", 415),
    "playlist": ("videos", "x.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "file_playlist", 415),
    "archive": ("images", "x.zip", b"PK\x03\x04" + bytes(100), "file_unknown", 415),
}


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_a_wrong_file_is_refused(client: httpx.Client, refused: Callable[..., str], wrong: str) -> None:
    field, name, content, code, status = WRONG_FILES[wrong]
    assert refused((field, name, content), text="What is this?") == code
    response = client.post("/multimodal", files=parts_of(SHAPES, (field, name, content), text="What is this?"))
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert name in error_of(response)["message"]


def test_too_many_files_are_refused(client: httpx.Client, refused: Callable[..., str]) -> None:
    files = [("images", f"{number}.png", png((28, 28))) for number in range(32)]
    assert refused(*files, WORD) == "too_many_files"
    assert client.post("/multimodal", files=parts_of(*files, WORD)).status_code == 413
    files[31] = ("images", "31.png", b"")
    assert refused(*files) == "file_empty"  # all 32 were taken


# names of uploaded files

NAMES = {
    "upwards": "../../{mark}.png",
    "far upwards": "../" * 30 + "tmp/{mark}.png",
    "absolute": "/tmp/{mark}.png",
    "Windows": "C:\\Windows\\{mark}.png",
    "Windows upwards": "..\\..\\{mark}.png",
    "encoded": "%2e%2e%2f{mark}.png",
    "only dots": "..",
    "only slashes": "///",
    "long": "{mark}" + "x" * 2000 + ".png",
    "too long": "{mark}" + "x" * 5000 + ".png",
    "NUL": "{mark}\0.png",
    "line breaks": "{mark}\r\nX-Other: 1\r\n\r\n.png",
    "Chinese": "图片{mark}.png",
    "emoji": "🙂👍🏽{mark}.png",
    "reserved": "CON{mark}",
    "quotes": "'\"{mark}`$(id).png",
    "none": "",
}


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_of_a_file_reaches_the_disk(desk: RunningDesk, client: httpx.Client, tmp_path: Path, kind: str) -> None:
    mark = f"mark-{tmp_path.name}"
    name = NAMES[kind].format(mark=mark)
    if kind in ("NUL", "quotes"):  # httpx would write these in another way
        escaped = name.replace('"', '\\"')
        body, content_type = raw_form(f'form-data; name="images"; filename="{escaped}"', SHAPES[2])
        sent = {"content": body, "headers": {"content-type": content_type}}
    else:
        sent = {"files": [("images", (name, SHAPES[2], "image/png")), ("max_new_tokens", (None, "1"))]}
    before = lying_in(desk.data)
    if kind == "none":  # httpx sends no name at all
        body, content_type = raw_form('form-data; name="images"; filename=""', SHAPES[2])
        sent = {"content": body, "headers": {"content-type": content_type}}
    response = client.post("/multimodal", **sent)
    if kind == "too long":  # for the head of a part
        assert (response.status_code, error_of(response)["code"]) == (400, "bad_request")
    else:
        assert response.status_code == 200, response.text
    assert lying_in(desk.data) == before
    for folder in (ROOT, ROOT.parent, Path("/tmp"), Path("/"), desk.data.parent, desk.data.parent.parent):
        assert not [path for path in folder.glob("*") if mark in path.name]


def test_a_long_or_odd_name_is_said_without_harm(client: httpx.Client) -> None:
    for name in ("x" * 2000 + ".png", "../../etc/passwd\n{slot}.png", "🙂图片.png"):
        message = error_of(client.post("/multimodal", files=parts_of(("audios", name, SHAPES[2]))))["message"]
        assert len(message) < 300
        assert "../" not in message


@pytest.mark.parametrize("parts", [(SHAPES, WORD, MOVING), (SHAPES, ("images", "x.png", b"")), (SHAPES, ("colour", "x.png", b"red"))])
def test_nothing_of_a_request_stays_in_the_data_folder(desk: RunningDesk, client: httpx.Client, parts: tuple) -> None:
    before = lying_in(desk.data)  # Gradio keeps the screen's examples there
    client.post("/multimodal", files=parts_of(*parts, text="What is this?"))
    assert lying_in(desk.data) == before
    assert {path.name for path in desk.data.iterdir()} == {"uploads", "library"}


# bodies that are no forms

MULTIPART = "multipart/form-data; boundary=frame"
BODIES = {
    "nothing": (b"", ""),
    "nothing in a form": (b"", MULTIPART),
    "JSON": (b'{"text": "Hello!"}', "application/json"),
    "plain text": (b"text=Hello!", "text/plain"),
    "a bare file": (SHAPES[2], "image/png"),
    "no boundary": (b"--frame", "multipart/form-data"),
    "no part": (b"Hello!", MULTIPART),
    "no name": (b"--frame\r\nContent-Disposition: form-data\r\n\r\nHello!\r\n--frame--\r\n", MULTIPART),
    "no disposition": (b"--frame\r\nContent-Type: text/plain\r\n\r\nHello!\r\n--frame--\r\n", MULTIPART),
    "cut short": (b'--frame\r\nContent-Disposition: form-data; name="text"\r\n\r\nHel', MULTIPART),
    "broken header": (b"--frame\r\n\0\xff\r\n\r\nHello!\r\n--frame--\r\n", MULTIPART),
    "long text": (raw_form('form-data; name="text"', b"x" * 1_000_001)[0], MULTIPART),
    "many fields": (b"&".join(b"text=Hello" for _ in range(2000)), "application/x-www-form-urlencoded"),
    "half a character": (raw_form('form-data; name="text"', rb"\ud800")[0], f"{MULTIPART}; charset=unicode_escape"),
    "charset of nothing": (raw_form('form-data; name="text"', b"Hello!")[0], f"{MULTIPART}; charset=undefined"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_no_form_is_refused(refused: Callable[..., str], kind: str) -> None:
    body, content_type = BODIES[kind]
    assert refused(body=body, content_type=content_type) in ("bad_request", "empty_question")


@pytest.mark.parametrize("kind", ["nothing", "JSON", "no boundary", "no part", "long text"])
def test_a_body_that_cannot_be_read_is_a_bad_request(refused: Callable[..., str], kind: str) -> None:
    body, content_type = BODIES[kind]
    assert refused(body=body, content_type=content_type) == "bad_request"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_refused_in_the_common_shape(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/multimodal", headers={"accept-language": "zh"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    error = error_of(response)
    assert error["code"] == "wrong_method"
    assert CHINESE.search(error["message"])


@pytest.mark.parametrize(
    ("header", "chinese"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("ZH", True),
        ("zh-TW;q=1", True),
        ("en-US,en;q=0.9,zh;q=0.8", False),
        ("fr", False),
        ("*", False),
        ("", False),
    ],
)
def test_the_language_is_the_first_that_the_client_names(client: httpx.Client, header: str, chinese: bool) -> None:
    response = client.post("/multimodal", files=parts_of(text=""), headers={"accept-language": header})
    assert bool(CHINESE.search(error_of(response)["message"])) is chinese


# several clients


def test_questions_at_once_all_get_their_own_answers(ask: Callable[..., dict]) -> None:
    questions = [
        ((SHAPES,), {"text": "Describe the picture."}),
        ((), {"text": "What can you do?"}),
        ((PAIR,), {"text": "左边是什么？"}),
        ((WORD,), {}),
    ]
    alone = [ask(*parts, **fields)["text"] for parts, fields in questions]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda question: ask(*question[0], **question[1]), questions))
    assert [answer["text"] for answer in together] == alone
    assert max(answer["timings"]["wait"] for answer in together) > 0.01


def test_a_client_that_leaves_frees_the_model(talkative_client: httpx.Client) -> None:
    whole = talkative_client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=20)).json()
    assert whole["usage"]["completion_tokens"] == 20  # so 8,000 take long
    with pytest.raises(httpx.ReadTimeout):
        talkative_client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=8000), timeout=httpx.Timeout(30, read=1.5))
    began = time.monotonic()
    answer = talkative_client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=2))
    assert answer.status_code == 200
    assert time.monotonic() - began < 5


def test_a_client_that_leaves_in_the_middle_of_its_upload_leaves_no_trace(
    desk: RunningDesk, client: httpx.Client, ask: Callable[..., dict]
) -> None:
    before, port = desk.log.stat().st_size, client.base_url.port
    body, content_type = raw_form('form-data; name="images"; filename="x.png"', bytes(2_000_000))
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        head = f"POST /multimodal HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.sendall(head.encode() + body[:1_500_000])
    assert ask(text="Hello!", max_new_tokens=1)["text"]
    assert b"Traceback" not in desk.log.read_bytes()[before:]


def test_a_client_that_leaves_while_it_waits_is_forgotten(talkative_client: httpx.Client) -> None:
    def impatient(seconds: float) -> None:
        with pytest.raises(httpx.ReadTimeout):
            talkative_client.post(
                "/multimodal", files=parts_of(text="Hello!", max_new_tokens=8000), timeout=httpx.Timeout(30, read=seconds)
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(impatient, [1.5, 1, 1, 1, 1, 1]))
    began = time.monotonic()
    assert talkative_client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=2)).status_code == 200
    assert time.monotonic() - began < 8


# a desk that takes files of 1 MB


def test_a_file_above_the_limit_is_refused(talkative_client: httpx.Client) -> None:
    file = SHAPES[2] + bytes(1_000_001)
    response = talkative_client.post("/multimodal", files=parts_of(("images", "x.png", file)))
    assert (response.status_code, error_of(response)["code"]) == (413, "file_too_large")
    assert "x.png" in error_of(response)["message"]
    assert talkative_client.post("/multimodal", files=parts_of(SHAPES, max_new_tokens=1)).status_code == 200


@pytest.mark.parametrize("path", ["/multimodal", "/gradio_api/upload"])
@pytest.mark.parametrize("known", [True, False], ids=["with its length", "in chunks"])
def test_a_body_above_the_limit_is_refused(talkative_client: httpx.Client, path: str, known: bool) -> None:
    body, content_type = raw_form('form-data; name="images"; filename="x.png"', bytes(6_500_000))

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    headers = {"content-type": content_type, "accept-language": "zh"}
    response = talkative_client.post(path, content=body if known else chunks(), headers=headers)
    assert response.status_code == 413
    if path == "/multimodal" or known:  # else Gradio's own bound on a file is met first
        assert error_of(response)["code"] == "too_large_request"
        assert CHINESE.search(error_of(response)["message"])
    assert talkative_client.post("/multimodal", files=parts_of(SHAPES, max_new_tokens=1)).status_code == 200


# what a running desk cannot be brought to; the routes alone, around a desk that is not opened


@pytest.fixture
def unopened(tmp_path: Path) -> tuple[Desk, TestClient]:
    """(a desk whose model is still loading, a client of its routes)."""
    desk = Desk(Settings(data_dir=tmp_path))
    return desk, client_of(desk)


@pytest.mark.parametrize("fields", [{"text": "Hello!"}, {"text": "Hello!", "return_audio": "true"}])
def test_a_model_that_loads_too_long_is_said(
    unopened: tuple[Desk, TestClient], monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]
) -> None:
    monkeypatch.setattr(routes, "PATIENCE_SECONDS", 0.1)
    response = unopened[1].post("/multimodal", data=fields)
    assert (response.status_code, error_of(response)["code"]) == (503, "loading")


def test_a_fault_of_ours_has_the_common_shape(unopened: tuple[Desk, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, client = unopened

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(desk, "answer", fail)
    response = client.post("/multimodal", data={"text": "Hello!"})
    assert (response.status_code, error_of(response)["code"]) == (SENTENCES["answer_failed"][0], "answer_failed")
    assert "secret" not in response.text


@pytest.fixture
def speaking(unopened: tuple[Desk, TestClient], monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of a desk whose model says "Hi." in the voice it is asked for."""
    desk, client = unopened

    def answer(conversation: Conversation, options: Options, *_: object) -> Iterator[Event]:
        yield Text("Hi.")
        if options.voice:
            yield Speech(np.full(2400, -0.25 if options.voice == "Ethan" else 0.25, np.float32), 24_000)
        yield Done("Hi.", 5, 2, {"wait": 0.0})

    monkeypatch.setattr(desk, "answer", answer)
    desk.model = SimpleNamespace(voices=("Chelsie", "Ethan"), no_speech=None, device="cpu")
    desk._settled.set()
    return client


@pytest.mark.parametrize(("voice", "heard"), [("", 0.25), ("Chelsie", 0.25), ("Ethan", -0.25)])
def test_a_model_that_speaks_answers_aloud(speaking: TestClient, voice: str, heard: float) -> None:
    answer = speaking.post("/multimodal", data={"text": "Hello!", "return_audio": "true", "voice": voice}).json()
    assert answer.keys() == {"text", "usage", "timings", "model", "audio"}
    assert answer["audio"].keys() == {"data", "format", "sample_rate"}
    assert (answer["audio"]["format"], answer["audio"]["sample_rate"]) == ("wav", 24_000)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["audio"]["data"])))
    assert rate == 24_000
    assert np.allclose(samples, np.full(2400, heard), atol=1e-4)


def test_a_model_that_speaks_is_silent_unless_asked(speaking: TestClient) -> None:
    assert "audio" not in speaking.post("/multimodal", data={"text": "Hello!", "voice": "Ethan"}).json()


def test_what_was_made_smaller_is_told_with_the_answer(unopened: tuple[Desk, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, client = unopened
    asked = []

    def answer(conversation: Conversation, options: Options, *_: object) -> Iterator[Event]:
        asked.append(options.detail)
        yield Notice("waiting")
        yield Notice("shrunk", {"name": "a.png", "before": "4 × 4", "after": "2 × 2"})
        yield Done("Hi.", 5, 2, {"wait": 0.0})

    monkeypatch.setattr(desk, "answer", answer)
    body = client.post("/multimodal", data={"text": "Hello!", "detail": "fine"}).json()
    assert body["notices"] == [{"code": "shrunk", "name": "a.png", "before": "4 × 4", "after": "2 × 2"}]
    client.post("/multimodal", data={"text": "Hello!"})
    assert asked == ["fine", "auto"]
    assert error_of(client.post("/multimodal", data={"text": "Hello!", "detail": "much"}))["code"] == "bad_field"


def test_a_voice_that_is_not_there_is_refused(speaking: TestClient) -> None:
    response = speaking.post("/multimodal", data={"text": "Hello!", "return_audio": "true", "voice": "Nobody"})
    assert response.status_code == 422
    assert error_of(response) == {"code": "bad_field", "message": "The field voice cannot be 'Nobody': it takes Chelsie, Ethan."}


def test_a_model_that_stays_busy_is_said(unopened: tuple[Desk, TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    desk, client = unopened
    monkeypatch.setattr(routes, "PATIENCE_SECONDS", 0.1)
    desk.model = SimpleNamespace()
    desk._settled.set()
    with desk._turn:
        response = client.post("/multimodal", data={"text": "Hello!"})
    assert (response.status_code, error_of(response)["code"]) == (503, "busy")
