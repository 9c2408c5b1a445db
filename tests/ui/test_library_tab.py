"""What the library tab shows, does and refuses, by its handlers: without a browser."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from multimodal.demo.library import draw_library, make_library
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.retrieval.encoder import MODELS
from multimodal.retrieval.progress import Progress
from multimodal.retrieval.query import read_terms
from multimodal.retrieval.records import Failure
from multimodal.settings import Settings
from multimodal.ui import encoder_box
from multimodal.ui.adding_box import failures_html, progress_html
from multimodal.ui.adding_deeds import AddingDeeds
from multimodal.ui.encoder_box import EncoderBox
from multimodal.ui.library_head import library_head
from multimodal.ui.library_phrases import LIBRARY_PHRASES
from multimodal.ui.library_tab import LibraryTab
from multimodal.ui.picture_deeds import PictureDeeds
from multimodal.ui.rights import Rights
from multimodal.ui.screen import make_screen
from multimodal.ui.search_deeds import SearchDeeds
from multimodal.ui.selection_deeds import SelectionDeeds
from multimodal.ui.shown import PAGE, Shown, Wanted, look_up
from tests.retrieval.tiny_blip import write_tiny_blip

COUNT = 70
NOBODY = 2**63  # no id can be so large
LANGUAGES = ("en", "zh")


class Tab:
    """A library tab with its handlers, over `desk`."""

    def __init__(self, desk: Desk):
        self.desk, self.library = desk, desk.library
        with gr.Blocks(), gr.Tabs() as tabs, gr.Tab("Library"):
            self.made = LibraryTab(desk, gr.Radio(["en", "zh"]), tabs, gr.MultimodalTextbox())
        made, rights = self.made, self.made.rights
        self.box, self.results, self.details, self.adding = made.search_box, made.results, made.details, made.adding
        self.finding = SearchDeeds(self.library, rights, made.search_box, made.results, made.details)
        self.selecting = SelectionDeeds(self.library, rights, made.results, made.details, made.undo_bar)
        self.picture = PictureDeeds(desk, rights, made.details, made.served)
        self.bringing = AddingDeeds(self.library, rights, made.adding, made.results, made.undo_bar)

    def search(self, text: str = "", files: tuple[Path, ...] = (), language: str = "en", **filters: object) -> dict[str, object]:
        """What the page is given, by the components' ids."""
        typed = {"sort": "likeness", "count": PAGE, "cutoff": "encoder", "threshold": 0.2} | filters
        texts = [typed.get(name, "") for name in ("since", "until", "name", "text", "folder")]
        box = {"text": text, "files": [str(file) for file in files]}
        values = [box, *(typed[name] for name in ("sort", "count", "cutoff", "threshold")), *texts, typed.get("twice", False), language]
        return told(self.finding.outputs(), self.finding.search(*values))

    @property
    def everything(self) -> Shown:
        return look_up(self.library, Wanted())


def told(components: list, values: list) -> dict[str, object]:
    """Values by the ids of their components; those of states by their place."""
    assert len(components) == len(values)
    return {
        getattr(each, "elem_id", None) or f"state {place}": value
        for place, (each, value) in enumerate(zip(components, values, strict=True))
    }


def skipped(value: object) -> bool:
    return value == gr.skip()


def shown(values: dict[str, object]) -> Shown:
    return values["state 0"]


def event(data: object) -> gr.EventData:
    return gr.EventData(None, data)


def fill(library, folder: Path, count: int) -> None:
    samples = make_library(folder, count)
    captions = [list(sample.captions.values()) for sample in samples]
    library.take([(folder / sample.name, sample.name) for sample in samples], captions, sample=True)
    assert library.adding.wait(60)


@pytest.fixture(scope="module", autouse=True)
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where gradio serves files from."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One over scenes of the toy world with the demo encoder. Whoever takes a picture out brings it back."""
    folder = tmp_path_factory.mktemp("library")
    desk = Desk(Settings(data_dir=folder / "data"))
    desk.library.open(wait=True)
    fill(desk.library, folder / "samples", COUNT)
    yield Tab(desk)
    desk.close()


@pytest.fixture
def make_tab(tmp_path: Path) -> Iterator[Callable[..., Tab]]:
    """make_tab(**settings): one over a library of its own, which is empty and has no encoder."""
    made: list[Tab] = []

    def make(**settings: object) -> Tab:
        desk = Desk(Settings(data_dir=tmp_path / f"data{len(made)}", **settings))
        desk.library.open(wait=True, encoder=False)
        made.append(Tab(desk))
        return made[-1]

    yield make
    for each in made:
        each.desk.close()


