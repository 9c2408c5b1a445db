"""The examples of each epoch: every picture once, with one of its captions, and a little otherwise each time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from random import Random

from PIL import Image
from torch.utils.data import Dataset

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.training.augmentation import Augmentation
from multimodal.training.captioned import Captioned
from multimodal.training.examples import Example

log = logging.getLogger(__name__)

OVERSIZE = 2  # times the model's side: no smaller is a picture decoded


class Epochs(Dataset):
    """A caption and a look of each picture are drawn by the seed, the epoch and the picture's place alone: whoever goes on after a kill, in
    however many processes, sees what would have been seen."""

    def __init__(self, pictures: Sequence[Captioned], side: int, seed: int, augment: bool = True):
        """`side`: pixels that the model sees of the shorter side."""
        self.pictures, self.side, self.seed = pictures, side, seed
        self.augmentation = Augmentation() if augment else None
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """accelerate calls this where an epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> Example:
        random = Random(f"{self.seed}-{self.epoch}-{place}")
        for step in range(len(self.pictures)):
            # one that has become unreadable is passed over, and the next takes its place
            picture = self.pictures[(place + step) % len(self.pictures)]
            try:
                seen = read_image(picture, self.side)
            except UserError as error:
                log.warning("%s", error)
                continue
            if self.augmentation:
                seen = self.augmentation(seen, picture.captions, random.getrandbits(63))
            return Example(seen, (random.choice(picture.captions),), str(picture.image))
        raise UserError("training_no_pictures")


def read_image(picture: Captioned, side: int) -> Image.Image:
    """RGB, its shorter side no smaller than twice `side` where it has so many pixels. Raises UserError."""
    name = picture.image.name
    return read_picture(read_content(picture.image, name, Limits()), name, Limits(), OVERSIZE * side, 0).image
