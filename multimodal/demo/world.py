"""The toy world: pictures of coloured shapes and short clips of one that moves. Knows nothing of questions, sound or models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (248, 214, 50),
    "green": (50, 160, 70),
    "blue": (40, 90, 205),
    "purple": (130, 60, 170),
    "black": (20, 20, 22),
    "white": (250, 250, 250),
}
SHAPES = ("circle", "square", "triangle", "star")
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
BACKGROUNDS = ((250, 250, 248), (225, 225, 222), (185, 205, 225), (238, 228, 205), (90, 96, 106), (44, 48, 58), (200, 220, 200))
MOST_SHAPES = 4


@dataclass(frozen=True)
class Thing:
    """A shape with its colour, centre and radius in units of the picture's shorter side (origin top left)."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    turn: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What one picture shows. `layout`: 'alike' (1 to 4 of one kind), 'beside' (two, left and right) or 'above' (two, top and bottom)."""

    layout: str
    things: tuple[Thing, ...]
    aspect: float
    background: tuple[int, int, int]
    background_end: tuple[int, int, int]


def _jitter(random: Random, rgb: tuple[int, int, int], spread: int) -> tuple[int, int, int]:
    return tuple(max(0, min(255, channel + random.randint(-spread, spread))) for channel in rgb)


def _contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    return math.dist(a, b)


def _background(random: Random, colours: list[str]) -> tuple[int, int, int]:
    fitting = [rgb for rgb in BACKGROUNDS if all(_contrast(rgb, COLOURS[colour]) > 110 for colour in colours)]
    return _jitter(random, random.choice(fitting or [(128, 128, 128)]), 6)


def _kind(random: Random) -> tuple[str, str]:
    return random.choice(SHAPES), random.choice(list(COLOURS))


def _turn(random: Random) -> float:
    return random.uniform(-12, 12)


def draw_scene(random: Random) -> Scene:
    """A scene drawn from the world's distribution."""
    aspect = random.choice((1.0, 1.0, 4 / 3, 3 / 4, 16 / 9, 2 / 3))
    layout = random.choice(("alike", "alike", "beside", "above"))
    width, height = max(1.0, aspect), max(1.0, 1 / aspect)
    if layout == "alike":
        shape, colour = _kind(random)
        things = _scatter(random, shape, colour, random.randint(1, MOST_SHAPES), width, height)
        colours = [colour]
    else:
        (shape_a, colour_a), (shape_b, colour_b) = _kind(random), _kind(random)
        while shape_a == shape_b or colour_a == colour_b:
            shape_b, colour_b = _kind(random)
        colours = [colour_a, colour_b]
        things = []
        for place, (shape, colour) in enumerate(((shape_a, colour_a), (shape_b, colour_b))):
            radius = random.uniform(0.16, 0.22)
            along = 0.25 + 0.5 * place + random.uniform(-0.03, 0.03)
            across = 0.5 + random.uniform(-0.14, 0.14)
            x, y = (along, across) if layout == "beside" else (across, along)
            things.append(Thing(shape, colour, x * width, y * height, radius, _turn(random)))
    background = _background(random, colours)
    soft = random.random() < 0.5
    return Scene(layout, tuple(things), aspect, background, _jitter(random, background, 22) if soft else background)


def _scatter(random: Random, shape: str, colour: str, count: int, width: float, height: float) -> list[Thing]:
    largest = {1: 0.36, 2: 0.24, 3: 0.21, 4: 0.19}[count]
    while True:
        radius = random.uniform(0.75, 1.0) * largest
        things: list[Thing] = []
        for _ in range(60):
            x, y = random.uniform(radius, width - radius), random.uniform(radius, height - radius)
            if all(math.dist((x, y), (other.x, other.y)) > 2.25 * radius for other in things):
                things.append(Thing(shape, colour, x, y, radius, _turn(random)))
                if len(things) == count:
                    return things


def _outline(thing: Thing, scale: float) -> list[tuple[float, float]]:
    corners, inner, first = {"square": (4, 1.0, 45), "triangle": (3, 1.0, -90), "star": (10, 0.45, -90)}[thing.shape]
    points = []
    for corner in range(corners):
        reach = thing.radius * (inner if corner % 2 and thing.shape == "star" else 1.0)
        angle = math.radians(first + thing.turn + 360 * corner / corners)
        points.append(((thing.x + reach * math.cos(angle)) * scale, (thing.y + reach * math.sin(angle)) * scale))
    return points


