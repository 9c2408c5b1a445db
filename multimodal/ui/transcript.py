"""A conversation as the messages of a Chatbot, and back from a message's number to its turn."""

from __future__ import annotations

from pathlib import Path

from multimodal.chat.conversation import Conversation, Turn
from multimodal.ui.phrases import phrase


def show(conversation: Conversation, language: str, hint: str = "") -> list[dict]:
    """The messages. `hint` stands where the last turn's answer is still to come."""
    messages: list[dict] = []
    for place, turn in enumerate(conversation.turns):
        last = place == len(conversation.turns) - 1
        messages += _question(turn) + _answer(turn, language, hint if last else "")
    return messages


def turn_of(conversation: Conversation, message: int) -> int:
    """Which turn message number `message` belongs to."""
    count = 0
    for place, turn in enumerate(conversation.turns):
        count += len(_question(turn)) + len(_answer(turn, "en", ""))
        if message < count:
            return place
    return len(conversation.turns) - 1


def _question(turn: Turn) -> list[dict]:
    unread = turn.refusal is not None and not turn.media
    files = [{"role": "user", "content": _file(path, name, unread)} for path, name in turn.files if Path(path).exists()]
    return [*files, {"role": "user", "content": turn.text}] if turn.text else files


def _file(path: str, name: str, unread: bool) -> dict:
    if not unread:
        return {"path": path, "alt_text": name}
    # shown by its name: what it claims to be could not be read
    return {"type": "file", "file": {"path": path, "orig_name": name, "mime_type": "application/octet-stream"}, "alt_text": name}


def _answer(turn: Turn, language: str, hint: str) -> list[dict]:
    notes = [f"*{phrase(name, language, **facts)}*" for name, facts in turn.notes]
    refusal = f"⚠️ {turn.refusal.say(language)}" if turn.refusal else ""
    text = "\n\n".join(part for part in (turn.answer, *notes, refusal, f"*{hint}*" if hint else "") if part)
    messages = [{"role": "assistant", "content": text}]
    if turn.spoken is not None and Path(turn.spoken).exists():
        messages.append({"role": "assistant", "content": {"path": turn.spoken}})
    return messages
