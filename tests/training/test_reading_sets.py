"""Captioned data sets in every form, and what is left out of them."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path

import pytest

from multimodal.errors import UserError
from multimodal.training.captioned import SPLITS, CaptionedSet
from multimodal.training.gathering import LONGEST, PLACES
from multimodal.training.problems import SENTENCES, say
from multimodal.training.reading_sets import read_captioned
from multimodal.training.splits import split_by_name


def pictures(folder: Path, *names: str) -> None:
    """Files of these names; nobody opens them here."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def write(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


def write_json(path: Path, document: object) -> Path:
    return write(path, json.dumps(document, ensure_ascii=False))


def table(folder: Path, *lines: str, columns: str = "image,caption", **how: str) -> Path:
    return write(folder / "captions.csv", columns, *lines, **how)


def coco(path: Path, images: dict[int, str], annotations: Sequence[tuple[int, str]]) -> Path:
    return write_json(
        path,
        {
            "images": [{"id": id, "file_name": name} for id, name in images.items()],
            "annotations": [{"image_id": id, "caption": caption} for id, caption in annotations],
        },
    )


def seen(data: CaptionedSet, folder: Path) -> dict[str, tuple[str, ...]]:
    """Captions by picture, relative to the data set."""
    return {picture.image.relative_to(folder).as_posix(): picture.captions for picture in data.pictures}


def splits(data: CaptionedSet) -> dict[str, str]:
    return {picture.image.name: picture.split for picture in data.pictures}


def problems(data: CaptionedSet) -> dict[str, tuple[int, tuple[str, ...]]]:
    return {problem.code: (problem.count, problem.places) for problem in data.problems}


def refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_captioned(path)
    return caught.value


def flickr8k(folder: Path) -> None:
    write(folder / "Flickr8k.token.txt", "a.jpg#0\tA dog .", "a.jpg#1\t一只狗。", "b.jpg#0\tTwo\tcats", "c.jpg#0\tA sea", "d.jpg#0\tA tree")
    for split, name in (("train", "a.jpg"), ("dev", "b.jpg"), ("test", "c.jpg")):
        write(folder / f"Flickr_8k.{split}Images.txt", name)


@pytest.mark.parametrize("inner", ["", "Flicker8k_Dataset", "Flickr8k_Dataset", "Images", "images"])
@pytest.mark.parametrize("texts", ["", "Flickr8k_text"])
def test_flickr8k_s_own_files(tmp_path: Path, inner: str, texts: str) -> None:
    flickr8k(tmp_path / texts)
    pictures(tmp_path / inner, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    data = read_captioned(tmp_path)
    assert data.form == "flickr8k"
    assert seen(data, tmp_path / inner) == {"a.jpg": ("A dog .", "一只狗。"), "b.jpg": ("Two cats",), "c.jpg": ("A sea",)}
    assert splits(data) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}
    assert problems(data) == {"split_missing": (1, ("d.jpg",))}
    assert data.counts() == {"train": 1, "val": 1, "test": 1}
    assert read_captioned(tmp_path / texts / "Flickr8k.token.txt") == data


def test_flickr8k_without_lists_of_its_splits_is_split_by_name(tmp_path: Path) -> None:
    write(tmp_path / "Flickr8k.token.txt", *(f"{number}.jpg#0\tA thing" for number in range(5)))
    pictures(tmp_path, *(f"{number}.jpg" for number in range(5)))
    data = read_captioned(tmp_path)
    assert set(splits(data).values()) == set(SPLITS)
    assert data.problems == ()


def test_lines_of_flickr8k_that_are_none(tmp_path: Path) -> None:
    pictures(tmp_path, "a#b.jpg", "c.jpg")
    write(
        tmp_path / "Flickr8k.token.txt",
        "a#b.jpg#0\tfine",
        "",
        "c.jpg#0 no tab",
        "c.jpg\tno number",
        "c.jpg#x\tno number",
        "z.jpg.1#0\tgone",
    )
    write(tmp_path / "Flickr_8k.trainImages.txt", "a#b.jpg", "c.jpg")
    data = read_captioned(tmp_path)
    assert seen(data, tmp_path) == {"a#b.jpg": ("fine",)}
    assert problems(data) == {
        "line_unreadable": (3, ("Flickr8k.token.txt:3", "Flickr8k.token.txt:4", "Flickr8k.token.txt:5")),
        "picture_missing": (1, ("z.jpg.1",)),
        "caption_missing": (1, ("c.jpg",)),
    }


