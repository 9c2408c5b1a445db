"""A person at the browser chooses a model: sees its plan first, loads it, asks it, unloads it, downloads another."""

from __future__ import annotations

import threading
import time

import pytest

from low_vram.load import Cancelled
from multimodal.data_dir import open_data_dir
from multimodal.desk import Desk
from multimodal.settings import Settings
from multimodal.ui.screen import CSS, THEME, make_screen
from tests.conftest import EXAMPLES
from tests.hub import NAME, SHARD, SHARD_BYTES, hub_at, running_servers
from tests.tiny import write_tiny_omni
from tests.ui.page import answers, ask, drop, photograph, wait_for_answer

SECONDS = 30_000


def open_models(page, kind: str) -> None:
    """The model tab with one of its choices picked."""
    page.get_by_role("tab").nth(2).click()
    page.locator("#kind").get_by_label(kind).check()


def show_plan(page) -> str:
    page.locator("#look").click()
    page.locator("#plan table").wait_for(timeout=SECONDS)
    return page.locator("#plan").inner_text()


def see(page, where: str, text: str) -> None:
    page.locator(where, has_text=text).first.wait_for(timeout=SECONDS)


def test_a_model_is_planned_loaded_asked_unloaded_and_exchanged(open_page, other_desk, tmp_path):
    folder = write_tiny_omni(tmp_path / "tiny-omni", speaks=False)
    page = open_page(url=other_desk("--max-new-tokens", "8").url)
    open_models(page, "A folder on this computer")
    page.locator("#folder input, #folder textarea").fill(str(folder))
    plan = show_plan(page)
    assert "It fits." in plan
    assert "Language layers" in plan
    see(page, "#about", "The bundled demo model")  # still: nothing was loaded
    page.locator("#load").click()
    see(page, "#about", "tiny-omni")
    see(page, "#about", "Running on")
    page.locator("#banner").wait_for(state="hidden", timeout=SECONDS)
    page.get_by_role("tab", name="Chat").click()
    ask(page, "Hello")
    assert "⚠" not in wait_for_answer(page)
    page.get_by_role("tab", name="Model").click()
    page.locator("#unload").click()
    see(page, "#about", "The next question loads it again")
    see(page, "#status", "is not in memory")
    page.get_by_role("tab", name="Chat").click()
    ask(page, "Are you back?")
    assert "⚠" not in wait_for_answer(page, 2)
    open_models(page, "The demo model")
    show_plan(page)
    page.locator("#load").click()
    see(page, "#about", "The bundled demo model")
    see(page, "#about", "Running on")
    page.get_by_role("tab", name="Chat").click()
    ask(page, "Hello")
    wait_for_answer(page, 3)
    assert "⚠" not in "".join(answers(page))
    page.locator("#banner").wait_for()


def test_loading_can_be_cancelled(open_page, tmp_path, monkeypatch):
    open_data_dir(tmp_path)
    desk = Desk(Settings(data_dir=tmp_path))
    loading = threading.Event()

    def slow(path, device, wishes, progress):
        done = 0
        while progress(done := min(done + 10**6, 9 * 10**8), 10**9):
            loading.set()
            time.sleep(0.02)
        raise Cancelled

    monkeypatch.setattr("multimodal.desk.load", slow)
    screen = make_screen(desk)
    _, url, _ = screen.launch(
        server_name="127.0.0.1",
        prevent_thread_lock=True,
        quiet=True,
        theme=THEME,
        css=CSS,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
    )
    try:
        page = open_page(url=url.rstrip("/"))
        page.get_by_role("tab", name="Model").click()
        desk.open()
        assert loading.wait(10)
        see(page, "#loading", "of 1.0 GB")
        assert page.locator("#loading [role=progressbar]").count() == 1
        page.locator("#cancel-loading").click()
        see(page, "#about", "was cancelled")
        page.locator("#loading").wait_for(state="hidden", timeout=SECONDS)
        assert desk.status == "failed"
    finally:
        screen.close()
        desk.close()


def test_a_download_tells_its_size_shows_its_bytes_and_goes_on_after_cancel(open_page, other_desk):
    with running_servers() as servers:
        hub = hub_at(servers)
        hub.holds[SHARD] = SHARD_BYTES // 2
        page = open_page(url=other_desk(HF_ENDPOINT=hub.address, no_proxy="*", NO_PROXY="*", HF_TOKEN="").url)
        open_models(page, "Another name at a hub")
        page.locator("#name input, #name textarea").fill(NAME)
        for end in ("goes on from there", "is here"):
            page.locator("#look").click()
            see(page, "#said", "620 KB")
            see(page, "#said", "are free on the disk")
            page.locator("#download").click()
            if end != "is here":
                see(page, "#download-progress", "of 620 KB")
                page.locator("#download-progress [role=progressbar]").wait_for()
                page.locator("#cancel-download").click()
            see(page, "#download-progress", end)
        hub.release.set()


@pytest.mark.parametrize(("locale", "kind", "fits"), [("en-US", "The demo model", "It fits."), ("zh-CN", "演示模型", "放得下。")])
def test_the_model_tab_fits_a_phone_in_the_dark(open_page, locale, kind, fits):
    page = open_page(390, 844, locale, "dark")
    open_models(page, kind)
    assert fits in show_plan(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    photograph(page, f"model-{locale[:2]}")
    page.locator("#plan-running button").first.click()
    page.locator("#plan-running table").wait_for(timeout=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for meter in page.get_by_role("meter").all():
        assert meter.get_attribute("aria-label")
        assert 0 <= int(meter.get_attribute("aria-valuenow")) <= 100


def test_a_plan_that_is_shown_is_translated(open_page):
    page = open_page()
    open_models(page, "The demo model")
    show_plan(page)
    page.get_by_role("radio", name="中文").click()
    see(page, "#plan", "放得下。")
    see(page, "#gauge", "内存")
    see(page, "#choosing", "换一个模型")
    see(page, "#look", "查看方案")


def test_attached_files_tell_what_they_take_and_typing_asks_nothing(open_page):
    page = open_page()
    drop(page, EXAMPLES / "shapes.png")
    see(page, "#estimate", "tokens · ")
    first = page.locator("#estimate").inner_text()
    asked = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "/queue/join" in request.url else None)
    page.locator("#box textarea").press_sequentially("What is in this picture, and where?", delay=10)
    page.wait_for_timeout(500)
    assert not [body for body in asked if "shapes.png" in body]  # the timer's own do not carry the box
    drop(page, EXAMPLES / "shapes.png", EXAMPLES / "pair.png")
    page.wait_for_function("before => document.querySelector('#estimate').innerText !== before", arg=first, timeout=SECONDS)
    for _ in range(page.locator("#box .delete-button").count()):
        page.locator("#box .delete-button").first.click()
    page.locator("#estimate").wait_for(state="hidden", timeout=SECONDS)
