"""The toy world as a data set: it can be read, and what is judged was never trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from multimodal.demo import captioned_scenes
from multimodal.demo.captioned_scenes import write_set
from multimodal.demo.captions import is_held_out_text
from multimodal.training.description import languages_of_captions
from multimodal.training.reading_sets import read_captioned


def test_scenes_are_a_data_set_whose_judged_pictures_all_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(captioned_scenes, "JUDGED", 20)
    data = read_captioned(write_set(tmp_path / "a", 30))
    write_set(tmp_path / "b", 30)
    assert (tmp_path / "a" / "captions.jsonl").read_bytes() == (tmp_path / "b" / "captions.jsonl").read_bytes()
    assert dict(data.counts()) == {"train": 30, "val": 20, "test": 20}
    # a caption may come twice by chance, and is left out then
    assert {problem.code for problem in data.problems} <= {"caption_twice"}
    captions = [caption for picture in data.pictures for caption in picture.captions]
    assert languages_of_captions(captions) == ("en", "zh")
    assert not any(map(is_held_out_text, captions))
    for picture in data.pictures:
        same = tmp_path / "b" / "images" / picture.image.name
        assert same.read_bytes() == picture.image.read_bytes()
    test = data.of("test")
    assert len({picture.captions for picture in test}) == 20
