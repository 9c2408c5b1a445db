"""A person at the browser looks through the picture library: searches, looks closely, asks about, marks, removes, adds and labels."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from multimodal.demo.library import draw_library
from multimodal.demo.world import paint
from tests.ui.page import photograph

SECONDS = 30_000


def open_library(page) -> None:
    page.get_by_role("tab").nth(1).click()
    page.locator(".tiles li").first.wait_for(timeout=SECONDS)


def search(page, words: str, headline: str) -> None:
    """Type; wait until others are in the gallery, or none, and until that is said above it."""
    page.evaluate("document.querySelector('.tiles')?.setAttribute('data-before', '')")
    page.locator("#search-box textarea").fill(words)
    page.locator("#search-box textarea").press("Enter")
    page.wait_for_function("() => !document.querySelector('.tiles[data-before]')", timeout=SECONDS)
    see(page, "#found", headline)


def see(page, where: str, text: str) -> None:
    page.locator(where, has_text=text).first.wait_for(timeout=SECONDS)


def names(page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.tiles .under')].map((each) => each.title)")


def look_closely(page, place: int = 0) -> str:
    """Open the picture there; its name."""
    name = names(page)[place]
    page.locator(".tiles .look").nth(place).click()
    see(page, "#facts h4", name)
    return name


def fits(page, width: int) -> bool:
    return page.evaluate("document.documentElement.scrollWidth") <= width


def test_words_of_both_languages_find_pictures_and_what_is_not_there_is_said(open_page):
    page = open_page()
    open_library(page)
    see(page, "#found", "newest first")
    see(page, "#library-head", "understands English and Chinese")
    search(page, "a red circle", "pictures match")
    assert all("red-circle" in name for name in names(page)[:3])
    photograph(page, "library")
    search(page, "红色的圆形", "pictures match")
    assert all("red-circle" in name for name in names(page)[:3])
    search(page, "a steam locomotive", "Nothing here matches")
    see(page, "#found", "The nearest picture scores")
    assert names(page) == []
    page.locator("#show-nearest").click()
    see(page, "#found", "nearest pictures, however unlike")
    assert len(names(page)) == 12
    page.locator("#all-pictures").click()
    see(page, "#found", "newest first")
    assert page.locator("#search-box textarea").input_value() == ""


def test_a_dropped_picture_finds_those_like_it_and_a_wrong_file_is_told(open_page, tmp_path):
    sample = draw_library(40)[21]
    picture, wrong = tmp_path / "mine.png", tmp_path / "notes.jpg"
    paint(sample.scene, 200).save(picture)
    wrong.write_text("no picture")
    page = open_page()
    open_library(page)
    page.locator("#search-box input[type=file]").set_input_files(str(picture))
    page.locator("#search-box .thumbnail-item").wait_for(timeout=SECONDS)
    page.locator("#search-box textarea").press("Enter")
    see(page, "#found", "match")
    assert names(page)[0] == sample.name
    page.locator("#search-box input[type=file]").set_input_files(str(wrong))
    page.locator("#search-box .thumbnail-item").nth(1).wait_for(timeout=SECONDS)
    page.locator("#search-box textarea").press("Enter")
    see(page, "#library-said", "notes.jpg is not a picture")
    assert names(page)[0] == sample.name  # what was shown stays


def test_a_picture_is_seen_closely_asked_about_and_leads_to_more_like_it(open_page):
    page = open_page()
    open_library(page)
    search(page, "a red circle", "pictures match")
    name = look_closely(page)
    page.locator("#preview img").wait_for(timeout=SECONDS)
    see(page, "#facts", "Score")
    page.locator("#more-like-this").click()
    see(page, "#found", f"Like {name}")
    assert name not in names(page)
    page.locator("#details").wait_for(state="hidden")
    page.locator("#all-pictures").click()
    see(page, "#found", "newest first")
    name = look_closely(page, 1)
    page.locator("#ask-about").click()
    page.locator("#box .thumbnail-item").wait_for(timeout=SECONDS)
    assert page.get_by_role("tab", name="Chat").get_attribute("aria-selected") == "true"
    assert page.locator(f"#box [alt*='{Path(name).stem}'], #box [title*='{Path(name).stem}'], #box img[src*='{Path(name).stem}']").count()


def test_pictures_are_marked_saved_removed_and_brought_back(open_page):
    page = open_page()
    open_library(page)
    search(page, "a green triangle", "pictures match")
    before = names(page)
    for place in (0, 2):
        page.locator(".tiles .left").nth(place).click()
    see(page, "#selected-count", "2 selected")
    with page.expect_download() as saved:
        page.locator("#export-csv").click()
    with Path(saved.value.path()).open(encoding="utf-8-sig", newline="") as file:
        assert [row["image_name"] for row in csv.DictReader(file)] == [before[0], before[2]]
    page.locator("#remove-selected").click()
    see(page, "#undo-text", "2 pictures were taken out of the library. The files on your disk stay.")
    page.wait_for_function("count => document.querySelectorAll('.tiles li').length === count", arg=len(before) - 2)
    page.get_by_role("radio", name="中文").click()
    see(page, "#undo-text", "已从图片库移除 2 张图片")
    page.locator("#undo").click()
    see(page, "#undo-text", "已恢复 2 张图片")
    assert names(page) == before


def test_a_folder_is_added_and_taken_out_again(open_page, tmp_path):
    folder = tmp_path / "holiday"
    folder.mkdir()
    Image.new("RGB", (300, 200), "#123456").save(folder / "dusk.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    page = open_page()
    open_library(page)
    page.locator("#adding button").first.click()
    page.locator("#add-folder input, #add-folder textarea").first.fill(str(folder))
    page.locator("#add").click()
    page.locator("#failures", has_text="torn.jpg is damaged").wait_for(timeout=SECONDS)
    page.locator("#failures summary").click(timeout=SECONDS)
    page.locator("#filters button").first.click()
    page.locator("#name-has input, #name-has textarea").first.fill("dusk")
    page.locator("#apply").click()
    page.wait_for_function("() => document.querySelectorAll('.tiles li').length === 1", timeout=SECONDS)
    assert names(page) == ["dusk.png"]
    look_closely(page)
    see(page, "#facts", str(folder))
    page.locator("#folders input").click()
    page.get_by_role("option", name="holiday").click()
    page.locator("#drop-folder").click()
    see(page, "#undo-text", "The files in it stay")
    see(page, "#found", "No picture passes these filters")
    assert (folder / "dusk.png").exists()


def test_pictures_are_labelled_with_words(open_page):
    page = open_page()
    open_library(page)
    search(page, "a red circle", "pictures match")
    page.locator("#labels button").first.click()
    page.locator("#label-words textarea, #label-words input").first.fill("红色, 蓝色")
    page.locator("#label-pictures").click()
    see(page, "#labels-table", "红色")
    count = len(names(page))
    rows = page.locator("#labels-table tbody tr").all_inner_texts()
    assert len(rows) == count
    assert sum("红色" in row for row in rows) >= count - 1
    with page.expect_download() as saved:
        page.locator("#labels-csv").click()
    with Path(saved.value.path()).open(encoding="utf-8-sig", newline="") as file:
        assert [row["image_name"] for row in csv.DictReader(file)] == names(page)


@pytest.mark.parametrize(("locale", "scheme"), [("zh-CN", "dark"), ("en-US", "light")])
def test_the_library_fits_a_phone(open_page, locale, scheme):
    page = open_page(390, 844, locale, scheme)
    open_library(page)
    assert fits(page, 390)
    search(page, "红色的圆形" if locale == "zh-CN" else "a red circle", "匹配" if locale == "zh-CN" else "pictures match")
    photograph(page, f"library-phone-{locale[:2]}")
    look_closely(page)
    page.locator("#preview img").wait_for(timeout=SECONDS)
    assert fits(page, 390)
    assert page.locator("#ask-about").is_visible()
    photograph(page, f"library-details-{locale[:2]}")
    page.locator("#close-details").click()
    page.locator("#details").wait_for(state="hidden")
    for each in ("#filters", "#adding", "#duplicates", "#labels"):
        page.locator(f"{each} button").first.click()
    page.locator("#label-words").wait_for()
    assert fits(page, 390)
