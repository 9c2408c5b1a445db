"""Who may knock, and what of Gradio can be reached past the page."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import EXAMPLES, ROOT, RunningDesk
from tests.wire import CHINESE, error_of, lying_in, parts_of

JSON_BODY = {"data": [], "fn_index": 0, "session_hash": "door"}
KNOCKS = {
    "health": ("GET", "/health", {}),
    "question": ("POST", "/multimodal", {"files": parts_of(text="Hello!")}),
    "page": ("GET", "/", {}),
    "config": ("GET", "/config", {}),
    "queue": ("POST", "/gradio_api/queue/join", {"json": JSON_BODY}),
    "upload": ("POST", "/gradio_api/upload", {"files": [("files", ("x.txt", b"x"))]}),
    "nothing": ("GET", "/no/such/path", {}),
}
FOREIGN = {
    "host": {"host": "desk.example"},
    "host with our port": {"host": "desk.example:{port}"},
    "host that begins like ours": {"host": "127.0.0.1.desk.example:{port}"},
    "host that ends like ours": {"host": "desk-localhost:{port}"},
    "another address": {"host": "192.0.2.1:{port}"},
    "every address": {"host": "0.0.0.0:{port}"},
    "no host": {"host": ""},
    "broken host": {"host": "[::1"},
    "impossible port": {"host": "127.0.0.1:99999999"},
    "origin": {"origin": "http://desk.example"},
    "origin with our port": {"origin": "http://desk.example:{port}"},
    "origin that begins like ours": {"origin": "http://127.0.0.1.desk.example:{port}"},
    "origin at another port": {"origin": "http://127.0.0.1:1"},
    "origin without a port": {"origin": "http://127.0.0.1"},
    "origin with an impossible port": {"origin": "http://127.0.0.1:99999999"},
    "null origin": {"origin": "null"},
    "empty origin": {"origin": ""},
    "broken origin": {"origin": "http://[::1"},
    "fetched from another site": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    "sent from another site": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "origin": "http://desk.example"},
    "form of another site": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "origin": "null"},
}
KNOWN = {
    "no browser": {},
    "own origin": {"origin": "http://127.0.0.1:{port}"},
    "by name": {"host": "localhost:{port}", "origin": "http://localhost:{port}"},
    "by name in capitals": {"host": "LOCALHOST:{port}"},
    "by the other address": {"host": "[::1]:{port}", "origin": "http://[::1]:{port}"},
    "by name and by number": {"host": "127.0.0.1:{port}", "origin": "http://localhost:{port}"},
    "own page": {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
    "typed address": {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    "link from elsewhere": {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
}


def filled(client: httpx.Client, headers: dict[str, str]) -> dict[str, str]:
    """With the desk's own port."""
    return {name: value.format(port=client.base_url.port) for name, value in headers.items()}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("knock", KNOCKS)
def test_what_comes_from_elsewhere_is_refused(client: httpx.Client, knock: str, kind: str) -> None:
    method, path, sent = KNOCKS[knock]
    response = client.request(method, path, headers=filled(client, FOREIGN[kind]), **sent)
    assert (response.status_code, error_of(response)["code"]) == (403, "forbidden_origin")


def test_the_refusal_is_said_in_both_languages(client: httpx.Client) -> None:
    english, chinese = (
        error_of(client.get("/health", headers={"host": "desk.example", "accept-language": language}))["message"]
        for language in ("en", "zh")
    )
    assert not CHINESE.search(english)
    assert CHINESE.search(chinese)


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("path", ["/health", "/", "/config"])
def test_what_comes_from_the_own_page_is_let_in(client: httpx.Client, path: str, kind: str) -> None:
    assert client.get(path, headers=filled(client, KNOWN[kind])).status_code == 200


def test_a_question_from_the_own_page_is_answered(client: httpx.Client) -> None:
    headers = filled(client, KNOWN["own origin"])
    assert client.post("/multimodal", files=parts_of(text="Hello!", max_new_tokens=1), headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["http://desk.example", "null"])
