"""A person at the browser: drops a picture, asks, watches the answer come, stops another, switches the language."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from multimodal.data_dir import open_data_dir
from multimodal.desk import Desk
from multimodal.settings import Settings
from multimodal.ui.screen import CSS, THEME, make_screen
from tests.conftest import EXAMPLES
from tests.tiny import write_tiny_omni
from tests.ui.conftest import CHROMIUM
from tests.ui.page import again, answers, ask, drop, photograph, wait_for_answer

SEEN = "(document.querySelector('#conversation .bot.message')?.innerText.length || 0)"  # characters of the first answer


@dataclass
class Endless:
    """Where the desk of `endless` listens, and how many words its model has said so far."""

    url: str = ""
    words: int = 0


@pytest.fixture(scope="module")
def endless(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endless]:
    """A desk in this process whose model can speak, comes to no end by itself (an answer would take two minutes), and says no more words a
    second than a large one: the page can show them as they come.
    """
    folder = tmp_path_factory.mktemp("endless")
    open_data_dir(folder / "data")
    desk = Desk(Settings(model_path=str(write_tiny_omni(folder / "endless")), data_dir=folder / "data", max_new_tokens=4000))
    desk.open()
    while desk.status == "loading":
        time.sleep(0.01)
    found = Endless()

    def one_more(*_: object) -> None:
        found.words += 1
        time.sleep(0.03)

    desk.model.model.thinker.register_forward_pre_hook(one_more)
    screen = make_screen(desk)
    _, url, _ = screen.launch(
        prevent_thread_lock=True, quiet=True, theme=THEME, css=CSS, ssr_mode=False, run_history=False, enable_monitoring=False
    )
    found.url = url.rstrip("/")
    yield found
    screen.close()
    desk.close()


def test_a_dropped_picture_is_asked_about_and_the_answer_comes_in_pieces(open_page):
    page = open_page()
    page.evaluate(
        """() => { window.seen = []; new MutationObserver(() => {
            const all = document.querySelectorAll('#conversation .bot.message'); const last = all[all.length - 1];
            if (last && window.seen[window.seen.length - 1] !== last.innerText) window.seen.push(last.innerText);
        }).observe(document.querySelector('#conversation'), {subtree: true, childList: true, characterData: true}); }"""
    )
    drop(page, EXAMPLES / "pair.png")
    ask(page, "What can you do?")
    answer = wait_for_answer(page)
    pieces = [text.strip() for text in page.evaluate("window.seen") if text.strip() and answer.startswith(text.strip())]
    assert len(pieces) >= 3, pieces
    assert all(len(earlier) < len(later) for earlier, later in itertools.pairwise(pieces))
    assert page.locator("#conversation img[alt*='pair']").count() or page.locator("#conversation .user img").count()
    drop(page, EXAMPLES / "shapes.png")
    ask(page, "Describe the picture.")
    assert wait_for_answer(page, 2)
    photograph(page, "chat")


def test_stop_ends_an_answer_midway_and_the_next_question_works(open_page, endless):
    page = open_page(url=endless.url)
    page.locator("#settings button").first.click()
    ask(page, "Tell me everything.")
    page.locator("#box .stop-button").wait_for(timeout=30_000)
    page.wait_for_function(f"{SEEN} > 20", timeout=60_000)
    page.locator("#box .stop-button").click(force=True)  # text is arriving: the page does not hold still
    assert "Stopped." in wait_for_answer(page)
    said = endless.words
    page.get_by_label("Longest answer").first.fill("10")
    ask(page, "And now?")
    assert wait_for_answer(page, 2)
    assert endless.words == said + 10  # of the stopped answer not one more


def test_the_language_follows_the_browser_and_can_be_switched(open_page):
    page = open_page(locale="zh-CN")
    page.get_by_role("tab", name="对话").wait_for()
    page.get_by_role("radio", name="English").click()
    page.get_by_role("tab", name="Chat").wait_for()
    assert "bundled demo model" in page.locator("#banner").inner_text()
    page.get_by_role("radio", name="中文").click()
    page.get_by_role("tab", name="对话").wait_for()
    assert "演示模型" in page.locator("#banner").inner_text()
    page.reload()  # the choice is kept
    page.get_by_role("tab", name="对话").wait_for()


def test_it_fits_a_phone_in_the_dark(open_page):
    page = open_page(390, 844, "zh-CN", "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.body.classList.contains('dark')")
    page.locator("#conversation button.example").first.click()
    assert wait_for_answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    photograph(page, "phone")


def test_the_look_can_be_changed_and_is_kept(open_page):
    page = open_page()
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.locator("#theme").click()
    assert page.evaluate("document.body.classList.contains('dark')")
    page.reload()
    page.locator("#box textarea").wait_for()
    page.wait_for_function("document.body.classList.contains('dark')")


def test_every_example_works_on_first_click(open_page):
    page = open_page()
    examples = page.locator("#conversation button.example")
    for number in range(6):
        examples.nth(number).click()
        answer = wait_for_answer(page)
        assert answer, number
        assert "⚠" not in answer, number
        page.get_by_role("button", name="Clear").first.click()
        examples.nth(5).wait_for()


def test_a_wrong_file_gets_a_sentence_and_the_question_stays_in_the_box(open_page, tmp_path):
    page = open_page()
    wrong = tmp_path / "holiday.jpg"
    wrong.write_text("not a picture")
    drop(page, wrong)
    ask(page, "What is this?")
    page.wait_for_function("() => document.querySelector('#conversation')?.innerText.includes('⚠')", timeout=30_000)
    assert "holiday.jpg is not a picture" in answers(page)[0]
    assert page.locator("#box textarea").input_value() == "What is this?"
    page.locator("#box .thumbnail-item").wait_for()
    page.locator("#box .delete-button").first.click()
    ask(page, "Hello")
    page.wait_for_function("() => !document.querySelector('#conversation').innerText.includes('⚠')", timeout=30_000)
    assert wait_for_answer(page)


def test_edit_retry_undo_and_clear(open_page):
    page = open_page()
    ask(page, "Hello")
    first = wait_for_answer(page)
    assert again(page, page.get_by_role("button", name="Retry").click) == first
    page.get_by_role("button", name="Edit").click()
    page.locator("#conversation textarea").fill("Who are you?")
    assert again(page, page.locator("#conversation").get_by_label("Submit").click) != first
    ask(page, "Thanks!")
    wait_for_answer(page, 2)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("() => document.querySelectorAll('#conversation .bot.message').length === 1", timeout=20_000)
    assert page.locator("#box textarea").input_value() == "Thanks!"
    page.get_by_role("button", name="Clear").first.click()
    page.locator("#conversation button.example").first.wait_for(timeout=20_000)


def test_a_question_with_a_picture_can_be_edited(open_page):
    page = open_page()
    drop(page, EXAMPLES / "shapes.png")
    ask(page, "What colour is it?")
    first = wait_for_answer(page)
    page.get_by_role("button", name="Edit").last.click()
    page.locator("#conversation textarea").last.fill("What shape is it?")
    assert again(page, page.locator("#conversation").get_by_label("Submit").last.click) != first
    assert page.locator("#conversation .user img").count() == 1


def test_after_a_refusal_retry_and_undo_are_about_the_refused_question(open_page, tmp_path):
    page = open_page()
    ask(page, "Hello")
    first = wait_for_answer(page)
    wrong = tmp_path / "holiday.jpg"
    wrong.write_text("not a picture")
    drop(page, wrong)
    ask(page, "What is this?")
    refused = wait_for_answer(page, 2)
    assert "holiday.jpg is not a picture" in refused
    again(page, page.get_by_role("button", name="Retry").click)
    assert answers(page) == [first, refused]
    page.locator("#box textarea").fill("")
    page.get_by_role("button", name="Undo").last.click()
    page.wait_for_function("() => !document.querySelector('#conversation').innerText.includes('⚠')", timeout=20_000)
    page.wait_for_function("() => document.querySelector('#box textarea').value === 'What is this?'", timeout=20_000)
    assert answers(page) == [first]


def test_a_question_sent_off_during_an_answer_stays_in_the_box_and_clear_ends_the_answer(open_page, endless):
    page = open_page(url=endless.url)
    ask(page, "Tell me everything.")
    page.wait_for_function(f"{SEEN} > 20", timeout=60_000)
    ask(page, "And this?")
    seen = page.evaluate(SEEN)
    page.wait_for_function(f"seen => {SEEN} > seen + 30", arg=seen, timeout=60_000)  # the answer goes on
    assert page.locator("#box textarea").input_value() == "And this?"
    assert page.locator("#conversation .user.message").count() == 1
    page.get_by_role("button", name="Clear").first.click(force=True)
    page.locator("#conversation button.example").first.wait_for(timeout=20_000)
    page.wait_for_function("!document.querySelector('#conversation .message')", timeout=20_000)
    assert not page.locator("#box .stop-button").count()
    page.locator("#box textarea").press("Enter")
    page.wait_for_function(f"{SEEN} > 20", timeout=60_000)  # the model is free
    page.locator("#box .stop-button").click()
    assert wait_for_answer(page)
    assert [text.strip() for text in page.locator("#conversation .user.message").all_inner_texts()] == ["And this?"]


def test_a_picture_that_a_text_names_is_not_fetched_from_elsewhere(open_page):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    page = open_page()
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):  # the browser refuses to fetch it
        ask(page, f"Hello ![](http://127.0.0.1:{server.server_port}/told)")
        wait_for_answer(page)
    server.shutdown()
    assert asked == []


def test_the_language_can_be_switched_from_the_keyboard(open_page):
    page = open_page()
    page.wait_for_function("() => document.querySelector('#theme').getAttribute('aria-label') === 'Light / dark'")
    assert page.evaluate("document.documentElement.lang") == "en"
    page.get_by_role("radio", name="English").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("tab", name="对话").wait_for()
    page.wait_for_function("() => document.documentElement.lang === 'zh'")


def test_an_answer_can_be_heard_where_the_model_speaks(open_page, endless):
    page = open_page(url=endless.url)
    page.locator("#settings button").first.click()
    page.get_by_label("Answer aloud").wait_for(timeout=20_000)
    assert page.get_by_label("Voice").first.is_visible()


def test_the_microphone_records_a_question(open_page):
    page = open_page()
    page.locator("#box .microphone-button").click()
    page.get_by_label("Start recording").click()
    page.locator("#box", has_text="0:01").wait_for(timeout=20_000)
    page.get_by_label("Stop recording").click()
    page.get_by_label("Attach audio").click()
    page.locator("#box .thumbnail-item").wait_for(timeout=20_000)
    ask(page, "What is said?")
    assert "⚠" not in wait_for_answer(page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_browser_is_the_one_that_is_driven():
    assert "Chrom" in subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout
