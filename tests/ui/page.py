"""What a person does on the page, and what they see there."""

from __future__ import annotations

import os
from pathlib import Path

SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder: then the pictures of the README are written there


def drop(page, *files: Path) -> None:
    """Drop files onto the box, as a mouse does."""
    page.locator("#box input[type=file]").set_input_files([str(file) for file in files])
    page.locator("#box .thumbnail-item").nth(len(files) - 1).wait_for(timeout=20_000)


def ask(page, text: str) -> None:
    page.locator("#box textarea").fill(text)
    page.locator("#box textarea").press("Enter")


def answers(page) -> list[str]:
    return [text.strip() for text in page.locator("#conversation .bot.message").all_inner_texts()]


def again(page, act) -> str:
    """What stands in the last answer's place once `act` has had it made anew."""
    page.evaluate(
        """() => { window.began = false; new MutationObserver(() => {
            const all = document.querySelectorAll('#conversation .bot.message');
            window.began ||= all.length > 0 && all[all.length - 1].innerText.trim().endsWith('…');
        }).observe(document.querySelector('#conversation'), {subtree: true, childList: true, characterData: true}); }"""
    )
    act()
    page.wait_for_function("window.began", timeout=30_000)
    return wait_for_answer(page)


def wait_for_answer(page, count: int = 1, seconds: float = 60) -> str:
    """The text of answer number `count`, once it is complete."""
    page.wait_for_function(
        """count => { const all = document.querySelectorAll('#conversation .bot.message');
            return all.length >= count && !all[all.length - 1].innerText.trim().endsWith('…')
                && !document.querySelector('#box .stop-button'); }""",
        arg=count,
        timeout=seconds * 1000,
    )
    return answers(page)[count - 1]


def photograph(page, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