def painted(path: Path, colour: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


# What is found


def test_at_first_there_are_all_pictures_page_by_page(tab):
    values = told(tab.made.refreshed(), tab.made.refresh(None, Shown(), (), "en"))
    first = next(value for value in values.values() if isinstance(value, Shown))
    assert (len(first.hits), first.total) == (PAGE, COUNT)
    assert values["gallery"].count("<li ") == PAGE
    assert f"{PAGE} of {COUNT} pictures, newest first" in values["found"]
    assert values["show-more"]["visible"]
    more = told(tab.finding.outputs(), tab.finding.show_more(first, (), "en"))
    assert len(shown(more).hits) == COUNT
    assert not more["show-more"]["visible"]
    assert f"{COUNT} pictures, newest first" in more["found"]


def test_nothing_is_drawn_anew_that_has_not_changed(tab):
    known, *_ = tab.made.refresh(None, Shown(), (), "en")
    values = tab.made.refresh(known, tab.everything, (), "en")
    assert all(skipped(value) for value in values[-len(tab.results.outputs()) :])
    assert not skipped(tab.made.refresh(known, tab.everything, (), "zh")[-1])


def test_words_find_pictures_with_their_scores_the_likest_first(tab):
    values = tab.search("a red circle")
    scores = [score for _, score, *_ in shown(values).hits]
    assert scores == sorted(scores, reverse=True)
    assert f"<b>{scores[0]:.2f}</b>" in values["gallery"]
    assert "likest first" in values["found"]
    assert values["all-pictures"]["visible"]


def test_the_best_can_be_looked_at_twice_where_there_is_a_model_for_it(make_tab, tab, tmp_path):
    assert not tab.box.twice.visible
    assert "CROSS_MODEL" in tab.search("a red circle", twice=True)["library-said"]  # which only a forged event can ask for
    twice = make_tab(cross_model=str(write_tiny_blip(tmp_path / "blip")))
    assert twice.box.twice.visible
    fill(twice.library, tmp_path / "samples", 6)
    twice.library.switch_encoder(twice.library.encoder_path)
    twice.library.wait_for_encoder()
    assert twice.library.adding.wait(60)
    values = twice.search("a red circle", cutoff="none", twice=True)
    matches = [match for *_, match in shown(values).hits]
    assert len(matches) == 6
    assert matches == sorted(matches, reverse=True)
    assert f"<b>{matches[0]:.0%}</b>" in values["gallery"]
    assert "%</b>" not in twice.search("a red circle", cutoff="none")["gallery"]


def test_where_nothing_matches_the_nearest_score_is_told_and_can_be_seen(tab):
    values = tab.search("a red circle", cutoff="own", threshold=0.99)
    assert "Nothing here matches" in values["found"]
    assert "0.99" in values["found"]
    assert values["show-nearest"]["visible"]
    assert values["gallery"] == ""
    nearest = told(tab.finding.outputs(), tab.finding.show_nearest(shown(values), "zh"))
    assert len(shown(nearest).hits) == 12
    assert "最接近的 12 张图片" in nearest["found"]


def test_the_slider_begins_at_the_encoders_own_score_and_tells_it(tab):
    least = tab.library.encoder.matches_from
    update = tab.box.pick_cutoff("own", "en")
    assert (update["visible"], update["value"]) == (True, round(least, 2))
    assert f"Default: {least:.2f} for words" in update["info"]
    assert not tab.box.pick_cutoff("encoder", "en")["visible"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"text": "a" * 2000}, "has 2000 characters"),
        ({"text": "-people"}, "only takes away"),
        ({"text": " + ".join("abcdefghijklmnopq")}, "has 17 parts"),
        ({"since": "yesterday"}, "is no date"),
        ({"until": "2024-13"}, "is no date"),
        ({"name": "a" * 2000}, "has 2000 characters"),
        ({"text": "a", "files": (Path("/nowhere/a.png"),)}, "a.png is no longer there"),
        ({"files": tuple(Path(f"{place}.png") for place in range(17))}, "has 17 parts"),
    ],
)
def test_what_cannot_be_asked_is_told_and_what_is_shown_stays(tab, typed, said):
    values = tab.search(**typed)
    assert said in values["library-said"]
    assert all(skipped(value) for name, value in values.items() if name != "library-said")
    assert tab.search(**typed, language="zh")["library-said"] != values["library-said"]


