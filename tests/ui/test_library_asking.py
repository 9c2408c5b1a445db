"""Ask my library, and captions by the chat model, in a browser."""

from __future__ import annotations

import pytest

from tests.conftest import EXAMPLES, start_desk


@pytest.fixture(scope="module")
def own_desk(tmp_path_factory):
    """A desk whose library is this test's own: it will have other captions afterwards."""
    running = start_desk(tmp_path_factory.mktemp("asking") / "data")
    yield running
    running.process.terminate()
    running.process.wait(20)


def open_library(page) -> None:
    page.get_by_role("tab", name="Library").click()
    page.locator("#gallery li").nth(59).wait_for(timeout=60_000)


def test_the_best_pictures_are_asked_and_each_statement_stands_beside_its_own(open_page, own_desk):
    page = open_page(url=own_desk.url)
    open_library(page)
    page.get_by_role("button", name="Ask my library").click()
    page.locator("#library-question textarea").fill("What colour is the star?")
    page.locator("#ask-pictures").click()
    page.wait_for_function(
        """() => { const all = [...document.querySelectorAll('#ask-said .statements p')].map(p => p.innerText.trim());
            return all.length == 4 && all.every(text => text && text != '…'); }""",
        timeout=60_000,
    )
    assert page.locator("#ask-said .statements img").count() == 4
    assert [name.split("]")[0] for name in page.locator("#ask-said .statements b").all_inner_texts()] == ["[1", "[2", "[3", "[4"]
    page.locator("#ask-pictures").wait_for(state="visible")


def test_the_chat_model_writes_captions_for_pictures_without_one_and_they_are_found(open_page, own_desk):
    page = open_page(url=own_desk.url)
    open_library(page)
    page.get_by_role("button", name="Add pictures").click()
    page.locator("#drop-pictures input[type=file]").set_input_files(str(EXAMPLES / "pair.png"))
    page.locator("#library-head", has_text="201").wait_for(timeout=30_000)
    page.get_by_role("button", name="Captions by the chat model").click()
    page.locator("#captions-said", has_text="Pictures without a caption: 1.").wait_for(timeout=20_000)
    page.locator("#start-captions").click()
    page.locator("#captions-said", has_text="Captions written: 1.").wait_for(timeout=60_000)