@pytest.mark.parametrize("name", ["captions.txt", "captions.csv"])
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_a_table(tmp_path: Path, name: str, encoding: str, end: str) -> None:
    pictures(tmp_path / "Images", "a.jpg", "b.jpg", "子/c.jpg")
    lines = ["image,caption", 'a.jpg,"A ""big"" dog, running"', "a.jpg,Black, white, red", "b.jpg, 两只猫，一只狗 ", "子/c.jpg,x\u2028y"]
    write(tmp_path / name, *lines, encoding=encoding, end=end)
    data = read_captioned(tmp_path)
    assert (data.form, data.problems) == ("csv", ())
    assert seen(data, tmp_path / "Images") == {
        "a.jpg": ('A "big" dog, running', "Black, white, red"),
        "b.jpg": ("两只猫，一只狗",),
        "子/c.jpg": ("x y",),
    }
    assert read_captioned(tmp_path / name) == data


def test_columns_may_be_others_and_in_another_order(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg")
    table(tmp_path, "1,TRAIN,A dog, a cat,a.jpg", "2, dev ,二,b.jpg", columns=" id ,Split,Caption,IMAGE")
    data = read_captioned(tmp_path)
    assert seen(data, tmp_path) == {"a.jpg": ("A dog, a cat",), "b.jpg": ("二",)}
    assert splits(data) == {"a.jpg": "train", "b.jpg": "val"}


def test_a_quotation_mark_that_is_never_closed_costs_one_line(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table(tmp_path, 'a.jpg,"never closed', "b.jpg,fine", "c.jpg", '"c.jpg","over\ntwo lines"', 'c.jpg,"a" b', 'c.jpg,5" wide', "b.jpg,last")
    data = read_captioned(tmp_path)
    assert seen(data, tmp_path) == {"b.jpg": ("fine", "last"), "c.jpg": ("over two lines", '5" wide')}
    assert problems(data) == {"line_unreadable": (3, ("captions.csv:2", "captions.csv:4", "captions.csv:7"))}


@pytest.mark.parametrize("inner", ["", "annotations"])
@pytest.mark.parametrize("images", ["{split}2017", "images", ""])
def test_coco(tmp_path: Path, inner: str, images: str) -> None:
    for split, names in (("train", ("1.jpg", "2.jpg")), ("val", ("3.jpg",))):
        pictures(tmp_path / images.format(split=split), *names)
    coco(tmp_path / inner / "captions_train2017.json", {1: "1.jpg", 2: "2.jpg"}, [(2, "A bus"), (1, "一辆车"), (2, "A red bus")])
    file = coco(tmp_path / inner / "captions_val2017.json", {3: "3.jpg"}, [(3, "A kite")])
    write_json(tmp_path / inner / "instances_val2017.json", {"images": [], "annotations": []})
    data = read_captioned(tmp_path)
    assert (data.form, data.problems) == ("coco", ())
    assert {picture.image.name: picture.captions for picture in data.pictures} == {
        "1.jpg": ("一辆车",),
        "2.jpg": ("A bus", "A red bus"),
        "3.jpg": ("A kite",),
    }
    assert splits(data) == {"1.jpg": "train", "2.jpg": "train", "3.jpg": "val"}
    assert [picture.image.name for picture in read_captioned(file).pictures] == ["3.jpg"]


def test_pictures_of_one_name_in_two_folders_of_coco_are_two(tmp_path: Path) -> None:
    pictures(tmp_path, "train2017/1.jpg", "val2017/1.jpg")
    coco(tmp_path / "captions_train2017.json", {1: "1.jpg"}, [(1, "A bus")])
    coco(tmp_path / "captions_val2017.json", {1: "1.jpg"}, [(1, "A kite")])
    data = read_captioned(tmp_path)
    assert seen(data, tmp_path) == {"train2017/1.jpg": ("A bus",), "val2017/1.jpg": ("A kite",)}
    assert data.problems == ()


def test_a_single_file_of_coco_is_split_by_name(tmp_path: Path) -> None:
    names = {number: f"{number}.jpg" for number in range(6)}
    pictures(tmp_path / "val2017", *names.values())
    coco(tmp_path / "annotations" / "captions_val2017.json", names, [(number, "A thing") for number in names])
    assert set(splits(read_captioned(tmp_path)).values()) == set(SPLITS)


def test_entries_of_coco_that_are_none(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    file = write_json(
        tmp_path / "mine.json",
        {
            "images": [{"id": 1, "file_name": "1.jpg"}, 5, {"id": 1, "file_name": "1.jpg"}, {"id": [], "file_name": "1.jpg"}, {"id": 2}],
            "annotations": [{"image_id": 1, "caption": "A bus"}, None, {"image_id": 9, "caption": "x"}, {"image_id": 1, "caption": 7}],
        },
    )
    data = read_captioned(file)
    assert seen(data, tmp_path) == {"1.jpg": ("A bus",)}
    places = [f"mine.json:images[{number}]" for number in (1, 2, 3, 4)] + [f"mine.json:annotations[{number}]" for number in (1, 2, 3)]
    assert problems(data) == {"line_unreadable": (7, tuple(places))}


def test_karpathy_s_split(tmp_path: Path) -> None:
    pictures(tmp_path, "train2014/1.jpg", "images/val2014/2.jpg", "3.jpg", "4.jpg")

    def image(name: str, split: str, folder: str) -> dict[str, object]:
        return {"filename": name, "filepath": folder, "split": split, "sentences": [{"raw": f"caption of {name}", "tokens": []}]}

    images = [
        image("1.jpg", "train", "train2014"),
        image("2.jpg", "restval", "val2014"),
        image("3.jpg", "test", "val2014"),
        {"filename": "4.jpg", "split": "val", "sentences": [{"raw": "四"}, {}]},
        {"filename": "4.jpg"},
    ]
    write_json(tmp_path / "dataset_coco.json", {"dataset": "coco", "images": images})
    data = read_captioned(tmp_path)
    assert data.form == "karpathy"
    assert splits(data) == {"1.jpg": "train", "2.jpg": "train", "3.jpg": "test", "4.jpg": "val"}
    assert seen(data, tmp_path)["images/val2014/2.jpg"] == ("caption of 2.jpg",)
    assert problems(data) == {"line_unreadable": (2, ("dataset_coco.json:images[3]", "dataset_coco.json:images[4]"))}


def test_lines_of_json(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    write(
        tmp_path / "mine.jsonl",
        '{"image": "a.jpg", "caption": "A dog", "captions": ["一只狗"], "split": "train"}',
        '{"image": "b.jpg", "captions": ["A cat", "Two cats"], "split": "validation"}',
        "",
        '{"image": "c.jpg", "caption": "A sea", "split": "test", "more": 1}',
        encoding="utf-8-sig",
        end="\r\n",
    )
    data = read_captioned(tmp_path)
    assert (data.form, data.problems) == ("jsonl", ())
    assert seen(data, tmp_path) == {"a.jpg": ("A dog", "一只狗"), "b.jpg": ("A cat", "Two cats"), "c.jpg": ("A sea",)}
    assert splits(data) == {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}


@pytest.mark.parametrize(
    "line",
    [
        *("{", "[]", "3", "null", "[" * 100_000, '{"image": "a.jpg"}', '{"caption": "x"}', '{"image": "", "caption": "x"}'),
        *('{"image": 3, "caption": "x"}', '{"image": "a.jpg", "caption": null}', '{"image": "a.jpg", "captions": "x"}'),
        *('{"image": "a.jpg", "captions": [3]}', '{"image": "a.jpg", "caption": "\\ud83d"}', '{"image": "\\ud83d.jpg", "caption": "x"}'),
    ],
)
def test_a_line_that_is_none_is_counted_with_its_place(tmp_path: Path, line: str) -> None:
    pictures(tmp_path, "a.jpg")
    data = read_captioned(write(tmp_path / "mine.jsonl", '{"image": "a.jpg", "caption": "A dog"}', line))
    assert seen(data, tmp_path) == {"a.jpg": ("A dog",)}
    assert problems(data) == {"line_unreadable": (1, ("mine.jsonl:2",))}


def test_captions_that_cannot_be_used(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    long = "x" * LONGEST
    table(tmp_path, "a.jpg, ", f"a.jpg,{long}", f"a.jpg,{long}x", "b.jpg,A  cat", "b.jpg,A cat ", "b.jpg,a cat", "./b.jpg,A cat", "c.jpg,")
    data = read_captioned(tmp_path)
    assert seen(data, tmp_path) == {"a.jpg": (long,), "b.jpg": ("A cat", "a cat")}
    assert problems(data) == {
        "caption_empty": (2, ("captions.csv:2", "captions.csv:9")),
        "caption_long": (1, ("captions.csv:4",)),
        "caption_twice": (2, ("captions.csv:6", "captions.csv:8")),
        "caption_missing": (1, ("c.jpg",)),
    }


def test_splits_that_do_not_agree(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    lines = ["a.jpg,one,val", "a.jpg,two,train", "a.jpg,one,test", "b.jpg,x,evaluation", "b.jpg,y,", "c.jpg,z,train"]
    table(tmp_path, *lines, columns="image,caption,split")
    data = read_captioned(tmp_path)
    assert splits(data) == {"a.jpg": "val", "c.jpg": "train"}
    assert seen(data, tmp_path)["a.jpg"] == ("one", "two")
    assert problems(data) == {
        "split_twice": (1, ("a.jpg",)),
        "caption_twice": (1, ("captions.csv:4",)),
        "split_unknown": (1, ("captions.csv:5",)),
        "split_missing": (1, ("b.jpg",)),
    }


def test_a_picture_outside_the_data_set_is_never_looked_for(tmp_path: Path) -> None:
    pictures(tmp_path, "out.jpg", "set/a.jpg", "set/b.jpg")
    folder = tmp_path / "set"
    outside = [str(tmp_path / "out.jpg"), str(folder / "a.jpg"), "../out.jpg", "images/../../out.jpg"]
    write(folder / "mine.jsonl", *(json.dumps({"image": name, "caption": "x"}) for name in [*outside, "images/../b.jpg", "\0.jpg"]))
    data = read_captioned(folder)
    assert seen(data, folder) == {"b.jpg": ("x",)}
    assert problems(data) == {"path_outside": (4, tuple(outside)), "picture_missing": (1, ("\0.jpg",))}
    write_json(folder / "dataset_x.json", {"images": [{"filename": "out.jpg", "filepath": "..", "split": "val", "sentences": []}]})
    assert refusal(folder / "dataset_x.json").facts["problem"][0].startswith("Pictures that are said to lie outside")


def test_a_missing_picture_is_counted_once_and_the_first_places_are_told(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    names = [f"{number}.jpg" for number in range(PLACES + 2)]
    table(tmp_path, "a.jpg,x", *(f"{name},{caption}" for name in names for caption in "xy"))
    assert problems(read_captioned(tmp_path)) == {"picture_missing": (PLACES + 2, tuple(names[:PLACES]))}


def test_what_is_no_data_set(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing").code == "set_not_found"
    pictures(tmp_path, "a.jpg", ".hidden.jsonl", "captions.csv/inside.txt")
    assert refusal(tmp_path).code == "set_unknown"
    assert refusal(tmp_path / "a.jpg").code == "set_unknown"
    for document in ([], {}, {"images": [], "annotations": {}}, {"images": {}, "annotations": []}):
        assert refusal(write_json(tmp_path / "x.json", document)).code == "set_unknown"
        assert refusal(write_json(tmp_path / "dataset_x.json", document)).code == "set_unknown"


def test_several_data_sets_in_a_folder_have_to_be_told_apart(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    table(tmp_path, "a.jpg,x")
    write(tmp_path / "mine.jsonl", '{"image": "a.jpg", "caption": "y"}')
    error = refusal(tmp_path)
    assert (error.code, error.facts["names"]) == ("set_ambiguous", "captions.csv, mine.jsonl")
    assert seen(read_captioned(tmp_path / "mine.jsonl"), tmp_path) == {"a.jpg": ("y",)}


def test_two_files_of_coco_for_one_split_have_to_be_told_apart(tmp_path: Path) -> None:
    for year in (2014, 2017):
        coco(tmp_path / "annotations" / f"captions_train{year}.json", {}, [])
    error = refusal(tmp_path)
    assert error.facts["names"] == "annotations/captions_train2014.json, annotations/captions_train2017.json"


@pytest.mark.parametrize(("encoding", "line"), [("gbk", 3), ("latin-1", 3), ("utf-16", 1), ("utf-16-le", 1)])
def test_a_file_in_another_encoding_is_told(tmp_path: Path, encoding: str, line: int) -> None:
    odd = {"gbk": "a.jpg,一只狗", "latin-1": "a.jpg,a café"}.get(encoding, "a.jpg,a dog")
    error = refusal(table(tmp_path, "a.jpg,x", odd, encoding=encoding))
    assert (error.code, error.facts["line"]) == ("set_not_text", line)


@pytest.mark.parametrize(("text", "line"), [("{", 2), ('{\n\n"images": [1,]}', 3), ("[" * 100_000, 1), ("1" * 5000, 1)])
def test_json_that_is_none_is_told(tmp_path: Path, text: str, line: int) -> None:
    error = refusal(write(tmp_path / "captions_train2017.json", text))
    assert (error.code, error.facts["line"]) == ("set_not_json", line)


@pytest.mark.parametrize("header", ["a.jpg,A dog", "image;caption", ""])
def test_a_table_without_the_names_of_its_columns_is_told(tmp_path: Path, header: str) -> None:
    assert refusal(table(tmp_path, "a.jpg,x", columns=header)).code == "set_columns"


def test_a_data_set_of_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    error = refusal(table(tmp_path, "a.jpg,x", "b.jpg,y"))
    assert error.code == "set_empty"
    assert "Pictures that are not there: 2)" in error.say("en")
    assert "有 2 张图片不存在）" in error.say("zh")
    assert "(there are no lines)" in refusal(table(tmp_path)).say("en")


def test_a_split_by_name_is_about_eighty_ten_ten_and_stays() -> None:
    names = [f"{number}.jpg" for number in range(5000)]
    chosen = dict(zip(names, split_by_name(names), strict=True))
    counts = {split: list(chosen.values()).count(split) / len(names) for split in SPLITS}
    assert counts == pytest.approx({"train": 0.8, "val": 0.1, "test": 0.1}, abs=0.02)
    some = names[::-7]
    assert split_by_name(some) == [chosen[name] for name in some]
    # word for word, so that no release of ours moves a picture
    assert split_by_name([f"{name}.jpg" for name in "abcdefgh"]) == ["train", "train", "val", "train", "train", "test", "train", "train"]


@pytest.mark.parametrize("count", range(3, 12))
def test_a_small_data_set_has_a_picture_in_each_split(count: int) -> None:
    for start in range(50):
        assert set(split_by_name([f"{number}.jpg" for number in range(start, start + count)])) == set(SPLITS)
    assert set(split_by_name(["same.jpg"] * count)) == set(SPLITS)


@pytest.mark.parametrize("code", SENTENCES)
def test_a_problem_is_said_in_both_languages(code: str) -> None:
    english, chinese = SENTENCES[code]
    for sentence in (english, chinese):
        assert [name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None] == ["count"]
    assert english.isascii()
    assert english.endswith(".")
    assert chinese.endswith("。")


def test_a_problem_says_how_often_it_came(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    (problem,) = read_captioned(table(tmp_path, "a.jpg,x", "a.jpg,x")).problems
    assert say(problem, "en") == "Captions that a picture has already: 1."
    assert say(problem, "zh") == "有 1 条描述与同一图片的其他描述重复。"