def test_a_picture_finds_itself_and_a_file_that_is_none_is_told(tab, tmp_path):
    sample = draw_library(COUNT)[5]
    make_library(tmp_path, 6)
    values = tab.search(files=(tmp_path / sample.name,))
    assert tab.library.picture(shown(values).ids[0]).name == sample.name
    sound = tmp_path / "word.png"
    sound.write_bytes((Path(__file__).parents[2] / "assets" / "examples" / "word.wav").read_bytes())
    assert "is a sound, not a picture" in tab.search(files=(sound,))["library-said"]


def test_signs_of_sql_and_html_are_only_text(tab):
    for odd in ("%'; DROP TABLE pictures; --", '" OR 1=1', "<script>alert(1)</script>", "_"):
        values = tab.search(name=odd, text=odd)
        assert not shown(values).hits
        assert "No picture passes these filters" in values["found"]
    assert tab.library.store.count() == COUNT


def test_filters_alone_count_what_they_leave(tab):
    values = tab.search(name="circle", sort="name", count=4)
    assert len(shown(values).hits) == 4
    assert shown(values).total == tab.library.store.count(shown(values).wanted.filter) > 4
    names = [tab.library.picture(id).name for id in shown(values).ids]
    assert names == sorted(names, key=str.lower)


def test_more_like_one_shows_something_and_says_of_what(tab):
    one = tab.library.picture(tab.everything.ids[3])
    values = told([*tab.finding.outputs(), *tab.box.cleared()], tab.finding.like(event({"id": one.id}), "en"))
    assert shown(values).hits
    assert one.id not in shown(values).ids
    assert f"Like {one.name}" in values["found"]
    removal = tab.library.remove([one.id])
    assert f"Like {one.name}" in told(tab.results.outputs(), tab.results.show(shown(values), (), "en"))["found"]
    tab.library.undo(removal)
    assert values["search-box"] == {"text": "", "files": []}


def test_an_encoder_that_does_not_know_the_language_is_told(tab, monkeypatch):
    monkeypatch.setattr(tab.library.encoder, "languages", ("en",))
    assert "does not understand Chinese well" in tab.search("红色的圆形", cutoff="none")["found"]
    assert "understand" not in tab.search("a red circle")["found"]


# What the page sends


@pytest.mark.parametrize("sent", [{"id": NOBODY}, {"id": -1}, {"id": "1 OR 1"}, {"id": None}, {"id": True}, {}, [], None])
def test_an_id_that_is_none_opens_nothing(tab, sent):
    values = told(tab.details.outputs(), tab.picture.open(event(sent), tab.everything, "en"))
    assert "There is no picture" in values["details-said"]
    assert values["facts"] == ""
    liked = told([*tab.finding.outputs(), *tab.box.cleared()], tab.finding.like(event(sent), "en"))
    assert "There is no picture" in liked["library-said"]


def test_only_what_is_shown_can_be_marked(tab):
    few = replace(tab.everything, hits=tab.everything.hits[:3])
    hidden = tab.everything.ids[5]
    for sent, picked in (
        ({"ids": [few.ids[1], hidden, "x", None, True, NOBODY]}, (few.ids[1],)),
        ({"ids": "all"}, ()),
        ([], ()),
        ({"ids": list(reversed(few.ids))}, few.ids),
    ):
        values = told(tab.results.marked(), tab.selecting.pick(event(sent), few, "en"))
        assert values["state 0"] == picked
        assert skipped(values["gallery"])  # the page has drawn the marks itself
        assert values["remove-selected"]["visible"] == bool(picked)


# One picture


