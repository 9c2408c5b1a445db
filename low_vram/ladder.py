"""The ladder: what is given up for memory, in this order. A plan goes down it before loading, recovery goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from low_vram.arrangement import AUDIO, DEVICE, EMBEDDINGS, HEAD, HOST, LAYERS, MOVED, SOUND, TALKER, VISION, Arrangement

# What a step costs the person. Where a plan turns out to have taken one too many, the worst is taken back first.
FREE, SLOWER, COARSER, LESS = range(4)  # nothing; time; precision; something of the question


@dataclass(frozen=True)
class Step:
    """One rung. `live` can be taken while the model is loaded. `where`: 'device' makes sense beside a card only, 'cpu' without one."""

    code: str
    change: Callable[[Arrangement], Arrangement]
    cost: int = SLOWER
    live: bool = True
    where: str = "both"


def _pieces(chunk: int, patches: int, windows: int) -> Callable[[Arrangement], Arrangement]:
    return lambda arrangement: replace(
        arrangement,
        chunk=min(chunk, arrangement.chunk),
        patches=min(patches, arrangement.patches),
        windows=min(windows, arrangement.windows),
    )


def _limits(**least: int) -> Callable[[Arrangement], Arrangement]:
    """Half of each limit named, but not under its least."""
    return lambda arrangement: replace(
        arrangement,
        limits=replace(
            arrangement.limits,
            **{name: min(old, max(floor, old // 2)) for name, floor in least.items() for old in [getattr(arrangement.limits, name)]},
        ),
    )


def _off_device(*parts: str, place: str) -> Callable[[Arrangement], Arrangement]:
    """Those of `parts` that are on the device, or moved in, go to `place`; a part that is further away already stays."""
    order = (DEVICE, MOVED, HOST)

    def change(arrangement: Arrangement) -> Arrangement:
        nearer = [part for part in parts if part in arrangement.places and order.index(arrangement.places[part]) < order.index(place)]
        return arrangement.placed(place, *nearer)

    return change


def _precise(precision: str, *parts: str) -> Callable[[Arrangement], Arrangement]:
    return lambda arrangement: arrangement.precise(precision, *parts)


LADDER = (
    Step("towers_moved", _off_device(VISION, AUDIO, place=MOVED), where="device"),
    Step("speech_moved", _off_device(TALKER, SOUND, place=MOVED), where="device"),
    Step("embeddings_host", _off_device(EMBEDDINGS, place=HOST), FREE, where="device"),
    Step("pieces", _pieces(512, 4096, 30), FREE),
    Step("layers_int8", _precise("int8", LAYERS), COARSER, live=False, where="device"),
    Step("thinker_moved", _off_device(LAYERS, HEAD, place=MOVED), where="device"),
    Step("layers_nf4", _precise("nf4", LAYERS), COARSER, live=False),
    Step("head_nf4", _precise("nf4", HEAD), COARSER, live=False, where="cpu"),
    Step("talker_nf4", _precise("nf4", TALKER), COARSER, live=False, where="cpu"),
    Step("sound_int8", _precise("int8", SOUND), COARSER, live=False, where="cpu"),
    Step("small_pieces", _pieces(128, 1024, 5)),
    Step("cache_host", lambda arrangement: replace(arrangement, cache=HOST), where="device"),
    Step("towers_nf4", _precise("nf4", VISION, AUDIO), COARSER, live=False, where="cpu"),
    Step("head_nf4_device", _precise("nf4", HEAD), COARSER, live=False, where="device"),
    Step("talker_nf4_device", _precise("nf4", TALKER), COARSER, live=False, where="device"),
    Step("towers_host", _off_device(VISION, AUDIO, place=HOST), where="device"),
    Step("fewer_pixels", _limits(pixels=200_704, frame_pixels=50_176), LESS),
    Step("fewer_frames", _limits(frames=16), LESS),
    Step("least_pixels", _limits(pixels=100_352, frame_pixels=25_088), LESS),
    Step("shorter_sound", _limits(seconds=60, speech=15), LESS),
    Step("shorter_context", _limits(context=2048), LESS),
)


def rungs(on_cpu: bool) -> tuple[Step, ...]:
    """The steps that there are beside a card, or without one."""
    return tuple(step for step in LADDER if step.where in ("both", "cpu" if on_cpu else "device"))


def next_live(arrangement: Arrangement, on_cpu: bool) -> tuple[Step, Arrangement] | None:
    """The first step that changes something in a loaded model, and what it makes of `arrangement`; None at the ladder's end."""
    for step in rungs(on_cpu):
        if step.live and (changed := step.change(arrangement)) != arrangement:
            return step, changed
    return None
