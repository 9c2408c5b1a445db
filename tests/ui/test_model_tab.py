"""What the model tab says of a plan, what it fetches and loads, and what it refuses a visitor."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from low_vram.budget import Machine
from low_vram.footprint import measure, read_config
from low_vram.plan import Plan, make_plan
from low_vram.request import Request
from multimodal.chat import download
from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.events import Done, Notice, Text
from multimodal.chat.options import Options
from multimodal.data_dir import open_data_dir
from multimodal.desk import DEMO_MODEL, Desk
from multimodal.errors import UserError
from multimodal.settings import Settings
from multimodal.ui.about import about, status_line
from multimodal.ui.answering import Answering, Choices
from multimodal.ui.chat_tab import ChatTab
from multimodal.ui.gauge import gauge
from multimodal.ui.model_choice import choose
from multimodal.ui.model_tab import ModelTab
from multimodal.ui.phrases import PHRASES
from multimodal.ui.plan_text import plan_html, reason_lines
from multimodal.ui.screen import make_screen
from tests import hub as hub_fixtures
from tests.conftest import EXAMPLES
from tests.hub import LAST, NAME, SHARD, SHARD_BYTES
from tests.tiny import write_tiny_omni

surroundings, servers, hub = hub_fixtures.surroundings, hub_fixtures.servers, hub_fixtures.hub

GIB = 2**30
LANGUAGES = ("en", "zh")


@pytest.fixture(scope="module")
def footprint():
    return measure(read_config("7b"))


def opened(data_dir: Path, **settings: object) -> Desk:
    """A desk whose model is there, the demo model if no other is set."""
    open_data_dir(data_dir)
    made = Desk(Settings(data_dir=data_dir, **settings))
    made.open_model()
    until(lambda: made.status != "loading")
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk that was not opened: nothing is loaded."""
    return Desk(Settings(data_dir=tmp_path))


def tab_of(desk: Desk) -> ModelTab:
    with gr.Blocks():
        return ModelTab(desk, gr.Radio(["en", "zh"]))


@pytest.fixture
def tab(desk: Desk) -> ModelTab:
    return tab_of(desk)


@pytest.fixture
def open_tab(tmp_path: Path) -> ModelTab:
    """That of a desk whose demo model is there."""
    return tab_of(opened(tmp_path))


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def last(steps: Iterator[list]) -> list:
    *_, end = steps
    return end


def visible(update: dict) -> bool:
    return update["visible"]


# A plan in words


def card_plan(footprint, device: float | None = 8, host: float = 24) -> Plan:
    machine = Machine(None if device is None else int(device * GIB), int(host * GIB))
    return make_plan(footprint, machine, Request(pictures=((3000, 4000),), video=60, speech=True))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("device", "host"), [(8, 24), (6, 24), (24, 64), (None, 12)])
def test_a_plan_says_its_parts_its_peaks_and_its_reasons(footprint, language, device, host):
    plan = card_plan(footprint, device, host)
    text = plan_html(plan, "A <b> model", language)
    assert text.count('scope="row"') == len(plan.part_bytes) == 7
    assert text.count('role="meter"') == (1 if device is None else 2)
    assert reason_lines(plan, language)
    for line in reason_lines(plan, language):
        assert f"<li>{line.replace('<', '&lt;').replace(chr(39), '&#x27;')}</li>" in text
    assert "A &lt;b&gt; model" in text
    assert f"{plan.limits.pixels:,}" in text
    assert ("显卡" in text) == (language == "zh" and device is not None) or device is None


def test_the_reasons_of_a_plan_are_of_the_model_not_of_the_question_it_was_made_for(footprint):
    plan = card_plan(footprint)
    assert [reason.code for reason in plan.reasons if reason.code.startswith("cut_")]
    assert len(reason_lines(plan, "en")) == len([reason for reason in plan.reasons if not reason.code.startswith("cut_")])