def test_a_picture_is_shown_with_what_is_known_of_it(make_tab, tmp_path):
    tab = make_tab()
    file = painted(tmp_path / "holiday" / "<b>dusk & dawn.jpg")
    tab.library.adding.add_files([file])
    assert tab.library.adding.wait(20)
    (id,) = tab.everything.ids
    values = told(tab.details.outputs(), tab.picture.open(event({"id": id}), tab.everything, "zh"))
    assert values["preview"].size == (40, 30)
    for part in ("&lt;b&gt;dusk &amp; dawn.jpg", "40 × 30 像素", str(file.parent)):
        assert part in values["facts"]
    assert "<b>dusk" not in values["facts"]
    assert "<b>dusk" not in tab.results.show(tab.everything, (), "en")[tab.results.outputs().index(tab.results.gallery)]
    said, captions = tab.picture.save_captions(id, "Dusk\n\n  Dawn  \nDusk", "en")
    assert "saved" in said
    assert captions == "Dusk\nDawn"
    assert [caption.origin for caption in tab.library.picture(id).captions] == ["person", "person"]
    file.unlink()
    values = told(tab.details.outputs(), tab.picture.open(event({"id": id}), tab.everything, "en"))
    assert "is not where it was" in values["details-said"]
    assert values["preview"] is not None  # the small one is still there
    assert "is not where it was" in tab.picture.fetch(id, "en")[1]


def test_a_picture_goes_into_the_chat_beside_what_is_in_the_box(tab, uploads):
    picture = tab.library.picture(tab.everything.ids[0])
    tabs, box, said = tab.picture.ask_about(picture.id, {"text": "What is it?", "files": ["/before.png"]}, "en")
    assert (tabs["selected"], said) == ("chat", "")
    assert box["text"] == "What is it?"
    before, added = map(Path, box["files"])
    assert before == Path("/before.png")
    assert added.name == picture.name
    assert added.is_relative_to(uploads)
    assert added.read_bytes() == tab.library.original(picture).read_bytes()
    _, _, said = tab.picture.ask_about(picture.id, {"text": "", "files": ["/before.png"] * 32}, "en")
    assert "There are 33 files" in said
    assert "There is no picture" in tab.picture.ask_about(None, None, "en")[2]


def test_the_page_gets_copies_of_thumbnails_and_no_folder_of_a_person(tab, uploads):
    gallery = tab.search("a red circle")["gallery"]
    assert f"gradio_api/file={uploads}" in gallery
    assert str(tab.desk.settings.data_dir) not in gallery


# Several pictures


def test_what_is_taken_out_can_come_back(tab):
    before = tab.everything
    one, two = before.ids[:2]
    values = told(tab.selecting.outputs(), tab.selecting.remove_picked(before, (one, two), one, "en"))
    assert shown(values).ids == before.ids[2:]
    assert not values["details"]["visible"]
    assert "2 pictures were taken out of the library. The files on your disk stay." in values["undo-text"]
    assert tab.library.store.count() == COUNT - 2
    removal = next(value for value in values.values() if type(value).__name__ == "Removal")
    assert "已从图片库移除 2 张图片" in tab.made.undo_bar.show(removal, "zh")[2]
    values = told(tab.selecting.outputs(), tab.selecting.undo(removal, shown(values), (), "en"))
    assert shown(values).ids == before.ids
    assert "2 pictures are back" in values["undo-text"]
    assert all(skipped(value) for value in tab.selecting.remove_picked(before, (), None, "en"))


def test_after_some_were_taken_out_there_is_still_more_to_come(tab):
    found = look_up(tab.library, replace(Wanted(read_terms("a red circle")), count=4, at_least=-1.0))
    assert found.has_more
    assert found.without(set(found.ids[:2])).has_more


def test_a_disk_that_refuses_is_told_and_a_fault_in_the_model_ends_in_a_sentence(tab, monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "nowhere" / "at all"))
    assert "labels.csv cannot be written" in list(tab.made.labels.label("circle, star", "all", tab.everything, "en"))[-1][1]
    assert "pictures.csv cannot be written" in tab.selecting.exporter("csv")(tab.everything, (), "en")[1]

    def broken(*_: object):
        raise ZeroDivisionError

    monkeypatch.setattr("multimodal.ui.ask_box.ask_library", broken)
    asking = tab.made.asking
    for _ in range(2):  # the next question can be asked
        *_, last = asking.ask("What is it?", 2, tab.everything, "en", SimpleNamespace(session_hash="one"))
        values = told(asking.outputs(), last)
        assert "ZeroDivisionError" in values["ask-said"]
        assert (values["ask-pictures"]["visible"], values["stop-asking"]["visible"]) == (True, False)


