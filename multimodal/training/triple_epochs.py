"""The triples of each epoch: every picture once, with one of its captions and something wrong for both."""

from __future__ import annotations

import logging
from random import Random

from PIL import Image
from torch.utils.data import Dataset

from multimodal.errors import UserError
from multimodal.training.augmentation import Augmentation
from multimodal.training.captioned import Captioned
from multimodal.training.epochs import read_image
from multimodal.training.fitting import Fitting
from multimodal.training.negatives import Negatives
from multimodal.training.triples import Triple

log = logging.getLogger(__name__)


class TripleEpochs(Dataset):
    """The caption, what is wrong, and the look of both pictures are drawn by the seed, the epoch and the picture's place alone, as in
    Epochs."""

    def __init__(self, fitting: Fitting, negatives: Negatives, side: int, seed: int, augment: bool = True):
        """`side`: pixels that the model sees of the shorter side."""
        self.fitting, self.negatives, self.side, self.seed = fitting, negatives, side, seed
        self.augmentation = Augmentation() if augment else None
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """accelerate calls this where an epoch begins."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.fitting.pictures)

    def __getitem__(self, place: int) -> Triple:
        random = Random(f"{self.seed}-{self.epoch}-{place}")
        for step in range(len(self)):
            # one that has become unreadable is passed over, and the next takes its place
            row = (place + step) % len(self)
            seen = self._look(self.fitting.pictures[row], random)
            if seen is None:
                continue
            caption = int(self.fitting.firsts[row]) + random.randrange(len(self.fitting.pictures[row].captions))
            wrong_caption, wrong_row = self.negatives.caption(row, random), self.negatives.picture(caption, random)
            wrong_picture = None if wrong_row is None else self._look(self.fitting.pictures[wrong_row], random)
            captions = self.fitting.captions
            return Triple(seen, captions[caption], wrong_picture, None if wrong_caption is None else captions[wrong_caption])
        raise UserError("training_no_pictures")

    def _look(self, picture: Captioned, random: Random) -> Image.Image | None:
        """None where it cannot be opened."""
        try:
            image = read_image(picture, self.side)
        except UserError as error:
            log.warning("%s", error)
            return None
        return self.augmentation(image, picture.captions, random.getrandbits(63)) if self.augmentation else image
