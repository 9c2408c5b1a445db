"""The model tab and the status line: what runs, where, in how much memory, and how to get the real one."""

from __future__ import annotations

from multimodal.desk import Desk
from multimodal.errors import MUTE
from multimodal.ui.phrases import phrase

GIB = 2**30


def device_name(desk: Desk, language: str) -> str:
    """Where the model computes, in words."""
    return desk.memory().device_name or phrase("status_cpu", language)


def status_line(desk: Desk, language: str) -> str:
    """Model, device and memory in one line of Markdown."""
    memory = desk.memory()
    parts = [
        phrase(
            f"status_{desk.status}", language, model=f"**{desk.model_name}**", device=memory.device_name or phrase("status_cpu", language)
        )
    ]
    if desk.failure:
        parts.append(desk.failure.say(language))
    if memory.device_total:
        parts.append(phrase("status_device", language, used=f"{memory.device_used / GIB:.1f}", total=f"{memory.device_total / GIB:.1f}"))
    parts.append(phrase("status_host", language, used=f"{memory.host_used / GIB:.1f}", free=f"{memory.host_free / GIB:.1f}"))
    return "  ·  ".join(parts)


def model_page(desk: Desk, language: str) -> str:
    """The model tab's Markdown."""
    if desk.demo:
        return phrase("model_page_demo", language)
    speech = ""
    if desk.model:
        reason = desk.model.no_speech
        speech = (
            phrase("silent", language, reason=MUTE[reason][language == "zh"])
            if reason
            else phrase("model_page_speech", language, voices=", ".join(desk.voices))
        )
    return phrase("model_page_real", language, model=desk.model_name, device=device_name(desk, language), speech=speech)