@pytest.mark.parametrize("form", ["csv", "json", "zip"])
def test_what_is_marked_is_saved_or_else_all_that_is_shown(tab, form):
    few = replace(tab.everything, hits=tab.everything.hits[:5])
    names = [tab.library.picture(id).name for id in few.ids]
    for picked, expected in (((), names), (few.ids[1:3], names[1:3])):
        path, said = tab.selecting.exporter(form)(few, picked, "en")
        assert said == ""
        if form == "csv":
            with Path(path).open(encoding="utf-8-sig", newline="") as file:
                found = [row["image_name"] for row in csv.DictReader(file)]
        elif form == "json":
            found = [row["image_name"] for row in json.loads(Path(path).read_text(encoding="utf-8"))["images"]]
        else:
            found = zipfile.ZipFile(path).namelist()
        assert found == expected


# Adding


def test_files_that_are_dropped_are_copied_and_what_is_none_is_told(make_tab, tmp_path):
    tab = make_tab()
    broken = tmp_path / "torn.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n torn")
    files = [str(painted(tmp_path / f"{place}.png", size=(20 + place, 20))) for place in range(20)]
    *steps, (_, said, timer), (emptied, *_) = tab.bringing.take([*files, str(broken)], "en")
    assert [step[1].count("progressbar") for step in steps] == [1, 1]
    assert "20 pictures are in the library now" in said
    assert "torn.png is damaged" in said
    assert (emptied, timer["active"]) == (None, True)
    for file in files:
        Path(file).unlink()
    assert tab.library.store.count() == 20
    assert tab.library.original(tab.library.picture(tab.everything.ids[0])).exists()


@pytest.mark.parametrize("typed", ["", "/nowhere/at/all", "~nobody-here/x", "\0", "a.png"])
def test_a_folder_that_is_none_is_told(tab, typed):
    for language in LANGUAGES:
        assert "⚠️" in tab.bringing.add_folder(typed, False, language)[0]
    assert tab.library.store.folders() == []


def test_a_folder_is_added_watched_and_taken_out(make_tab, tmp_path):
    tab = make_tab()
    file = painted(tmp_path / "holiday" / "dusk.png")
    said, timer = tab.bringing.add_folder(f' "{file.parent}" ', False, "en")
    assert (said, timer["active"]) == ("", True)
    assert tab.library.adding.wait(20)
    values = told(tab.adding.refreshed(), tab.adding.refresh("zh", changed=True, gone=False))
    assert "完成：处理 1" in values["adding-progress"]
    assert values["folders"]["choices"] == [(f"{file.parent}（1）", str(file.parent))]
    tab.bringing.toggle_watch(str(file.parent), "en")
    assert [folder.watched for folder in tab.library.store.folders()] == [True]
    assert "⚠️" in tab.bringing.toggle_watch("/etc", "en")[0]
    assert "⚠️" in told(tab.bringing.outputs(), tab.bringing.drop_folder("/etc", tab.everything, (), "en"))["adding-said"]
    values = told(tab.bringing.outputs(), tab.bringing.drop_folder(str(file.parent), tab.everything, (), "en"))
    assert "The files in it stay" in values["undo-text"]
    assert file.exists()
    assert tab.library.store.count() == 0
    assert "Your pictures, found by what they show" in values["found"]  # it is empty again


def test_a_folder_that_has_gone_is_chosen_no_more(make_tab, tmp_path):
    tab = make_tab()
    folders = [painted(tmp_path / name / "a.png").parent for name in ("first", "second")]
    for folder in folders:
        tab.bringing.add_folder(str(folder), False, "en")
    assert tab.library.adding.wait(20)
    known = tab.made.refresh(None, Shown(), (), "en")[0]
    tab.library.watch_folder(str(folders[0]), True)
    known, _, _, choice, *rest = tab.made.refresh(known, Shown(), (), "en")
    assert "value" not in choice
    assert "value" not in told(tab.adding.refreshed(), rest[: len(tab.adding.refreshed())])["folders"]
    tab.library.drop_folder(str(folders[0]))
    _, _, _, choice, *rest = tab.made.refresh(known, Shown(), (), "en")
    assert (choice["value"], len(choice["choices"])) == ("", 2)
    assert told(tab.adding.refreshed(), rest[: len(tab.adding.refreshed())])["folders"]["value"] is None


