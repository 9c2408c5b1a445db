"""The error that a person can mend, said in their language; and sizes and lengths as people write them."""

from __future__ import annotations

import re
import string

from multimodal.sentences import SENTENCES

# a kind of file, where it is said
KINDS = {
    "picture": ("a picture", "图片"),
    "sound": ("a sound", "声音"),
    "video": ("a video", "视频"),
}
# why a model cannot speak
MUTE = {
    "no talker": ("it has no talker", "它没有说话的部分"),
    "voices missing": ("its spk_dict.pt is missing", "缺少 spk_dict.pt"),
    "voices damaged": ("its spk_dict.pt is damaged", "spk_dict.pt 已损坏"),
}


class UserError(Exception):
    """Something a person can mend. `code` is a key of SENTENCES; `facts` fill the sentence, a pair being (English, Chinese)."""

    def __init__(self, code: str, **facts: object):
        self.code = code
        self.facts = facts
        super().__init__(self.say("en"))

    def anew(self) -> UserError:
        """The same error to be raised once more: one that is raised twice keeps what both tracebacks hold."""
        return type(self)(self.code, **self.facts)

    def unlocated(self) -> UserError:
        """The same without the folders of this computer, for visitors: of a path its last part alone."""
        place = str(self.facts.get("path", ""))
        name = re.split(r"[/\\]", place.rstrip("/\\"))[-1]
        facts = {slot: fact.replace(place, name) if place and isinstance(fact, str) else fact for slot, fact in self.facts.items()}
        return type(self)(self.code, **facts)

    @property
    def status(self) -> int:
        """The HTTP status that goes with it."""
        return SENTENCES[self.code][0]

    def say(self, language: str) -> str:
        """The sentence in `language` ('en' or 'zh')."""
        chinese = language == "zh"
        pairs = {
            slot: KINDS.get(fact, fact) if isinstance(fact, str) and slot in ("found", "wanted") else fact
            for slot, fact in self.facts.items()
        }
        facts = {slot: fact[chinese] if isinstance(fact, tuple) else fact for slot, fact in pairs.items()}
        return string.Formatter().vformat(SENTENCES[self.code][2 if chinese else 1], (), facts)


def size_text(count: float) -> str:
    """A number of bytes as people write it: '12.3 MB'."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if round(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def length_text(seconds: float) -> str:
    """A time as people write it: '1:02:03' or '0:07'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
