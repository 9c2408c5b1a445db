"""A second teacher for the vision tower, used in training only: what stands at each token of a picture, and which way it moves.

Answers alone teach shapes and places slowly: one word a picture. This says it of every token.
"""

from __future__ import annotations

import torch
from torch import nn

from multimodal.demo import world
from multimodal.demo.lessons import Film

COLOURS, DIRECTIONS = list(world.COLOURS), list(world.DIRECTIONS)
NOTHING = len(world.SHAPES) * len(COLOURS)
UNKNOWN = -100  # not learned from
NOTHING_WEIGHT = 0.1  # most tokens show the background


class Eye(nn.Module):
    """Reads shape and colour, and direction, off the features [tokens, hidden] of the vision tower."""

    def __init__(self, hidden: int):
        super().__init__()
        self.things = nn.Linear(hidden, NOTHING + 1)
        self.moves = nn.Linear(hidden, len(DIRECTIONS))

    def loss(self, features: torch.Tensor, things: torch.Tensor, moves: torch.Tensor | None = None) -> torch.Tensor:
        """Cross-entropy against the labels [tokens] of `scene_cells` or `motion_cells`."""
        weight = torch.ones(NOTHING + 1, device=features.device)
        weight[NOTHING] = NOTHING_WEIGHT
        loss = _cross_entropy(self.things(features), things, weight)
        return loss if moves is None else loss + _cross_entropy(self.moves(features), moves, None)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    if (labels == UNKNOWN).all():
        return logits.sum() * 0.0
    return nn.functional.cross_entropy(logits.float(), labels, weight, ignore_index=UNKNOWN)


def _number(shape: str, colour: str) -> int:
    return world.SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour)


def scene_cells(scene: world.Scene | None, rows: int, columns: int) -> torch.Tensor:
    """What each of the picture's tokens shows [rows * columns], row by row: a thing's number, or NOTHING.

    UNKNOWN throughout where there is no scene.
    """
    if scene is None:
        return torch.full((rows * columns,), UNKNOWN)
    width, height = max(1.0, scene.aspect), max(1.0, 1 / scene.aspect)
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) * height / rows, (torch.arange(columns) + 0.5) * width / columns, indexing="ij")
    cells = torch.full((rows, columns), NOTHING)
    for thing in scene.things:
        far = ((x - thing.x) ** 2 + (y - thing.y) ** 2).sqrt()
        cells[(far <= thing.radius) | (far == far.min())] = _number(thing.shape, thing.colour)
    return cells.flatten()


def motion_cells(film: Film, steps: int, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(things, directions) of each token of a film of `steps` pairs of frames on a grid of `rows` by `columns` patches."""
    motion, pairs, things = film.motion, len(film.frames) // 2, []
    for step in range(steps):
        seconds = motion.seconds * (2 * step + 0.5) / (2 * pairs - 1)
        thing = world.thing_at(motion, seconds)
        things.append(scene_cells(world.Scene("alike", (thing,), 1.0, motion.background, motion.background), rows // 2, columns // 2))
    cells = torch.cat(things)
    return cells, torch.where(cells == NOTHING, UNKNOWN, DIRECTIONS.index(motion.direction))