def test_example_pictures_go_and_come_back(make_tab, tmp_path):
    tab = make_tab()
    fill(tab.library, tmp_path / "samples", 3)
    painted(tmp_path / "mine.png")
    tab.library.take([(tmp_path / "mine.png", "mine.png")])
    assert told(tab.adding.refreshed(), tab.adding.refresh("en", changed=True, gone=False))["remove-samples"]["visible"]
    values = told(tab.bringing.outputs(), tab.bringing.remove_samples(tab.everything, (), "en"))
    assert "example pictures were taken out" in values["undo-text"]
    assert tab.library.store.count() == 1
    assert not told(tab.adding.refreshed(), tab.adding.refresh("en", changed=True, gone=False))["remove-samples"]["visible"]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            Progress("running", 12, 500, 12, 0, 0, 3.14, 155.0),
            ("12 of 500 files · 3.1 a second, 2:35 left", "12 / 500 个文件 · 每秒 3.1 个，剩余 2:35"),
        ),
        (Progress("scanning", 0, 0), ("Looking what there is", "正在查看")),
        (Progress("paused", 12, 500), ("Paused", "已暂停")),
        (Progress("cancelled", 12, 500), ("Cancelled", "已取消")),
        (Progress("idle", 15, 15, 12, 2, 1), ("12 worked through, 2 as they were, 1 could not", "处理 12，未变 2，无法读取 1")),
        (Progress("failed", 1, 2, error=UserError("library_disk_full", path="/data")), ("The disk of /data is full", "磁盘已满")),
        (Progress(), ("", "")),
    ],
)
def test_how_far_the_adding_is(now, said):
    for language, expected in zip(LANGUAGES, said, strict=True):
        text = progress_html(now, language)
        assert expected in text
        assert bool(text) == bool(expected)
        assert ("progressbar" in text) == (now.state in ("running", "scanning", "paused"))


def test_files_that_could_not_be_read_are_listed_with_their_reasons():
    failures = [
        Failure("/a/<b>.jpg", "picture_broken", {"name": "<b>.jpg"}),
        Failure("/a/c.mp3", "file_wrong_kind", {"name": "c.mp3", "found": ("a sound", "声音"), "wanted": "picture"}),
    ]
    english, chinese = (failures_html(failures, language) for language in LANGUAGES)
    assert "could not be added (2)" in english
    assert "&lt;b&gt;.jpg is damaged" in english
    assert "c.mp3 is a sound, not a picture" in english
    assert "c.mp3 是声音，不是图片" in chinese


# Duplicates and labels


def test_duplicates_go_but_the_best_of_each_group_and_come_back(make_tab, tmp_path):
    tab = make_tab()
    make_library(tmp_path / "some", 2)
    for place, file in enumerate(sorted((tmp_path / "some").iterdir())):
        with Image.open(file) as image:
            larger = image.convert("RGB").resize((400, 400))
        larger.save(tmp_path / f"{place}-large.png")
        larger.resize((200, 200)).save(tmp_path / f"{place}-small.jpg", quality=70)
    files = sorted(tmp_path.glob("?-*"))
    tab.library.take([(file, file.name) for file in files])
    box = tab.made.duplicates
    first, last = (told(box.outputs(), values) for values in box.look("en"))
    assert "Comparing" in first["duplicates-said"]
    assert "Groups: 2. Pictures that could go: 2." in last["duplicates-said"]
    assert last["duplicate-groups"].count("class=best") == 2
    groups = last["state 0"]
    assert [tab.library.picture(group.best).name for group in groups] == ["0-large.png", "1-large.png"]
    for sent in ({"ids": [1, 7, -1, "0", True]}, {"ids": [1]}):
        assert box.pick(event(sent), groups, "en")[0] == (1,)
    outputs = [*box.outputs(), *tab.made.undo_bar.outputs(), *tab.results.outputs()]
    values = told(outputs, box.clean(groups, (1,), tab.everything, (), "en"))
    assert "1-small.jpg was taken out" in values["undo-text"]
    assert sorted(tab.library.picture(id).name for id in tab.everything.ids) == ["0-large.png", "0-small.jpg", "1-large.png"]
    assert "没有重复图片" in list(make_tab().made.duplicates.look("zh"))[-1][2]


def test_labels_are_counted_listed_and_saved(tab):
    few = replace(tab.everything, hits=tab.everything.hits[:6])
    box = tab.made.labels
    _, last = (told(box.outputs(), values) for values in box.label("circle，<i>square</i>\nstar, circle", "shown", few, "en"))
    labelled = last["state 0"]
    assert sorted(labelled.counts) == ["<i>square</i>", "circle", "star"]
    assert sum(labelled.counts.values()) == labelled.total == 6
    assert last["labels-table"].count('role="meter"') == 3
    assert "<i>" not in last["labels-table"]
    path, said = box.fetch(labelled, "en")
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(few.ids)
    assert list(box.label("circle, star", "all", few, "en"))[-1][0].total == COUNT
    for words in ("", " , ", "a" * 500, ",".join(map(str, range(500)))):
        *_, said, table, save = list(box.label(words, "shown", few, "en"))[-1]
        assert ("⚠️" in said, table, save["visible"]) == (True, "", False)
    Path(path).unlink()
    assert "labels.csv is no longer there" in box.fetch(labelled, "en")[1]