def test_where_a_part_is_is_said_in_plain_words(footprint):
    rows = re.findall(r"<tr><th scope=.row.[^>]*>(.*?)</th>.*?<td>([^<]*)</td></tr>", plan_html(card_plan(footprint), "x", "en"))
    places = dict(rows)
    assert places["Word table"] == "in memory, its rows go to the card"
    assert places["Eyes (vision tower)"] == "in memory, on the card while at work"
    assert set(re.findall(r"<td>([^<]*)</td></tr>", plan_html(card_plan(footprint, None), "x", "en"))) == {"in memory"}


def test_every_phrase_is_there_in_both_languages_with_the_same_facts():
    for name, (english, chinese) in PHRASES.items():
        facts = [sorted(set(re.findall(r"{(\w+)}", text))) for text in (english, chinese)]
        assert facts[0] == facts[1], name


# The gauge


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_gauge_can_be_read_without_being_seen(desk, language):
    bars = re.findall(r'role="meter" aria-label="([^"]+)".*?aria-valuenow="(\d+)" aria-valuetext="([^"]+)"', gauge(desk, language))
    ((label, now, text),) = bars
    memory = desk.memory()
    assert label == ("内存" if language == "zh" else "Memory")
    assert abs(int(now) - 100 * memory.host_used / memory.host_total) <= 2
    assert "GiB" in text


def test_the_gauge_remembers_the_most_that_was_used(desk):
    held = bytearray(os.urandom(1)) * (300 * 2**20)
    most = desk.memory().host_used
    del held
    peak = float(re.search(r"([\d.]+) at most", gauge(desk, "en"))[1])
    assert peak >= most / GIB - 0.06


def test_a_card_has_a_bar_of_its_own(desk, monkeypatch):
    memory = replace(desk.memory(), device="cuda:0", device_name="Card", device_used=3 * GIB, device_total=8 * GIB)
    monkeypatch.setattr(desk, "memory", lambda: memory)
    monkeypatch.setattr("multimodal.ui.gauge._device_peak", lambda device, used: 6 * GIB)
    text = gauge(desk, "en")
    assert text.index("Graphics memory") < text.index('aria-label="Memory"')
    assert "3.0 GiB now · 6.0 at most so far · 8.0 in all" in text
    assert 'style="left:75.0%"' in text


# Choosing


