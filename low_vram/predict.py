"""The bytes that each stage of an answer takes, from shapes alone.

The formulas count the tensors that live at once at the worst moment of a stage, as the code of transformers and of this package makes
them; `python -m low_vram verify` holds them against what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from low_vram.arrangement import AUDIO, DEVICE, HOST, LAYERS, MOVED, SOUND, TALKER, THINKING, VISION, Arrangement
from low_vram.footprint import Decoder, Footprint
from low_vram.request import CODES_A_SECOND, Load

MIB = 2**20
# Python, torch, transformers and the desk itself, as the system counts them before a model is loaded.
RUNTIME = 900 * MIB


@dataclass(frozen=True)
class Prediction:
    """Bytes. `stages`: at the worst moment of each stage on the device (on a machine without one: in the host); `host`: the host's
    worst moment; `activations` and `cache`: of the worst stage, and the KV cache at the end of the answer."""

    stages: dict[str, int]
    host: int
    activations: int
    cache: int

    @property
    def device(self) -> int:
        """Of the worst stage."""
        return max(self.stages.values())


def predict(footprint: Footprint, arrangement: Arrangement, load: Load, on_cpu: bool, width: int, other: int = 0) -> Prediction:
    """What answering `load` takes. `width`: bytes of an element as computed; `other`: of other models in the process, on the host."""
    sizes = {part: footprint.part_bytes(part, arrangement.precisions[part], width, on_cpu) for part in footprint.parts}
    places = arrangement.places
    resident = sum(size for part, size in sizes.items() if places[part] == DEVICE)

    def moved(*parts: str) -> int:
        return sum(sizes[part] for part in parts if part in sizes and places[part] == MOVED)

    def here(part: str) -> bool:
        return places.get(part) != HOST or on_cpu

    thinker = footprint.thinker
    cache = (load.prompt + load.answer) * thinker.cache_elements * width
    kept_cache = cache if arrangement.cache == DEVICE or on_cpu else 0
    transient: dict[str, int] = {}
    weights: dict[str, int] = {}
    pairs, pair_patches = load.frames
    at_once = max(1, arrangement.patches // pair_patches) if pairs else 0
    patches = max([*load.images, min(pairs, at_once) * pair_patches])
    if patches:
        weights["look"] = moved(VISION)
        transient["look"] = _look(footprint, patches, width) if here(VISION) else 0
    if load.mel:
        mel = min(max(load.mel), arrangement.windows * footprint.audio["window"])
        weights["listen"] = moved(AUDIO)
        transient["listen"] = _listen(footprint, mel, width) if here(AUDIO) else 0
    unpack = width * footprint.parts[LAYERS].largest if arrangement.precisions[LAYERS] != "stored" else 0
    weights["prefill"] = weights["decode"] = moved(*THINKING)
    transient["prefill"] = kept_cache + _prefill(thinker, load.prompt, load.media, arrangement.chunk, width, load.spoken > 0) + unpack
    transient["decode"] = kept_cache + 2 * cache // thinker.layers + 16 * thinker.vocabulary
    if load.spoken and footprint.talker:
        talker = footprint.talker
        codes = round(load.spoken * CODES_A_SECOND)
        weights["talk"] = moved(TALKER)
        positions = load.prompt + 2
        transient["talk"] = (
            (positions + codes) * talker.cache_elements * width
            + 3 * positions * talker.inputs * width
            + _prefill(talker, positions, 0, arrangement.chunk, width, False)
            + (width * footprint.parts[TALKER].largest if arrangement.precisions[TALKER] != "stored" else 0)
        )
        weights["sound"] = moved(SOUND)
        transient["sound"] = _sound(footprint, codes)
    stages = {stage: resident + weights[stage] + transient[stage] for stage in transient}
    worst = max(stages, key=stages.get)

    host = RUNTIME + other + _host_media(footprint, load, width)
    if on_cpu:
        host += stages[worst]
    else:
        host += sum(size for part, size in sizes.items() if places[part] != DEVICE)
        host += cache if arrangement.cache == HOST else 0
    return Prediction(stages, host, transient[worst] - (kept_cache if worst in ("prefill", "decode") else 0), cache)


def _prefill(decoder: Decoder, positions: int, media: int, chunk: int, width: int, heard: bool) -> int:
    """Of a prompt's way through the layers: its embeddings and states whole, one chunk of one layer, attention over the whole prompt."""
    chunk = min(chunk, positions)
    whole = (2 * decoder.hidden + 2 * decoder.head_size) * width * positions + media * decoder.hidden * width
    mlp = 3 * decoder.middle * chunk * width
    queries = 4 * decoder.heads * decoder.head_size * chunk * width
    # keys and values of one layer are put together anew, and repeated for every head
    attention = 2 * positions * decoder.head_size * width * (decoder.kv_heads + decoder.heads) + chunk * positions
    states = 3 * decoder.hidden * chunk * width
    return whole + states + max(mlp, queries + attention)


def _look(footprint: Footprint, patches: int, width: int) -> int:
    vision = footprint.vision
    # pixels; states and residual; query, key, value, turned and in pieces, or the three of the MLP
    return patches * (width * (vision["values"] + 3 * vision["hidden"] + max(8 * vision["hidden"], 3 * vision["middle"])) + 1280)


def _listen(footprint: Footprint, mel: int, width: int) -> int:
    audio = footprint.audio
    positions = mel // 2
    return width * (mel * (audio["bins"] + 3 * audio["hidden"]) + positions * (3 * audio["hidden"] + 2 * audio["middle"]))


def _sound(footprint: Footprint, codes: int) -> int:
    """Of token2wav, in float32: guided and unguided side by side in the transformer, then the vocoder."""
    sound = footprint.sound
    mel = codes * sound["repeats"]
    transformer = 4 * 2 * mel * (9 * sound["hidden"] + 2 * sound["middle"]) + 6 * mel * mel
    vocoder = 4 * mel * sound["samples"] * sound["channels"] * 8
    return max(transformer, vocoder)


def _host_media(footprint: Footprint, load: Load, width: int) -> int:
    pixels = (sum(load.images) + load.frames[0] * load.frames[1]) * footprint.vision["values"] * 4
    mel = sum(load.mel) * footprint.audio["bins"] * 4
    return pixels + mel + load.media * footprint.thinker.hidden * width + load.prompt * footprint.thinker.hidden * width
