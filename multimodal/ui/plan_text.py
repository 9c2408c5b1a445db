"""A memory plan as a person reads it: whether it fits, what it takes, where the parts go, and why."""

from __future__ import annotations

from html import escape

from low_vram.plan import RESERVE, Plan
from low_vram.reasons import size_text
from multimodal.ui.bars import gib, meter
from multimodal.ui.phrases import phrase

# Of the question that a plan is made for, not of the model: the limits say the same for every question.
OF_THE_QUESTION = "cut_"


def plan_html(plan: Plan, name: str, language: str) -> str:
    """The whole plan of the model called `name`."""
    fits = phrase("plan_fits" if plan.fits else "plan_too_large", language)
    reasons = "".join(f"<li>{escape(line)}</li>" for line in reason_lines(plan, language))
    return (
        f'<div class="plan"><h4>{escape(phrase("plan_of", language, model=name))}</h4>'
        f'<p class="verdict {"fits" if plan.fits else "too-large"}">{"✓" if plan.fits else "⚠"} {escape(fits)}</p>'
        f"{_peaks(plan, language)}<p class='small'>{escape(phrase('plan_asked', language))}</p>"
        f"{_table(plan, language)}"
        f"<h5>{escape(phrase('plan_limits', language))}</h5><p>{escape(limits_line(plan, language))}</p>"
        f"<h5>{escape(phrase('plan_why', language))}</h5><ul>{reasons}</ul></div>"
    )


def reason_lines(plan: Plan, language: str) -> list[str]:
    """One line for each decision; two steps in the same direction say the same."""
    said = (reason.say(language) for reason in plan.reasons if not reason.code.startswith(OF_THE_QUESTION))
    return list(dict.fromkeys(said))


def limits_line(plan: Plan, language: str) -> str:
    """How much of pictures, videos, sound and conversations is taken."""
    limits = plan.limits
    numbers = {name: f"{getattr(limits, name):,}" for name in ("pixels", "side", "frames", "seconds", "context")}
    return phrase("limits", language, **numbers)


def place_text(plan: Plan, part: str, language: str) -> str:
    """Where the part is, in plain words."""
    place = "memory" if plan.machine.on_cpu else plan.arrangement.places[part]
    if place == "host" and part.endswith("embed_tokens"):
        place = "rows"  # nothing is computed there: its rows are looked up
    return phrase(f"place_{place}", language)


def _peaks(plan: Plan, language: str) -> str:
    machine, host = plan.machine, plan.prediction.host
    bars = []
    if not machine.on_cpu:
        needed = plan.device_peak + RESERVE
        text = phrase("plan_peak", language, needed=gib(needed), budget=gib(machine.device))
        bars.append(meter(phrase("gauge_device", language), text, needed, machine.device))
    text = phrase("plan_peak", language, needed=gib(host), budget=gib(machine.host))
    bars.append(meter(phrase("gauge_host", language), text, host, machine.host))
    return "".join(bars)


def _table(plan: Plan, language: str) -> str:
    heads = "".join(f'<th scope="col">{escape(phrase(f"column_{name}", language))}</th>' for name in ("part", "size", "precision", "place"))
    rows = []
    for part, size in plan.part_bytes.items():
        name = phrase(f"part_{part.rpartition('.')[2]}", language)
        precision = phrase(f"precision_{plan.arrangement.precisions[part]}", language)
        cells = "".join(f"<td>{escape(text)}</td>" for text in (size_text(size), precision, place_text(plan, part, language)))
        rows.append(f'<tr><th scope="row" title="{escape(part)}">{escape(name)}</th>{cells}</tr>')
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
