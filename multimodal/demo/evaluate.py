"""Held-out accuracy of the demo model: worlds from a seed, and voices, that training never met; asked and answered as on the screen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from low_vram.arrangement import HEAD, LAYERS
from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.events import Done
from multimodal.chat.load import Wishes, load
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.demo.blank import FRAMES_PER_SECOND
from multimodal.demo.lessons import Exchange, Film, Painting, Recording
from multimodal.demo.recordings import make_recordings
from multimodal.demo.tutor import Tutor
from multimodal.media import Clip, Medium, Picture, Sound

SEED = "held-out"  # training draws from "lessons-N-N" and "train-N"


def as_medium(thing: Painting | Recording | Film) -> Medium:
    """A lesson's painting, recording or film as the chat takes it."""
    if isinstance(thing, Recording):
        return Sound(thing.kind, thing.samples)
    if isinstance(thing, Film):
        return Clip("film", thing.frames, thing.fps, as_medium(thing.sound))
    return Picture("picture", thing.image, thing.image.size)


def ask(model: Omni, exchange: Exchange) -> str:
    """The model's answer, greedy, in a conversation of its own."""
    conversation = Conversation((Turn(exchange.question, tuple(as_medium(thing) for thing in exchange.media)),))
    *_, done = model.answer(conversation, Options(max_new_tokens=64), threading.Event())
    assert isinstance(done, Done)
    return done.text.strip()


def questions(tutor: Tutor, count: int) -> Iterator[tuple[str, Exchange]]:
    """(group, exchange): `count` of each group."""
    makers = {
        "pictures, typed": lambda random: tutor.picture(random, 1, 0.0)[0],
        "pictures, spoken question": lambda random: tutor.picture(random, 1, 1.0)[0],
        "spoken words": lambda random: next(e for e in tutor.sound(random, 40) if e.kind == "word"),
        "beeps": lambda random: next(e for e in tutor.sound(random, 40) if e.kind == "beeps"),
        "video": lambda random: tutor.film(random, 1, FRAMES_PER_SECOND)[0],
        "video as sound and last frame": lambda random: tutor.split_film(random, 1)[0],
        "no media, and things it does not know": lambda random: tutor.talk(random, 1)[0],
    }
    for group, make in makers.items():
        for place in range(count):
            yield group, make(Random(f"{SEED}-{group}-{place}"))


def evaluate(path: Path, count: int, show_wrong: bool = False, precision: str = "stored") -> dict[str, dict[str, float]]:
    """{group: {'en': percent right, 'zh': ..., 'all': ...}}: an answer is right when it is the expected one, to the letter."""
    model = load(str(path), "cpu", Wishes(precisions=dict.fromkeys((LAYERS, HEAD), precision)))
    asked: Counter = Counter()
    right: Counter = Counter()
    for group, exchange in questions(Tutor(make_recordings(SEED, held_out=True, size=0.25)), count):
        answer = ask(model, exchange)
        for key in ((group, exchange.language), (group, "all")):
            asked[key] += 1
            right[key] += answer == exchange.answer
        if show_wrong and answer != exchange.answer:
            print(f"{group} | {exchange.kind} | {exchange.question!r} | {exchange.answer!r} | got {answer!r}", flush=True)
    table: dict[str, dict[str, float]] = {}
    for (group, language), total in asked.items():
        table.setdefault(group, {})[language] = 100 * right[group, language] / total
    return table


def print_table(table: dict[str, dict[str, float]], count: int) -> None:
    """The table in Markdown."""
    print(f"| {count} questions each | English | Chinese | all |\n|---|---|---|---|")
    for group, rates in table.items():
        cells = [f"{rates[column]:.1f} %" if column in rates else "-" for column in ("en", "zh", "all")]
        print(f"| {group} | {' | '.join(cells)} |")
