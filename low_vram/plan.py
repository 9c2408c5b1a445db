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
    budget = machine.host if machine.on_cpu else machine.device
    places = {part: place for part, place in (places or {}).items() if part in footprint.parts and not machine.on_cpu}
    start = Arrangement(
        places=dict.fromkeys(footprint.parts, DEVICE),
        precisions=dict.fromkeys(footprint.parts, "stored"),
        limits=replace(max((size for size in SIZES if size[0] <= budget), key=lambda size: size[0])[1], **(limits or {})),
    )

    def arranged(steps: tuple[Step, ...]) -> Arrangement:
        arrangement = start
        for step in steps:
            arrangement = step.change(arrangement)
        for part, place in places.items():
            arrangement = arrangement.placed(place, part)
        for part, precision in (precisions or {}).items():
            arrangement = arrangement.precise(precision, part)
        return arrangement

    def tried(steps: tuple[Step, ...]) -> tuple[Arrangement, Load, Prediction, bool]:
        arrangement = arranged(steps)
        load = weigh(request, arrangement.limits)
        prediction = predict(footprint, arrangement, load, machine.on_cpu, width, other)
        on_device = machine.on_cpu or prediction.device + RESERVE <= machine.device
        return arrangement, load, prediction, on_device and prediction.host <= machine.host

    ladder = rungs(machine.on_cpu)
    taken: tuple[Step, ...] = ()
    for count in range(len(ladder) + 1):
        taken = ladder[:count]
        if tried(taken)[-1]:
            break
    fits = tried(taken)[-1]
    costly = sorted((step for step in reversed(taken) if step.cost != FREE), key=lambda step: -step.cost)
    for step in costly if fits else ():
        without = tuple(other for other in taken if other is not step)
        if tried(without)[-1]:
            taken = without
    arrangement, load, prediction, fits = tried(taken)
    part_bytes = {part: footprint.part_bytes(part, arrangement.precisions[part], width, machine.on_cpu) for part in footprint.parts}
    reasons = _reasons(machine, arranged, taken, arrangement, load, prediction, part_bytes, places, other, fits)
    return Plan(machine, footprint, arrangement, load, prediction, fits, reasons, part_bytes, width, tuple(step.code for step in taken))


def _reasons(machine, arranged, taken, arrangement, load, prediction, part_bytes, places, other, fits) -> tuple[Reason, ...]:
    reasons = []
    if not fits:
        words = {"device": size_text(prediction.device + RESERVE), "host": size_text(prediction.host)}
        tight = machine.on_cpu or prediction.device + RESERVE <= machine.device
        budget = size_text(machine.host if tight else machine.device)
        reasons.append(Reason("nothing_fits_host" if tight else "nothing_fits", words | {"budget": budget}))
    if machine.on_cpu:
        reasons.append(Reason("on_cpu"))
    elif not taken and not places:
        reasons.append(Reason("all_fits"))
    words = asdict(arrangement.limits) | {"chunk": arrangement.chunk, "cache": size_text(prediction.cache)}
    for place, step in enumerate(taken):
        if arranged(taken[:place] + taken[place + 1 :]) == arrangement:
            continue  # a later step goes further in the same direction
        size = sum(part_bytes.get(part, 0) for part in SIZE_OF.get(step.code, ()))
        reasons.append(Reason(step.code, words | {"size": size_text(size)}))
    reasons += [Reason("map", {"part": part, "place": place}) for part, place in places.items()]
    reasons += [Reason(f"cut_{what}", words) for what in load.cut]
    if other:
        reasons.append(Reason("other", {"size": size_text(other)}))
    return tuple(reasons)
