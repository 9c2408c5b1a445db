"""GET /health."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from multimodal.desk import DEMO_NAME, Desk
from multimodal.settings import Settings
from tests.wire import CHINESE, client_of, error_of

MEMORY = {"device", "device_name", "device_used", "device_total", "host_used", "host_free", "host_total"}


def test_a_ready_desk_is_healthy(client: httpx.Client) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    health = response.json()
    assert health.keys() == {"status", "model", "memory"}
    assert health["status"] == "ready"
    assert health["model"] == {"name": DEMO_NAME, "demo": True}


def test_the_memory_is_told_in_bytes(client: httpx.Client) -> None:
    memory = client.get("/health").json()["memory"]
    assert memory.keys() == MEMORY
    assert 10**7 < memory["host_used"] < memory["host_total"]
    assert 0 < memory["host_free"] < memory["host_total"]
    on_card = memory["device"] != "cpu"
    assert (memory["device_name"] is not None) is on_card
    assert (memory["device_total"] is not None) is on_card


def test_a_monitor_may_ask_for_the_head_alone(client: httpx.Client) -> None:
    response = client.head("/health")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_refused_in_the_common_shape(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/health")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert error_of(response)["code"] == "wrong_method"


def test_a_desk_is_healthy_while_its_model_loads(tmp_path: Path) -> None:
    response = client_of(Desk(Settings(data_dir=tmp_path))).get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "loading")


@pytest.mark.parametrize(
    ("config", "code"), [(None, "model_not_found"), ({"model_type": "qwen2_5_omni", "enable_audio_output": "maybe"}, "model_broken")]
)
def test_a_model_that_cannot_be_loaded_is_told_in_both_languages(tmp_path: Path, config: dict | None, code: str) -> None:
    folder = tmp_path / "no model"
    folder.mkdir()
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    desk = Desk(Settings(model_path=str(folder), data_dir=tmp_path))
    desk.open_model()
    client, deadline = client_of(desk), time.monotonic() + 60
    while (health := client.get("/health")).json()["status"] == "loading" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert health.status_code == 503
    assert health.json().keys() == {"status", "model", "memory", "error"}
    assert health.json()["status"] == "failed"
    assert health.json()["model"] == {"name": "no model", "demo": False}
    assert health.json()["error"]["code"] == code
    assert str(folder) in health.json()["error"]["message"]
    assert CHINESE.search(client.get("/health", headers={"accept-language": "zh"}).json()["error"]["message"])
    for fields in ({"text": "Hello!"}, {"text": "Hello!", "return_audio": "true"}):
        answer = client.post("/multimodal", data=fields)
        assert (answer.status_code, error_of(answer)["code"]) == (503, code)