def test_another_site_gets_no_leave_to_ask(client: httpx.Client, origin: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for answer in (client.options("/multimodal", headers=headers), client.post("/multimodal", headers={"origin": origin})):
        assert "access-control-allow-origin" not in answer.headers


def test_a_socket_from_another_site_is_not_opened(client: httpx.Client) -> None:
    port = client.base_url.port
    for path in ("/", "/gradio_api/queue/join"):
        with socket.create_connection(("127.0.0.1", port), 5) as wire:
            lines = (
                f"GET {path} HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Origin: http://desk.example",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            )
            wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            wire.settimeout(5)
            assert b" 403 " in wire.recv(4096).split(b"\r\n")[0]


def test_the_page_may_show_nothing_from_elsewhere(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "img-src 'self' data: blob:" in policy
    assert "*" not in policy


# Gradio's own ways in


@pytest.fixture(scope="module")
def page(client: httpx.Client) -> dict:
    """What Gradio tells a browser about the screen."""
    return client.get("/config").json()


@pytest.fixture(scope="module")
def submit(page: dict) -> dict:
    """The event of the box being sent off."""
    box = next(component["id"] for component in page["components"] if component["props"].get("elem_id") == "box")
    return next(event for event in page["dependencies"] if [box, "submit"] in event["targets"])


@pytest.fixture(scope="module")
def values(page: dict, submit: dict) -> list:
    """The inputs of that event as the page starts with them, asking for a short answer."""
    components = {component["id"]: component for component in page["components"]}
    found = [components[number]["props"].get("value") for number in submit["inputs"]]
    found[0] = {"text": "Hello!", "files": []}
    return [3 if value == 512 else value for value in found]


@pytest.fixture
def send(client: httpx.Client, submit: dict) -> Callable[..., dict]:
    """send(inputs): what the page would get at the end of the event. It has success, and perhaps what is shown.

    The event is that of the box being sent off, in a session of its own, unless others are given.
    """

    def run(inputs: list, event: dict = submit, session: str | None = None) -> dict:
        session = session or uuid.uuid4().hex
        body = {
            "data": inputs,
            "fn_index": event["id"],
            "trigger_id": event["targets"][0][0],
            "event_data": None,
            "session_hash": session,
        }
        joined = client.post("/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        shown = None
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_generating" and shown is None:
                    shown = message["output"]
                if message.get("msg") in ("process_completed", "unexpected_error"):
                    return {"success": message.get("success", False), "first": shown, "last": message.get("output")}
        raise AssertionError("the event did not end")

    return run


def test_the_page_gets_its_answer(send: Callable[[list], dict], values: list) -> None:
    ended = send(values)
    assert ended["success"]
    assert "Hello!" in json.dumps(ended["first"])


def test_the_page_may_send_what_it_uploaded(client: httpx.Client, desk: RunningDesk, send: Callable[[list], dict], values: list) -> None:
    uploaded = client.post("/gradio_api/upload", files=[("files", ("../../shapes.png", (EXAMPLES / "shapes.png").read_bytes()))]).json()
    assert Path(uploaded[0]).resolve().is_relative_to(desk.data / "uploads")
    ended = send([{"text": "", "files": [as_file(uploaded[0])]}, *values[1:]])
    assert ended["success"]
    assert client.get(f"/gradio_api/file={uploaded[0]}").content == (EXAMPLES / "shapes.png").read_bytes()


def as_file(path: str) -> dict:
    """As the page writes an uploaded file."""
    return {"path": path, "url": path, "orig_name": Path(path).name, "mime_type": "image/png", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("where", ["files", "text", "both"])
def test_an_address_in_place_of_an_upload_is_not_fetched(
    desk: RunningDesk, send: Callable[[list], dict], values: list, fetched: tuple[str, list[str]], where: str
) -> None:
    address, asked = fetched
    file, before = as_file(f"{address}/x.png"), desk.log.stat().st_size
    box = {"text": file if where == "text" else "What?", "files": [] if where == "text" else [file, *([file] if where == "both" else [])]}
    assert not send([box, *values[1:]])["success"]
    assert asked == []
    # Gradio refuses addresses of this machine of its own accord; others must not be fetched either
    assert b"Addresses are not followed" in desk.log.read_bytes()[before:]


@pytest.mark.parametrize("kind", ["radio", "textbox", "slider", "checkbox", "dropdown"])
def test_an_address_in_place_of_another_input_is_not_fetched(
    desk: RunningDesk, page: dict, submit: dict, send: Callable[[list], dict], values: list, fetched: tuple[str, list[str]], kind: str
) -> None:
    address, asked = fetched
    types = {component["id"]: component["type"] for component in page["components"]}
    place, before = [types[number] for number in submit["inputs"]].index(kind), desk.log.stat().st_size
    assert not send([*values[:place], as_file(f"{address}/x.png"), *values[place + 1 :]])["success"]
    assert asked == []
    assert b"Addresses are not followed" in desk.log.read_bytes()[before:]


def test_an_address_is_not_fetched_in_a_session_that_has_been_used_either(
    desk: RunningDesk, client: httpx.Client, page: dict, send: Callable[..., dict], values: list, fetched: tuple[str, list[str]]
) -> None:
    address, asked = fetched
    switch = next(component["id"] for component in page["components"] if component["props"].get("elem_id") == "language")
    translate = next(event for event in page["dependencies"] if [switch, "input"] in event["targets"])
    session = uuid.uuid4().hex
    assert send(["zh", *[None] * (len(translate["inputs"]) - 1)], translate, session)[
        "success"
    ]  # gradio makes the session's components anew
    before = desk.log.stat().st_size
    assert not send([{"text": "What?", "files": [as_file(f"{address}/x.png")]}, *values[1:]], session=session)["success"]
    assert asked == []
    assert b"Addresses are not followed" in desk.log.read_bytes()[before:]


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "app.py"), "app.py", "../../app.py", "file:///etc/passwd", "//etc/passwd"])
def test_a_path_in_place_of_an_upload_is_not_read(desk: RunningDesk, send: Callable[[list], dict], values: list, path: str) -> None:
    before = lying_in(desk.data)
    assert not send([{"text": "What?", "files": [as_file(path)]}, *values[1:]])["success"]
    assert lying_in(desk.data) == before


def test_the_model_is_not_called_past_the_queue(client: httpx.Client, page: dict, values: list) -> None:
    queued = [event for event in page["dependencies"] if event["queue"] and event["backend_fn"]]
    assert len(queued) > 5
    names = {event["api_name"] for event in queued} | {"ask", "predict", "chat", "x"}
    for name in sorted(names):
        for way in ("run", "api", "call", "call/v2"):
            for path in (f"/gradio_api/{way}/{name}", f"/gradio_api/{way}/{name}/"):
                response = client.post(path, json={"data": values, "fn_index": queued[0]["id"]})
                assert response.status_code >= 400, path
                assert "event_id" not in response.text, path


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/call/ask",
        "/GRADIO_API/CALL/ask",
        "/gradio_api/call/ask/0123",
        "/gradio_api/process_recording",
        "/gradio_api/proxy=https://desk.hf.space/x",
        "/gradio_api/file=https://desk.example/x.png",
        "/gradio_api/file=HTTP://desk.example/x.png",
        "/gradio_api/file%3Dhttp%3A%2F%2Fdesk.example/x.png",
        "/gradio_api/file/http://desk.example/x.png",
        "/gradio_api/file//etc/passwd",
    ],
)
def test_what_the_page_does_not_need_is_not_served(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        response = client.request(method, path, headers={"accept-language": "zh"})
        assert (response.status_code, error_of(response)["code"]) == (404, "not_served")
        assert CHINESE.search(error_of(response)["message"])


FILE_TRICKS = [
    "/etc/passwd",
    "//etc/passwd",
    "%2Fetc%2Fpasswd",
    "../" * 20 + "etc/passwd",
    "..%2F" * 20 + "etc%2Fpasswd",
    "file:///etc/passwd",
    "app.py",
    "./app.py",
    ".env.example",
    "{root}/app.py",
    "{data}/uploads/../../../../../../../../etc/passwd",
    "{data}/uploads/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "{log}",
    "{fetched}/x.png",
]


@pytest.mark.parametrize("trick", FILE_TRICKS)
@pytest.mark.parametrize("way", ["/gradio_api/file=", "/gradio_api/file/", "/file=", "/static/", "/assets/", "/gradio_api/proxy="])
def test_no_trick_with_a_path_gives_a_file(
    desk: RunningDesk, client: httpx.Client, fetched: tuple[str, list[str]], way: str, trick: str
) -> None:
    address, asked = fetched
    places = {"root": ROOT, "data": desk.data, "log": desk.log, "fetched": address}
    # httpx would shorten the path before it is sent
    target = (way + trick.format(**places)).encode()
    with socket.create_connection(("127.0.0.1", client.base_url.port), 10) as wire:
        wire.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % (target, client.base_url.port))
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))
    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 500, answer[:200]
    assert b"root:" not in answer
    assert b"UserError" not in answer
    assert asked == []
