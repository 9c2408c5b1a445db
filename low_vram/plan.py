"""What a machine has, what a model is, what is asked: how it will be arranged, what it will take, and why. Pure arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from low_vram.arrangement import AUDIO, DEVICE, EMBEDDINGS, HEAD, LAYERS, SOUND, TALKER, VISION, Arrangement
from low_vram.budget import Machine
from low_vram.footprint import Footprint
from low_vram.ladder import FREE, Step, rungs
from low_vram.predict import Prediction, predict
from low_vram.reasons import Reason, size_text
from low_vram.request import Limits, Load, Request, weigh

GIB = 2**30
# What a card needs beside tensors: its context, the allocator's rounding, the kernels' own space.
RESERVE = 768 * 2**20
# From this many bytes on, these are the limits that people get who set none: (device bytes, limits).
SIZES = (
    (0, Limits(pixels=700_000, side=800, frame_pixels=100_352, frames=60, seconds=600, context=16_384, speech=60)),
    (7 * GIB, Limits(pixels=1_003_520, side=1024, frame_pixels=200_704, frames=60, seconds=600, context=16_384, speech=82)),
    (11 * GIB, Limits(pixels=2_000_000, side=1536, frame_pixels=200_704, frames=120, seconds=900, context=24_576, speech=82)),
    (15 * GIB, Limits(pixels=3_000_000, side=2048, frame_pixels=401_408, frames=180, seconds=1200, context=32_768, speech=82)),
)
SIZE_OF = {
    "towers_moved": (VISION, AUDIO),
    "towers_nf4": (VISION, AUDIO),
    "speech_moved": (TALKER, SOUND),
    "embeddings_host": (EMBEDDINGS,),
    "layers_int8": (LAYERS,),
    "layers_nf4": (LAYERS,),
    "head_nf4": (HEAD,),
    "head_nf4_device": (HEAD,),
    "talker_nf4": (TALKER,),
    "sound_int8": (SOUND,),
    "talker_nf4_device": (TALKER,),
}


@dataclass(frozen=True)
class Plan:
    """How a model is arranged for a request on a machine, the bytes that it takes, and one reason for each decision."""

    machine: Machine
    footprint: Footprint
    arrangement: Arrangement
    load: Load
    prediction: Prediction
    fits: bool
    reasons: tuple[Reason, ...]
    part_bytes: dict[str, int]
    width: int  # bytes of an element as computed
    taken: tuple[str, ...] = field(default=())

    @property
    def limits(self) -> Limits:
        """How much of the media is taken."""
        return self.arrangement.limits

    @property
    def device_peak(self) -> int:
        """Bytes of tensors on the device at the worst moment; 0 without one."""
        return 0 if self.machine.on_cpu else self.prediction.device

    def as_json(self) -> dict[str, object]:
        """The plan in plain types."""
        return {
            "fits": self.fits,
            "budget_device_bytes": self.machine.device,
            "budget_host_bytes": self.machine.host,
            "device_peak_bytes": self.device_peak,
            "device_reserve_bytes": 0 if self.machine.on_cpu else RESERVE,
            "host_peak_bytes": self.prediction.host,
            "parts": [
                {
                    "name": part,
                    "bytes": size,
                    "placement": self.arrangement.places[part],
                    "precision": self.arrangement.precisions[part],
                }
                for part, size in self.part_bytes.items()
            ],
            "activation_bytes": self.prediction.activations,
            "kv_cache_bytes": self.prediction.cache,
            "stages": self.prediction.stages,
            "limits": asdict(self.limits),
            "chunk": self.arrangement.chunk,
            "prompt_tokens": self.load.prompt,
            "reasons": [reason.say() for reason in self.reasons],
        }


def make_plan(
    footprint: Footprint,
    machine: Machine,
    request: Request,
    width: int | None = None,
    places: dict[str, str] | None = None,
    precisions: dict[str, str] | None = None,
    limits: dict[str, int] | None = None,
    other: int = 0,
) -> Plan:
    """The plan that gives up least. `width`: bytes of an element as computed; `places`, `precisions` (by part) and `limits` (by name): what
    a person set; `other`: bytes of other models in the process.

    It goes down the ladder until the request fits, then takes back each step that turns out not to be needed.
    """
    width = width or footprint.width
    there = {part: place for part, place in (places or {}).items() if part in footprint.parts and not machine.on_cpu}
    search = _Search(footprint, machine, request, width, there, precisions or {}, limits or {}, other)
    found = search.least()
    return Plan(
        machine,
        footprint,
        found.arrangement,
        found.load,
        found.prediction,
        found.fits,
        search.reasons(found),
        search.part_bytes(found),
        width,
        tuple(step.code for step in found.steps),
    )


@dataclass(frozen=True)
class _Trial:
    """What comes of some steps of the ladder."""

    steps: tuple[Step, ...]
    arrangement: Arrangement
    load: Load
    prediction: Prediction
    fits: bool


@dataclass(frozen=True)
class _Search:
    """The way down the ladder."""

    footprint: Footprint
    machine: Machine
    request: Request
    width: int
    places: dict[str, str]
    precisions: dict[str, str]
    limits: dict[str, int]
    other: int

    def least(self) -> _Trial:
        """The trial that gives up least and fits, or the ladder's end."""
        ladder = rungs(self.machine.on_cpu)
        for count in range(len(ladder) + 1):
            found = self.trial(ladder[:count])
            if found.fits:
                break
        costly = sorted((step for step in reversed(found.steps) if step.cost != FREE), key=lambda step: -step.cost)
        for step in costly if found.fits else ():
            without = self.trial(tuple(taken for taken in found.steps if taken is not step))
            found = without if without.fits else found
        return found

    def trial(self, steps: tuple[Step, ...]) -> _Trial:
        arrangement = self.arranged(steps)
        load = weigh(self.request, arrangement.limits)
        prediction = predict(self.footprint, arrangement, load, self.machine.on_cpu, self.width, self.other)
        return _Trial(steps, arrangement, load, prediction, self.on_device(prediction) and prediction.host <= self.machine.host)

    def on_device(self, prediction: Prediction) -> bool:
        return self.machine.on_cpu or prediction.device + RESERVE <= self.machine.device

    def arranged(self, steps: tuple[Step, ...]) -> Arrangement:
        parts = self.footprint.parts
        arrangement = Arrangement(dict.fromkeys(parts, DEVICE), dict.fromkeys(parts, "stored"), default_limits(self.machine, self.limits))
        for step in steps:
            arrangement = step.change(arrangement)
        for part, place in self.places.items():
            arrangement = arrangement.placed(place, part)
        for part, precision in self.precisions.items():
            arrangement = arrangement.precise(precision, part)
        return arrangement

    def part_bytes(self, found: _Trial) -> dict[str, int]:
        precisions, on_cpu = found.arrangement.precisions, self.machine.on_cpu
        return {part: self.footprint.part_bytes(part, precisions[part], self.width, on_cpu) for part in self.footprint.parts}

    def reasons(self, found: _Trial) -> tuple[Reason, ...]:
        machine, prediction, sizes = self.machine, found.prediction, self.part_bytes(found)
        words = asdict(found.arrangement.limits) | {"chunk": found.arrangement.chunk, "cache": size_text(prediction.cache)}
        reasons = []
        if not found.fits:
            host = self.on_device(prediction)
            budget = size_text(machine.host if host else machine.device)
            needed = {"budget": budget, "device": size_text(prediction.device + RESERVE), "host": size_text(prediction.host)}
            reasons.append(Reason("nothing_fits_host" if host else "nothing_fits", needed))
        if machine.on_cpu:
            reasons.append(Reason("on_cpu"))
        elif not found.steps and not self.places:
            reasons.append(Reason("all_fits"))
        for step in found.steps:
            if self.arranged(tuple(other for other in found.steps if other is not step)) != found.arrangement:
                size = sum(sizes.get(part, 0) for part in SIZE_OF.get(step.code, ()))
                reasons.append(Reason(step.code, words | {"size": size_text(size)}))
            # else a later step goes further in the same direction
        reasons += [Reason("map", {"part": part, "place": place}) for part, place in self.places.items()]
        reasons += [Reason(f"cut_{what}", words) for what in found.load.cut]
        if self.other:
            reasons.append(Reason("other", {"size": size_text(self.other)}))
        return tuple(reasons)


def default_limits(machine: Machine, given: dict[str, int]) -> Limits:
    """The limits for the memory of `machine`, but for those that are `given`."""
    budget = machine.host if machine.on_cpu else machine.device
    return replace(max((size for size in SIZES if size[0] <= budget), key=lambda size: size[0])[1], **given)
