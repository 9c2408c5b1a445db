"""What runs: the status line, and the head of the model tab."""

from __future__ import annotations

from multimodal.desk import Desk
from multimodal.errors import MUTE
from multimodal.ui.bars import GIB
from multimodal.ui.phrases import phrase


def device_name(desk: Desk, language: str) -> str:
    """Where the model computes, in words."""
    return desk.memory().device_name or phrase("status_cpu", language)


def status_line(desk: Desk, language: str) -> str:
    """Model, device and memory in one line of Markdown."""
    memory = desk.memory()
    parts = [phrase(f"status_{desk.status}", language, model=f"**{desk.model_name}**", device=device_name(desk, language))]
    if failure := desk.failure:
        parts.append(failure.say(language))
    if memory.device_total:
        parts.append(phrase("status_device", language, used=f"{memory.device_used / GIB:.1f}", total=f"{memory.device_total / GIB:.1f}"))
    parts.append(phrase("status_host", language, used=f"{memory.host_used / GIB:.1f}", free=f"{memory.host_free / GIB:.1f}"))
    return "  ·  ".join(parts)


def about(desk: Desk, language: str) -> str:
    """The model that is chosen, in Markdown: what it is, whether it runs, whether it speaks."""
    lines = [f"### {phrase('demo', language) if desk.demo else desk.model_name}"]
    if desk.demo:
        lines.append(phrase("about_demo", language))
    if failure := desk.failure:
        lines.append(f"⚠️ {failure.say(language)}")
    elif model := desk.model:
        speech = (
            phrase("silent", language, reason=MUTE[model.no_speech][language == "zh"])
            if model.no_speech
            else phrase("about_speech", language, voices=", ".join(model.voices))
        )
        lines.append(phrase("about_running", language, device=device_name(desk, language)) + speech)
    elif desk.status == "unloaded":
        lines.append(phrase("about_unloaded", language))
    return "\n\n".join(lines)
