"""Small pictures for the screen, made once."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image

from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.reading import read_content, read_picture
from multimodal.retrieval.whole_file import take_away, write_whole

LONGER = 384  # pixels of the longer side
QUALITY, EFFORT = 80, 0  # of WebP: its default effort, 4, takes four times as long for 8 to 17 % fewer bytes


class Thumbnails:
    """WebP files by the SHA-256 of the pictures they show, in a folder of their own. Any thread may make one."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, hash: str) -> Path:
        """Where the thumbnail is, or would be."""
        return self.folder / hash[:2] / f"{hash}.webp"

    def is_there(self, hash: str) -> bool:
        """Whether it has been made. An empty file has not: it is what a power cut leaves."""
        try:
            return self.path(hash).stat().st_size > 0
        except FileNotFoundError:
            return False

    def put(self, hash: str, image: Image.Image) -> None:
        """Make it of the RGB picture. Raises UserError where the disk refuses it."""
        scale = LONGER / max(image.size)
        size = tuple(max(1, round(side * scale)) for side in image.size)
        small = image if scale >= 1 else image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)
        file = BytesIO()
        small.save(file, "WEBP", quality=QUALITY, method=EFFORT)
        write_whole(self.path(hash), file.getvalue())

    def of(self, hash: str, original: Callable[[], Path], name: str, limits: Limits) -> Path:
        """Where it is; made of `original`, known to people as `name`, if it was missing. Raises UserError where that cannot be."""
        if not self.is_there(hash):
            content = read_content(original(), name, limits)
            if content.hash != hash:  # the file holds another picture by now
                raise UserError("original_gone", name=name)
            self.put(hash, read_picture(content, name, limits, 0, LONGER).image)
        return self.path(hash)

    def drop(self, hash: str) -> None:
        """Take it away, if it is there and the disk allows it."""
        take_away(self.path(hash))
