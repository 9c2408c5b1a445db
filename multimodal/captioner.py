"""Captions for the library's pictures that have none, written by the chat model in the background, between people's questions."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace

from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.events import Done
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.retrieval.query import LONGEST_TEXT

log = logging.getLogger(__name__)

ASKED = {"en": "Describe the picture in one sentence.", "zh": "用一句话描述这张图片。"}
LONGEST = 96  # tokens of a caption
BLOCK = 200  # pictures looked up at once


@dataclass(frozen=True)
class Writing:
    """How far it has come. `state`: 'idle', 'running', 'done', 'cancelled', or 'failed' with its `error`.

    `passed_over`: pictures that could not be read, were described by somebody meanwhile, or of which the model said nothing.
    """

    state: str = "idle"
    done: int = 0
    total: int = 0
    passed_over: int = 0
    seconds: float = 0.0
    error: UserError | None = None

    @property
    def seconds_left(self) -> float | None:
        """By the speed so far."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None


class Captioner:
    """One run at a time; each caption is kept as soon as it is written."""

    def __init__(self, desk: Desk):
        self.desk = desk
        self.progress = Writing()
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, language: str) -> None:
        """Write captions in 'en' or 'zh'; does nothing while it is at it. Raises UserError where the library cannot be written to."""
        store = self.desk.library.store
        if self.desk.library.read_only:
            raise UserError("library_read_only")
        with self._starting:
            if self.progress.state == "running":
                return
            self._stop.clear()
            self.progress = Writing("running", total=store.count_without_caption())
            self._thread = threading.Thread(target=self._run, args=(ASKED[language],), name="captions", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """End after the word that is being written."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it came to its end within so many seconds."""
        if self._thread:
            self._thread.join(seconds)
        return self.progress.state != "running"

    def _run(self, question: str) -> None:
        began, last = time.monotonic(), 0
        try:
            while not self._stop.is_set() and (ids := self.desk.library.store.without_caption(BLOCK, last)):
                for last in ids:
                    written = not self._stop.is_set() and self._write(last, question)
                    if self._stop.is_set():
                        break
                    now = self.progress
                    self.progress = replace(
                        now,
                        done=now.done + 1,
                        total=max(now.total, now.done + 1),
                        passed_over=now.passed_over + (not written),
                        seconds=time.monotonic() - began,
                    )
            self.progress = replace(self.progress, state="cancelled" if self._stop.is_set() else "done")
        except UserError as error:
            self.progress = replace(self.progress, state="failed", error=error)
        except Exception as error:  # a fault of ours: nobody else hears of this thread's end
            log.exception("Writing captions failed")
            self.progress = replace(self.progress, state="failed", error=UserError("answer_failed", reason=type(error).__name__))

    def _write(self, id: int, question: str) -> bool:
        """Whether a caption was written: the picture could be read, and was still there, without a caption, when it was."""
        library, written = self.desk.library, False
        try:
            picture = library.picture(id)
            if picture.captions:  # those of a block are looked up at once, and that may be hours ago
                return False
            media = take(library.original(picture), picture.name, self.desk.limits, only="picture", stop=self._stop)
        except UserError as error:
            log.warning("%s", error)
            return False
        conversation = Conversation((Turn(question, tuple(media)),), self.desk.settings.system_prompt)
        for event in self.desk.answer(conversation, Options(LONGEST), self._stop):
            if isinstance(event, Done) and not event.stopped and event.text.strip():
                try:
                    written = not library.picture(id).captions
                except UserError as error:  # taken out meanwhile
                    log.warning("%s", error)
                if written:
                    library.set_captions(id, [event.text.strip()[:LONGEST_TEXT]], "model")
        return written
