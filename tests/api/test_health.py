"""GET /health."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from multimodal.desk import DEMO_NAME
from tests.conftest import RunningDesk
from tests.wire import CHINESE, error_of

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


def test_a_model_that_cannot_be_loaded_is_told_in_both_languages(other_desk: Callable[..., RunningDesk], tmp_path: Path) -> None:
    folder = tmp_path / "no model"
    folder.mkdir()
    running = other_desk("--model", str(folder), ready=False)
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        deadline = time.monotonic() + 60
        while (health := client.get("/health")).json()["status"] == "loading" and time.monotonic() < deadline:
            assert health.status_code == 200
            time.sleep(0.1)
        assert health.status_code == 503
        assert health.json().keys() == {"status", "model", "memory", "error"}
        assert health.json()["status"] == "failed"
        assert health.json()["model"] == {"name": "no model", "demo": False}
        assert health.json()["error"]["code"] == "model_not_found"
        assert str(folder) in health.json()["error"]["message"]
        assert CHINESE.search(client.get("/health", headers={"accept-language": "zh"}).json()["error"]["message"])
        answer = client.post("/multimodal", data={"text": "Hello!"})
        assert (answer.status_code, error_of(answer)["code"]) == (503, "model_not_found")
        spoken = client.post("/multimodal", data={"text": "Hello!", "return_audio": "true"})
        assert (spoken.status_code, error_of(spoken)["code"]) == (503, "model_not_found")