# Its head, and the encoder


def test_the_head_tells_what_is_amiss(tab, make_tab, monkeypatch):
    assert f"**{COUNT}** pictures" in library_head(tab.library, "en")
    assert "能理解英语和中文" in library_head(tab.library, "zh")
    empty = make_tab()
    assert "no pictures yet" in library_head(empty.library, "en")
    for reason, said in (("process", "Another Omni Desk"), ("disk", "cannot be written to")):
        monkeypatch.setattr(tab.library, "read_only", reason)
        assert said in library_head(tab.library, "en")
    empty.library.close()
    assert "is being opened" in library_head(empty.library, "en")
    known, _, timer, *rest = empty.made.refresh(None, Shown(), (), "en")
    assert (known, timer["active"]) == (None, True)
    assert all(map(skipped, rest))
    assert "is being opened" in empty.search("a red circle")["library-said"]


def encoder_box_of(tab: Tab) -> EncoderBox:
    with gr.Blocks():
        return EncoderBox(tab.desk, tab.made.rights, gr.Radio(["en", "zh"]), gr.Timer())


@pytest.mark.parametrize(
    ("kind", "folder", "name", "place"),
    [
        ("demo", "", "", None),
        (MODELS[0].name, "", "", MODELS[0].name),
        ("name", "", " someone/some-clip ", "someone/some-clip"),
        ("folder", "HERE", "", "HERE"),
    ],
)
def test_another_encoder_is_loaded(tab, monkeypatch, tmp_path, kind, folder, name, place):
    box, asked = encoder_box_of(tab), []
    monkeypatch.setattr(box.desk, "switch_encoder", asked.append)
    said, _, timer = box.load_it(kind, folder.replace("HERE", str(tmp_path)), name, "en")
    assert (said, timer["active"]) == ("", True)
    assert asked == [str(tmp_path) if place == "HERE" else place]


@pytest.mark.parametrize(
    ("kind", "folder", "name"), [("folder", "/nowhere", ""), ("name", "", "../etc"), ("name", "", ""), ("odd", "", "")]
)
def test_what_can_be_no_encoder_is_told(tab, monkeypatch, kind, folder, name):
    box, asked = encoder_box_of(tab), []
    monkeypatch.setattr(box.desk, "switch_encoder", asked.append)
    assert "⚠️" in box.load_it(kind, folder, name, "zh")[0]
    assert asked == []


def test_the_encoder_that_suits_chinese_is_offered_first():
    (first, value), *_ = encoder_box._kinds("zh")
    assert first.startswith("Chinese-CLIP")
    assert "中文" in first
    assert value == MODELS[0].name


# Visitors

LIBRARY_MODULES = ("search_", "selection_", "picture_", "adding_", "duplicates_", "labels_", "library_", "encoder_", "deeds", "undo_")


def test_where_the_library_is_not_shared_there_is_a_sentence_and_nothing_to_call(tmp_path):
    screen = make_screen(Desk(Settings(data_dir=tmp_path, share=True)))
    owners = {type(getattr(each.fn, "__self__", None)).__module__.split(".")[-1] for each in screen.fns.values()}
    modules = owners | {
        each.fn.__module__.split(".")[-1] for each in screen.fns.values() if callable(each.fn) and hasattr(each.fn, "__module__")
    }
    assert {name for name in modules if name.startswith(LIBRARY_MODULES)} <= {"translated"}
    (closed,) = [block for block in screen.blocks.values() if getattr(block, "elem_id", None) == "library-closed"]
    assert "SHARE_LIBRARY=true" in closed.value