def show(tab: ModelTab, kind: str = "demo", folder: str = "", name: str = "", hub: str = "huggingface", language: str = "en") -> Iterator:
    return tab.show_plan(kind, folder, name, hub, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plan_is_shown_before_anything_is_loaded(tab, tmp_path, language):
    folder = write_tiny_omni(tmp_path / "tiny", speaks=False)
    first, *_, end = show(tab, "folder", f' "{folder}" ', language=language)
    assert ("正在计算" if language == "zh" else "Working out") in first[1]
    chosen, said, plan, load, anyway, fetch = end
    assert (chosen.path, said) == (str(folder), "")
    assert ("放得下" if language == "zh" else "It fits.") in plan
    assert [visible(each) for each in (load, anyway, fetch)] == [True, False, False]
    assert tab.desk.demo


def test_what_does_not_fit_can_be_loaded_anyway(open_tab):
    tab, desk = open_tab, open_tab.desk
    desk.settings = replace(desk.settings, memory_budget=2**27)
    _, _, plan, load, anyway, _ = last(show(tab))
    assert "It does not fit." in plan
    assert [visible(load), visible(anyway)] == [False, True]
    chosen = choose("demo", "", "", "huggingface", desk.settings)
    for act, status in ((tab.load_it, "failed"), (tab.load_anyway, "ready")):
        act(chosen, "en")
        until(lambda: desk.status != "loading")
        assert desk.status == status


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all", "~nobody-here/x", "\0", "assets/examples"])
def test_a_folder_without_a_model_is_told(tab, folder):
    chosen, said, plan, *buttons = last(show(tab, "folder", folder))
    assert "No model was found" in said
    assert plan == ""
    assert not any(visible(each) for each in buttons)
    assert chosen is None or chosen.failure.code == "model_not_found"


def test_what_can_be_no_name_is_told(tab):
    assert "has no model called" in last(show(tab, "name", name="../etc"))[1]


@pytest.mark.parametrize("kind", ["3b", "7b"])
def test_a_published_model_is_planned_before_it_is_downloaded(tab, monkeypatch, kind):
    def unreachable(*_):
        raise UserError("hub_unreachable", hub="Hugging Face", reason="none")

    monkeypatch.setattr(download, "plan", unreachable)
    chosen, said, plan, load, anyway, fetch = last(show(tab, kind))
    assert "cannot be reached" in said
    assert chosen.path == f"Qwen/Qwen2.5-Omni-{kind.upper()}"
    assert plan.count('scope="row"') == 7
    assert not any(visible(each) for each in (load, anyway, fetch))


# Downloading


def fetched(tab: ModelTab) -> None:
    chosen, *_, fetch = last(show(tab, "name", name=NAME))
    assert visible(fetch)
    tab.start_download(chosen, "en")
    until(lambda: not tab.box.running)


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_size_and_room_are_told_before_a_download(hub, tab, source):
    *_, asking, (chosen, said, plan, load, anyway, fetch) = show(tab, "name", name=f" {NAME} ", hub=source)
    assert "Asking" in asking[1]
    assert re.search(r"620 KB of 620 KB are to be fetched, and [\d.]+ [GM]B are free", said), said
    assert (plan, chosen.source.name) == ("", NAME)
    assert [visible(each) for each in (load, anyway, fetch)] == [False, False, True]
    assert hub.asked == []


def test_a_download_shows_its_bytes_is_cancelled_and_goes_on(hub, tab):
    hub.holds[SHARD] = SHARD_BYTES // 2
    chosen = last(show(tab, "name", name=NAME))[0]
    *_, timer = tab.start_download(chosen, "en")
    assert timer["active"]
    until(lambda: tab.box.download.progress.done > SHARD_BYTES // 3)
    shown = tab.refresh("en", changed=True)[2]
    assert 'role="progressbar"' in shown["value"]
    assert re.search(r"\d+ KB of 620 KB", shown["value"])
    assert "is being downloaded already" in tab.start_download(chosen, "en")[1]
    tab.stop_download("en")
    until(lambda: not tab.box.running)
    assert "goes on from there" in tab.refresh("en", changed=True)[2]["value"]
    sent = hub.sent[SHARD]
    fetched(tab)
    assert hub.sent[SHARD] == SHARD_BYTES > sent > 0
    assert "is here" in tab.refresh("en", changed=True)[2]["value"]


def test_a_download_that_fails_is_told_in_one_sentence(hub, tab):
    hub.damages = {LAST: 2}
    fetched(tab)
    for language, said in (("en", "arrived damaged"), ("zh", "损坏")):
        assert said in tab.refresh(language, changed=True)[2]["value"]


def test_a_disk_without_room_is_told(hub, tab, monkeypatch):
    chosen = last(show(tab, "name", name=NAME))[0]
    monkeypatch.setattr(download.Plan, "free", 1000)
    assert "has 1.0 KB free" in tab.start_download(chosen, "en")[1]
    assert tab.box.download is None


def test_a_downloaded_model_is_used_from_the_data_folder(hub, open_tab, tmp_path):
    tab = open_tab
    folder = write_tiny_omni(tmp_path / "tiny", speaks=False)
    hub.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    fetched(tab)
    asked = len(hub.tokens)
    chosen, said, _, load, _, fetch = last(show(tab, "name", name=NAME))
    assert (chosen.source, said) == (None, "")
    assert [visible(load), visible(fetch)] == [True, False]
    tab.load_it(chosen, "en")
    until(lambda: tab.desk.status != "loading")
    assert (tab.desk.status, tab.desk.model_name) == ("ready", "Tiny-Omni")
    assert len(hub.tokens) == asked


# Loading


def test_loading_shows_its_bytes_and_can_be_cancelled(open_tab, monkeypatch):
    tab, desk = open_tab, open_tab.desk

    def slow(path, device, wishes, progress):
        from low_vram.load import Cancelled

        done = 0
        while progress(done := min(done + 10**6, 9 * 10**8), 10**9):
            time.sleep(0.01)
        raise Cancelled

    monkeypatch.setattr("multimodal.desk.load", slow)
    before = tab.state()
    *_, timer = tab.load_it(choose("demo", "", "", "huggingface", desk.settings), "en")
    assert timer["active"]
    until(lambda: desk.loading and desk.loading.done > 10**7)
    assert tab.state() != before
    _, bar, _, timer, _, cancel, unload, *_ = tab.refresh("en", changed=True)
    assert re.search(r"[\d.]+ MB of 1.0 GB, [\d:]+ left", bar["value"])
    assert (timer["active"], visible(cancel), visible(unload)) == (True, True, False)
    assert "still loading" in tab.load_it(choose("demo", "", "", "huggingface", desk.settings), "en")[1]
    tab.cancel_loading("en")
    until(lambda: desk.status == "failed")
    assert "was cancelled" in tab.refresh("en", changed=True)[4]
    assert tab.refresh("en", changed=True)[3]["active"] is False


def test_unloading_is_told_and_the_next_question_loads_again(open_tab):
    tab, desk = open_tab, open_tab.desk
    assert visible(tab.refresh("en", changed=True)[6])
    tab.unload_now("en")
    assert desk.status == "unloaded"
    for language, said in (("en", "The next question loads it again"), ("zh", "下次提问时会重新加载")):
        assert said in about(desk, language)
    assert "next question" in status_line(desk, "en")
    assert list(desk.answer(Conversation().asked(Turn("Hello")), Options(max_new_tokens=4), threading.Event()))[-1].text


def test_a_model_without_voices_says_why_it_is_mute(tmp_path):
    folder = write_tiny_omni(tmp_path / "tiny")
    (folder / "spk_dict.pt").unlink()
    desk = opened(tmp_path / "data", model_path=str(folder))
    assert "spk_dict.pt is missing" in about(desk, "en")
    assert "缺少 spk_dict.pt" in about(desk, "zh")


# Visitors


@pytest.mark.parametrize("where", [{"share": True}, {"host": "0.0.0.0"}, {"host": "192.168.1.5"}])
def test_a_visitor_names_no_model_and_starts_no_download(tmp_path, hub, where):
    desk = Desk(Settings(data_dir=tmp_path, **where))
    tab = tab_of(desk)
    chosen = choose("name", "", NAME, "huggingface", desk.settings).looked_up(tmp_path)
    asked = len(hub.tokens)
    acts = [
        lambda: tab.pick("folder", "en"),
        lambda: list(show(tab, "folder", str(DEMO_MODEL))),
        lambda: list(show(tab, "name", name=NAME)),
        lambda: tab.load_it(chosen, "en"),
        lambda: tab.load_anyway(chosen, "en"),
        lambda: tab.start_download(chosen, "en"),
        lambda: tab.stop_download("en"),
        lambda: tab.cancel_loading("en"),
        lambda: tab.unload_now("en"),
    ]
    for act in acts:
        with pytest.raises(gr.Error, match="on the computer that the desk runs on"):
            act()
    assert (desk.path, desk.loading, tab.box.download, len(hub.tokens)) == (None, None, None, asked)


def test_whatever_the_screen_does_with_models_refuses_visitors(tmp_path):
    screen = make_screen(Desk(Settings(data_dir=tmp_path, share=True)))
    found = 0
    for each in screen.fns.values():
        owner = getattr(each.fn, "__self__", None)
        if isinstance(owner, ModelTab):
            found += 1
            with pytest.raises(gr.Error):
                list(each.fn(*[None] * (len(each.inputs) - 1), "en"))
    assert found == 8
    hidden = [block for block in screen.blocks.values() if getattr(block, "elem_id", None) == "choosing"]
    assert [block.visible for block in hidden] == [False]


def test_a_visitor_sees_what_runs_its_plan_and_the_gauge(tmp_path):
    tab = tab_of(opened(tmp_path, share=True))
    meters, _, _, _, head, _, _, arranged, plan, _ = tab.refresh("en", changed=True)
    assert 'role="meter"' in meters
    assert "Running on the processor" in head
    assert visible(arranged)
    assert "The plan for The bundled demo model" in plan


# What a question would take


@pytest.fixture(scope="module")
def chat(tmp_path_factory) -> ChatTab:
    desk = opened(tmp_path_factory.mktemp("chat"))
    with gr.Blocks():
        return ChatTab(desk, gr.Radio(["en", "zh"]))


CHOICES = Choices("", 64, 0.0, "split", False, None, "auto")


def estimated(chat: ChatTab, *files: Path, language: str = "en", choices: Choices = CHOICES) -> str | None:
    update = chat.show_estimate({"text": "", "files": [str(file) for file in files]}, language, *choices)
    return update["value"] if update["visible"] else None


def test_attached_files_say_what_they_would_take(chat):
    assert re.fullmatch(r"About 2\d\d tokens · [\d.]+ of [\d.]+ GiB", estimated(chat, EXAMPLES / "shapes.png"))
    assert re.fullmatch(r"约 2\d\d 个 token · [\d.]+ / [\d.]+ GiB", estimated(chat, EXAMPLES / "shapes.png", language="zh"))
    assert estimated(chat) is None


def test_a_closer_look_takes_more(chat, tmp_path):
    from PIL import Image

    Image.new("RGB", (3000, 3000)).save(tmp_path / "large.png")
    counts = []
    for detail in ("fast", "auto", "fine"):
        text = estimated(chat, tmp_path / "large.png", choices=CHOICES._replace(detail=detail))
        counts.append(int(re.search(r"([\d,]+) tokens", text)[1].replace(",", "")))
    assert counts == sorted(counts)
    assert counts[0] * 2 < counts[1]


def test_what_does_not_fit_will_be_answered_with_less(chat, monkeypatch):
    model = chat.desk.model
    monkeypatch.setattr(model, "plan", replace(model.plan, machine=Machine(None, 2**27)))
    assert "answered with less" in estimated(chat, EXAMPLES / "shapes.png")


def test_files_that_cannot_be_read_say_nothing_yet(chat, tmp_path):
    broken = tmp_path / "a.png"
    broken.write_bytes(b"")
    assert estimated(chat, broken) is None
    assert estimated(chat, *[EXAMPLES / "shapes.png"] * 33) is None


def test_the_closeness_that_was_chosen_reaches_the_model_and_what_it_gave_up_is_told(desk, monkeypatch):
    asked = []

    def answer(conversation, options, stop):
        asked.append(options.detail)
        yield Notice("shrunk", {"name": "a.png", "before": "4000 × 3000", "after": "800 × 600"})
        yield Text("Yes.")
        yield Notice("less_memory", {"step": "small_pieces"})
        yield Done("Yes.", 1, 1)

    monkeypatch.setattr(desk, "answer", answer)
    messages, *_ = last(Answering(desk).answer("one", Conversation(), Conversation(), Turn("Well?"), "en", CHOICES._replace(detail="fine")))
    assert asked == ["fine"]
    assert messages[-1]["content"] == (
        "Yes.\n\n*a.png was made smaller for the memory that there is: 4000 × 3000 became 800 × 600.*\n\n"
        "*Memory ran out on the way; it went on with less.*"
    )
