"""The split files of Karpathy and Fei-Fei (2015) for Flickr8k, Flickr30k and COCO: JSON whose images have their split and sentences."""

from __future__ import annotations

from pathlib import Path

from multimodal.errors import UserError
from multimodal.training.captioned import CaptionedSet
from multimodal.training.coco import places
from multimodal.training.gathering import Gathering
from multimodal.training.text_file import read_json


def read_karpathy(path: Path, folder: Path) -> CaptionedSet:
    """The data set of a dataset_*.json. Raises UserError."""
    document = read_json(path)
    images = document.get("images") if isinstance(document, dict) else None
    if not (isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images)):
        raise UserError("set_unknown", path=str(path))
    gathering = Gathering("karpathy", folder)
    for place, image in places(path, "images", images):
        sentences = image.get("sentences")
        if not isinstance(sentences, list):
            gathering.leave_out("line_unreadable", place)
        elif entry := gathering.picture(place, image.get("filename"), image.get("split"), image.get("filepath")):
            for sentence in sentences:
                gathering.caption(place, entry, sentence.get("raw") if isinstance(sentence, dict) else None)
    return gathering.finish()
