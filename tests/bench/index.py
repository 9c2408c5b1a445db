"""Picture files to committed vectors, beside the plain loop and sentence-transformers with the same weights; a second look at a folder."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from multimodal.media import Limits
from multimodal.retrieval.adding import Adding
from multimodal.retrieval.encoder import Encoder, load_encoder
from multimodal.retrieval.scan import is_picture
from multimodal.retrieval.store import open_store

BATCH = 32
SIZES = {"3000 x 2000": (3000, 2000), "640 x 480": (640, 480)}
VARIANTS = 12  # pictures that the files of one size show
MANY = 10_000  # files that are looked at a second time


def write_model(folder: Path) -> Path:
    """A CLIP of the size of ViT-B/32 in `folder`, with random weights. Its text tower, which takes no part in this, has one layer."""
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*letters, *(f"{sign}</w>" for sign in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={piece: place for place, piece in enumerate(pieces)}, merges=[], model_max_length=77)
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config={"num_hidden_layers": 1, "vocab_size": len(tokenizer)})).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(), tokenizer).save_pretrained(folder)
    return folder


def jpeg(size: tuple[int, int], seed: int) -> bytes:
    """A picture of soft shapes under the noise of a sensor, at about two bits a pixel, as a camera's."""
    width, height = size
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (max(2, height // 60), max(2, width // 60), 3), np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16) + random.integers(-8, 9, (height, width, 3))
    file = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def write_pictures(folder: Path, size: tuple[int, int], count: int, variants: int = VARIANTS) -> list[Path]:
    """`count` files, no two of the same bytes: behind a picture's end stands a number, which no reader looks at."""
    folder.mkdir(parents=True)
    contents = [jpeg(size, seed) for seed in range(variants)]
    paths = [folder / f"{index % 100:02}" / f"{index:06}.jpg" for index in range(count)]
    for index, (path, content) in enumerate(zip(paths, itertools.cycle(contents), strict=False)):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content + index.to_bytes(4, "big"))
    return paths


def chunks(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), BATCH):
        yield paths[start : start + BATCH]


class Ours:
    """Into a new store: vectors, and beside them hashes, dates, signatures and thumbnails."""

    def __init__(self, checkpoint: Path):
        self.encoder: Encoder = load_encoder(checkpoint)

    def run(self, paths: Sequence[Path]) -> None:
        """From files to what is on the disk for good."""
        folder = Path(tempfile.mkdtemp())
        store = open_store(folder)
        adding = Adding(store, folder, Limits(), lambda: self.encoder, lambda: None)
        adding.add_files(paths)
        adding.wait()
        assert store.vectors(self.encoder.space, "picture", self.encoder.dimension).count() == len(paths), adding.progress
        adding.close()
        store.database.close()
        shutil.rmtree(folder)


class Plain:
    """The loop that everybody writes first."""

    def __init__(self, checkpoint: Path):
        self.model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
        self.processor = AutoImageProcessor.from_pretrained(checkpoint)

    def run(self, paths: Sequence[Path]) -> None:
        """Open, preprocess, encode; nothing is kept."""
        for batch in chunks(paths):
            images = [Image.open(path).convert("RGB") for path in batch]
            with torch.inference_mode():
                found = self.model.get_image_features(**self.processor(images=images, return_tensors="pt"))
                torch.nn.functional.normalize(found.pooler_output, dim=-1).numpy()


class SentenceTransformers:
    """Its `encode`, as its documentation shows it."""

    def __init__(self, checkpoint: Path):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import CLIPModel as Module

        self.model = SentenceTransformer(modules=[Module(str(checkpoint))], device="cpu")

    def run(self, paths: Sequence[Path]) -> None:
        """Open, encode; nothing is kept."""
        for batch in chunks(paths):
            self.model.encode([Image.open(path) for path in batch], batch_size=BATCH, normalize_embeddings=True)


def compare(ways: dict[str, Callable[[Sequence[Path]], None]], paths: Sequence[Path], runs: int) -> dict[str, float]:
    """Pictures a second of each way: medians of `runs`, in which one follows the other, so that a machine that slows down slows all."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run(paths[:BATCH])  # what is only slow the first time
    for _ in range(runs):
        for name, run in ways.items():
            began = time.monotonic()
            run(paths)
            rates[name].append(len(paths) / (time.monotonic() - began))
    return {name: statistics.median(found) for name, found in rates.items()}


def second_look(folder: Path) -> float:
    """Seconds that an unchanged folder of MANY files takes, store and all."""
    write_pictures(folder / "photos", (64, 48), MANY)
    (folder / "library").mkdir()
    store = open_store(folder / "library")
    adding = Adding(store, folder / "library", Limits(), lambda: None, lambda: None)
    adding.add_folder(folder / "photos")
    adding.wait()
    began = time.monotonic()
    adding.add_folder(folder / "photos")
    adding.wait()
    seconds = time.monotonic() - began
    assert adding.progress.unchanged == store.count() == MANY
    adding.close()
    store.database.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="a folder of pictures, in the place of those that are made")
    parser.add_argument("--encoder", type=Path, help="a checkpoint's folder, in the place of a CLIP ViT-B/32 with random weights")
    parser.add_argument("--count", type=int, default=300, help="of the files of one size that are made")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        checkpoint = arguments.encoder or write_model(scratch / "model")
        ways = {"plain loop": Plain(checkpoint).run, "library": Ours(checkpoint).run}
        if importlib.util.find_spec("sentence_transformers"):
            ways[f"sentence-transformers {importlib.metadata.version('sentence-transformers')}"] = SentenceTransformers(checkpoint).run
        else:
            print("sentence-transformers is not installed: not compared\n")
        if arguments.photos:
            sets = {str(arguments.photos): sorted(path for path in arguments.photos.rglob("*") if is_picture(path.name))}
        else:
            sets = {name: write_pictures(scratch / name, size, arguments.count) for name, size in SIZES.items()}
        print(f"{arguments.encoder or 'CLIP ViT-B/32, random weights'}; {os.cpu_count()} cores; medians of {arguments.runs}\n")
        print("| pictures/s | " + " | ".join(ways) + " | library to plain loop |\n|" + "---|" * (len(ways) + 2))
        for name, paths in sets.items():
            rates = compare(ways, paths, arguments.runs)
            ratio = rates["library"] / rates["plain loop"]
            print(f"| {len(paths)} of {name} | " + " | ".join(f"{rate:.1f}" for rate in rates.values()) + f" | {ratio:.2f} |", flush=True)
            figures[name] = rates | {"ratio": ratio}
        figures["second look, s"] = second_look(scratch / "many")
        print(f"\nA second look at {MANY:,} unchanged files: {figures['second look, s']:.2f} s")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
