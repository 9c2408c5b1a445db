"""How a model is arranged in memory: where each part lives, in which precision, and how much is computed at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from low_vram.request import Limits

EMBEDDINGS = "thinker.model.language_model.embed_tokens"
LAYERS = "thinker.model.language_model"
HEAD = "thinker.lm_head"
VISION = "thinker.model.visual"
AUDIO = "thinker.model.audio_tower"
TALKER = "talker"
SOUND = "token2wav"
# The parts a model is placed by, as transformers 5 names them. The layers are placed without the embeddings.
PARTS = (EMBEDDINGS, LAYERS, HEAD, VISION, AUDIO, TALKER, SOUND)
# Where a part lives and computes.
DEVICE = "device"  # on the device, always
MOVED = "moved"  # in host memory, moved in for its own stage and given back after it
HOST = "host"  # in host memory, computed by the CPU
PLACES = (DEVICE, MOVED, HOST)

# The stages of an answer, one after another, and the parts each needs at work.
THINKING = (EMBEDDINGS, LAYERS, HEAD)

GENEROUS = {"chunk": 2048, "patches": 16_384, "windows": 150}
OLD_NAMES = {  # of transformers 4
    "thinker.model": LAYERS,
    "thinker.model.layers": LAYERS,
    "thinker.model.embed_tokens": EMBEDDINGS,
    "thinker.visual": "thinker.model.visual",
    "thinker.audio_tower": "thinker.model.audio_tower",
}


class BadMap(ValueError):
    """A DEVICE_MAP that cannot be used; the message is a sentence that says why."""


@dataclass(frozen=True)
class Arrangement:
    """`places` and `precisions` by part. `chunk`: positions of a prompt that a layer computes at once; `patches` and `windows`: what the
    towers see and hear at once; `cache`: where the KV cache lives between tokens ('device' or 'host')."""

    places: dict[str, str]
    precisions: dict[str, str]
    limits: Limits
    chunk: int = GENEROUS["chunk"]
    patches: int = GENEROUS["patches"]
    windows: int = GENEROUS["windows"]
    cache: str = DEVICE

    def placed(self, place: str, *parts: str) -> Arrangement:
        """With those of `parts` that there are at `place`."""
        return replace(self, places=self.places | {part: place for part in parts if part in self.places})

    def precise(self, precision: str, *parts: str) -> Arrangement:
        """With those of `parts` that there are in `precision`."""
        return replace(self, precisions=self.precisions | {part: precision for part in parts if part in self.precisions})


def read_map(text: str) -> dict[str, str]:
    """{part: place} from 'part=place, part=place'. Names of transformers 4 are understood, and 'cpu' and 'cuda:N' as accelerate means them.

    Raises BadMap.
    """
    places = {}
    for entry in filter(None, (entry.strip() for entry in text.replace("\n", ",").split(","))):
        name, equals, place = (piece.strip() for piece in entry.partition("="))
        if not equals:
            raise BadMap(f"'{entry}' has no '='; write for example {SOUND}={MOVED}.")
        part = OLD_NAMES.get(name, name)
        if part not in PARTS:
            raise BadMap(f"There is no part '{name}'; the parts are {', '.join(PARTS)}.")
        # in accelerate's maps 'cpu' is for weights that stay in host memory and are moved to the card to be used
        places[part] = MOVED if place == "cpu" else DEVICE if place.startswith("cuda") or place.isdigit() else place
        if places[part] not in PLACES:
            raise BadMap(f"'{place}' is no place for {name}; the places are {', '.join(PLACES)}.")
    return places