def paint(scene: Scene, shorter_side: int = 160) -> Image.Image:
    """The scene as an RGB picture whose shorter side has `shorter_side` pixels."""
    scale = shorter_side * 2  # drawn at twice the size, then averaged: smooth edges
    size = (round(max(1.0, scene.aspect) * scale), round(max(1.0, 1 / scene.aspect) * scale))
    if scene.background == scene.background_end:
        image = Image.new("RGB", size, scene.background)
    else:
        ramp = Image.linear_gradient("L").resize(size)
        image = Image.composite(Image.new("RGB", size, scene.background_end), Image.new("RGB", size, scene.background), ramp)
    draw = ImageDraw.Draw(image)
    for thing in scene.things:
        fill = COLOURS[thing.colour]
        if thing.shape == "circle":
            draw.ellipse([(c + d * thing.radius) * scale for d in (-1, 1) for c in (thing.x, thing.y)], fill=fill)
        else:
            draw.polygon(_outline(thing, scale), fill=fill)
    return image.reduce(2)


@dataclass(frozen=True)
class Motion:
    """One shape that crosses the picture in a straight line in `seconds` seconds."""

    shape: str
    colour: str
    direction: str
    seconds: float
    radius: float
    offset: float
    background: tuple[int, int, int]


def draw_motion(random: Random) -> Motion:
    """A motion drawn from the world's distribution (2 to 4 s)."""
    shape, colour = _kind(random)
    return Motion(
        shape,
        colour,
        random.choice(list(DIRECTIONS)),
        random.choice((2.0, 2.5, 3.0, 3.5, 4.0)),
        random.uniform(0.16, 0.22),
        random.uniform(-0.2, 0.2),
        _background(random, [colour]),
    )


def thing_at(motion: Motion, second: float) -> Thing:
    """The moving shape at `second`."""
    dx, dy = DIRECTIONS[motion.direction]
    way = -0.3 + 0.6 * min(1.0, max(0.0, second / motion.seconds))
    x = 0.5 + (dx * way if dx else motion.offset)
    y = 0.5 + (dy * way if dy else motion.offset)
    return Thing(motion.shape, motion.colour, x, y, motion.radius)


def frame(motion: Motion, second: float, shorter_side: int = 128) -> Image.Image:
    """The square picture of the motion at `second`."""
    return paint(Scene("alike", (thing_at(motion, second),), 1.0, motion.background, motion.background), shorter_side)


def draw_elsewhere(random: Random, shorter_side: int = 160) -> Image.Image:
    """A picture that is not of this world: clutter, stripes, blurred noise. For learning to say so."""
    kind = random.choice(("clutter", "noise", "stripes", "plain"))
    size = random.choice(((shorter_side, shorter_side), (shorter_side * 4 // 3, shorter_side), (shorter_side, shorter_side * 4 // 3)))
    if kind == "plain":
        return Image.new("RGB", size, _jitter(random, random.choice(BACKGROUNDS), 20))
    if kind == "noise":
        coarse = random.choice((3, 5, 9, 16, 40))
        cells = Image.frombytes("RGB", (coarse, coarse), random.randbytes(coarse * coarse * 3))
        return cells.resize(size, random.choice((Image.Resampling.BICUBIC, Image.Resampling.NEAREST)))
    image = Image.new("RGB", size, tuple(random.randbytes(3)))
    draw = ImageDraw.Draw(image)
    if kind == "stripes":
        step, slope = random.randint(5, 25), random.randint(-60, 60)
        colour = tuple(random.randbytes(3))
        for x in range(-100, size[0] + 100, 2 * step):
            draw.line([(x, 0), (x + slope, size[1])], fill=colour, width=step)
    else:
        for _ in range(random.randint(12, 60)):
            a, b = (random.randint(-20, size[0]) for _ in range(2))
            box = [a, b, a + random.randint(5, 90), b + random.randint(5, 90)]
            random.choice((draw.ellipse, draw.rectangle))(box, fill=tuple(random.randbytes(3)))
    return image.filter(ImageFilter.GaussianBlur(random.choice((0, 0, 1, 2))))
