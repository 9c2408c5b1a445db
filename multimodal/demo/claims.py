"""What a text can say of a scene of the toy world, and whether it is true. Knows nothing of wordings or models."""

from __future__ import annotations

from binascii import crc32
from dataclasses import dataclass, replace
from random import Random

from multimodal.demo.world import COLOURS, MOST_SHAPES, SHAPES, Scene, Thing

SEVERAL = 0  # the number of 'red circles'
HELD_OUT_OF = 8  # one in so many combinations is never trained
FIRST, SECOND = ("left", "top"), ("right", "bottom")


@dataclass(frozen=True)
class Part:
    """Some of a scene's things: how many (None: any number; SEVERAL: two or more), of which colour and which shape (None: any)."""

    number: int | None
    colour: str | None
    shape: str | None

    def fits(self, thing: Thing) -> bool:
        """Whether the thing has the colour and the shape."""
        return self.colour in (None, thing.colour) and self.shape in (None, thing.shape)

    @property
    def is_whole(self) -> bool:
        """Whether colour and shape are both said."""
        return self.colour is not None and self.shape is not None


@dataclass(frozen=True)
class Claim:
    """What a text says.

    `relation` of one part: None, or its place: 'left', 'right', 'top', 'bottom'. Of two parts: 'left of' and 'above' (the first part is the
    left or upper one), 'beside', 'and'. `tone` of the background: None (not said), 'light' or 'dark'.
    """

    parts: tuple[Part, ...]
    relation: str | None = None
    tone: str | None = None


def tone(scene: Scene) -> str | None:
    """'light', 'dark', or None for a background in between."""
    brightness = (sum(scene.background) + sum(scene.background_end)) / 6
    return "light" if brightness > 170 else "dark" if brightness < 115 else None


def is_true(claim: Claim, scene: Scene) -> bool | None:
    """Whether the scene is as the claim says; None where people would differ (is one of three circles 'a circle'?)."""
    verdict = (_one if len(claim.parts) == 1 else _two)(claim, scene)
    if claim.tone is None or verdict is False or tone(scene) == claim.tone:
        return verdict
    return None if tone(scene) is None else False


def _one(claim: Claim, scene: Scene) -> bool | None:
    (part,) = claim.parts
    found = sum(part.fits(thing) for thing in scene.things)
    if found == 0:
        return False
    if claim.relation is not None:
        if scene.layout != ("beside" if claim.relation in ("left", "right") else "above"):
            return None
        return part.fits(scene.things[claim.relation in SECOND])
    if part.number is None or found == part.number:
        return True
    if part.number == SEVERAL:
        return True if found > 1 else None
    return None if part.number == 1 else False


def _two(claim: Claim, scene: Scene) -> bool | None:
    a, b = claim.parts
    if scene.layout == "alike":
        return None if a.fits(scene.things[0]) and b.fits(scene.things[0]) else False
    first, second = scene.things
    in_order, turned = a.fits(first) and b.fits(second), a.fits(second) and b.fits(first)
    if claim.relation in ("left of", "above"):
        return in_order and scene.layout == ("beside" if claim.relation == "left of" else "above")
    if not (in_order or turned):
        return False
    return True if claim.relation == "and" or scene.layout == "beside" else None


def whole(scene: Scene) -> Claim:
    """All that can be said of the scene's things."""
    if scene.layout == "alike":
        return Claim((Part(len(scene.things), scene.things[0].colour, scene.things[0].shape),))
    return Claim(tuple(Part(1, thing.colour, thing.shape) for thing in scene.things), "left of" if scene.layout == "beside" else "above")


def is_held_out(claim: Claim) -> bool:
    """Whether the claim says all of a picture, of a combination that training never shows."""
    exact = claim.relation in ("left of", "above") if len(claim.parts) == 2 else claim.relation is None and bool(claim.parts[0].number)
    if not exact or not all(part.is_whole for part in claim.parts):
        return False
    number = claim.parts[0].number if len(claim.parts) == 1 else 2
    key = [str(number), str(claim.relation), *(f"{part.colour} {part.shape}" for part in claim.parts)]
    return crc32("|".join(key).encode()) % HELD_OUT_OF == 0


def draw_part_claim(random: Random, scene: Scene) -> Claim:
    """A claim that is true of the scene and leaves something open."""
    count = len(scene.things)
    told = random.choice([tone(scene), None, None, None, None, None, None, None])
    if scene.layout == "alike":
        colour, shape = scene.things[0].colour, scene.things[0].shape
        number = random.choice((None, count, SEVERAL if count > 1 else 1))
        seen = random.choice(((colour, shape), (colour, shape), (colour, None), (None, shape), (None, None)))
        return Claim((Part(count if seen == (None, None) else number, *seen),), None, told)
    first, second = scene.things
    kind = random.choice(("related", "related", "related", "together", "together", "placed", "placed", "one", "one", "number"))
    if kind == "number":
        same = [
            Part(2, first.colour if first.colour == second.colour else None, None),
            Part(2, None, first.shape if first.shape == second.shape else None),
        ]
        return Claim((random.choice(same),), None, told)
    if kind in ("placed", "one"):
        place = random.randrange(2)
        part = _partly(random, scene.things[place])
        axis = 0 if scene.layout == "beside" else 1
        return Claim((part,), (FIRST, SECOND)[place][axis] if kind == "placed" else None, told)
    if kind == "related":
        parts = (_partly(random, first), _partly(random, second))
        return Claim(parts, "left of" if scene.layout == "beside" else "above", told)
    parts = (_partly(random, first, 0.75), _partly(random, second, 0.75))
    relation = random.choice(("and", "beside")) if scene.layout == "beside" else "and"
    return Claim(parts if random.random() < 0.5 else parts[::-1], relation, told)


def _partly(random: Random, thing: Thing, complete: float = 0.4) -> Part:
    """The thing as a part; with probability `complete` both its colour and its shape are said."""
    colour, shape = (thing.colour, thing.shape)
    if random.random() >= complete:
        colour, shape = random.choice(((colour, None), (None, shape)))
    return Part(random.choice((1, 1, None)), colour, shape)


def altered(random: Random, claim: Claim) -> Claim:
    """The claim with one thing changed: the parts' places, the relation, a number, a colour or a shape."""
    swap = {"left of": "above", "above": "left of", "left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    changes = ["part"]
    if claim.relation in swap:
        changes += ["relation", "order"]
    change = random.choice(changes)
    if change == "order" and len(claim.parts) == 2:
        return replace(claim, parts=claim.parts[::-1])
    if change != "part":
        return replace(claim, relation=swap[claim.relation])
    place = random.randrange(len(claim.parts))
    part = claim.parts[place]
    said = [name for name in ("colour", "shape") if getattr(part, name)]
    if part.number and len(claim.parts) == 1:
        said.append("number")
    name = random.choice(said)
    values = {"colour": tuple(COLOURS), "shape": SHAPES, "number": tuple(range(1, MOST_SHAPES + 1))}[name]
    part = replace(part, **{name: random.choice([value for value in values if value != getattr(part, name)])})
    return replace(claim, parts=(*claim.parts[:place], part, *claim.parts[place + 1 :]))