def test_every_handler_refuses_whoever_may_not_look(tab):
    rights = Rights(Settings(share=True))
    made = tab.made
    acts = [
        lambda: tab.search("a red circle"),
        lambda: tab.finding.show_all("en"),
        lambda: tab.finding.like(event({"id": 1}), "en"),
        lambda: tab.selecting.pick(event({"ids": []}), tab.everything, "en"),
        lambda: tab.selecting.exporter("zip")(tab.everything, (), "en"),
        lambda: tab.selecting.remove_picked(tab.everything, tab.everything.ids, None, "en"),
        lambda: tab.picture.open(event({"id": 1}), tab.everything, "en"),
        lambda: tab.picture.fetch(1, "en"),
        lambda: tab.picture.save_captions(1, "x", "en"),
        lambda: tab.picture.ask_about(1, None, "en"),
        lambda: list(tab.bringing.take([], "en")),
        lambda: tab.bringing.add_folder("/", False, "en"),
        lambda: tab.bringing.director("cancel")("en"),
        lambda: tab.bringing.remove_samples(tab.everything, (), "en"),
        lambda: list(made.duplicates.look("en")),
        lambda: made.duplicates.clean((), (), tab.everything, (), "en"),
        lambda: list(made.labels.label("a, b", "all", tab.everything, "en")),
        lambda: made.refresh(None, Shown(), (), "en"),
    ]
    parts = (tab.finding, tab.selecting, tab.picture, tab.bringing, made, made.duplicates, made.labels)
    before = [part.rights for part in parts]
    try:
        for part in parts:
            part.rights = rights
        for act in acts:
            with pytest.raises(gr.Error, match="SHARE_LIBRARY=true"):
                act()
    finally:
        for part, its in zip(parts, before, strict=True):
            part.rights = its
    assert tab.library.store.count() == COUNT


def test_a_visitor_of_a_shared_library_sees_no_paths_and_names_no_folder(make_tab, tmp_path):
    tab = make_tab(share=True, share_library=True)
    file = painted(tmp_path / "holiday" / "dusk.png")
    tab.library.adding.add_folder(file.parent)
    assert tab.library.adding.wait(20)
    (id,) = tab.everything.ids
    values = told(tab.details.outputs(), tab.picture.open(event({"id": id}), tab.everything, "en"))
    assert str(tmp_path) not in values["facts"]
    for form in ("csv", "json"):
        path, _ = tab.selecting.exporter(form)(tab.everything, (), "en")
        assert str(file.parent) not in Path(path).read_text(encoding="utf-8")
    refreshed = repr(tab.adding.refresh("en", changed=True, gone=False))
    assert str(file.parent) not in refreshed
    assert shown(tab.search(folder="/nowhere")).wanted.filter.folder == ""
    for act in (
        lambda: tab.bringing.add_folder(str(tmp_path), True, "en"),
        lambda: tab.bringing.rescan(str(file.parent), "en"),
        lambda: tab.bringing.toggle_watch(str(file.parent), "en"),
        lambda: tab.bringing.drop_folder(str(file.parent), tab.everything, (), "en"),
        lambda: tab.bringing.director("pause")("en"),
    ):
        with pytest.raises(gr.Error, match="on the computer that the desk runs on"):
            act()
    screen = make_screen(tab.desk)
    assert not [each for each in screen.fns.values() if isinstance(getattr(each.fn, "__self__", None), EncoderBox)]


# Languages


def test_phrases_say_the_same_facts_in_both_languages():
    for name, texts in LIBRARY_PHRASES.items():
        assert all(texts), name
        english, chinese = ({part.partition("}")[0] for part in text.split("{")[1:]} for text in texts)
        assert english == chinese, name


def test_everything_is_said_in_the_other_language(tab):
    english, chinese = (tab.made.texts.say(language) for language in LANGUAGES)
    for one, other in zip(english, chinese, strict=True):
        assert one != other
    values = told(tab.made.refreshed(), tab.made.refresh(tab.made.refresh(None, tab.everything, (), "en")[0], tab.everything, (), "zh"))
    assert "张图片" in values["found"]
    assert "：详情" in values["gallery"]


def test_a_store_that_changes_is_shown_at_the_next_look(make_tab, tmp_path):
    tab = make_tab()
    known = tab.made.refresh(None, Shown(), (), "en")[0]
    tab.library.take([(painted(tmp_path / "new.png"), "new.png")])
    values = told(tab.made.refreshed(), tab.made.refresh(known, Shown(), (), "en"))
    assert "new.png" in values["gallery"]
    searching = replace(tab.everything, wanted=Wanted(filter=replace(Wanted().filter, name="old")))
    assert skipped(told(tab.made.refreshed(), tab.made.refresh(known, searching, (), "en"))["gallery"])  # a search is left as it is
