"""A browser, and pages of the desk in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import RunningDesk

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A Chromium that is driven; without one, or without playwright, the tests that want it are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the browser tests are skipped")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def open_page(browser, desk: RunningDesk):
    """Open the desk in a fresh browser profile; nothing but the desk may be asked for anything."""
    contexts, foreign = [], []

    def open_(width: int = 1280, height: int = 900, locale: str = "en-US", scheme: str = "light", url: str = desk.url):
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith((url, "data:", "blob:")) else None)
        page.on("requestfailed", lambda request: foreign.remove(request.url) if request.failure == "csp" else None)
        page.goto(url)
        page.locator("#box textarea").wait_for(timeout=60_000)
        placeholder = "可以把文件拖到这里" if locale.startswith("zh") else "Drop files here"
        page.locator(f"#box textarea[placeholder*='{placeholder}']").wait_for(timeout=30_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not foreign
