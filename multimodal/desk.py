"""The desk: the parts put together once. The only place that chooses the demo model or a real one, and that holds the lock on it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from low_vram.memory import Memory, read_memory
from multimodal.chat.conversation import Conversation
from multimodal.chat.events import Done, Event, Notice
from multimodal.chat.load import load
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.settings import Settings

log = logging.getLogger(__name__)

DEMO_MODEL = Path(__file__).parent.parent / "assets" / "demo"
DEMO_NAME = "omni-desk-demo"
POLL_SECONDS = 0.1


class Desk:
    """One model, shared by the screen and the routes; answers come one after another."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.demo = settings.model_path is None
        self.model_name = DEMO_NAME if self.demo else settings.model_path.replace("\\", "/").rstrip("/").split("/")[-1]
        self.model: Omni | None = None
        self.failure: UserError | None = None
        self.limits = Limits(
            file_bytes=settings.max_upload_mb * 1_000_000,
            pixels=settings.max_pixels,
            frames=settings.max_frames,
            sound_seconds=settings.max_media_seconds,
            video_seconds=settings.max_media_seconds,
        )
        self._loaded = threading.Event()
        self._turn = threading.Lock()

    def open(self) -> None:
        """Begin to load the model, in the background: the screen is there meanwhile."""
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self) -> None:
        began = time.monotonic()
        path = str(DEMO_MODEL) if self.demo else self.settings.model_path
        try:
            self.model = load(path, self.settings.device, self.settings.context_tokens)
            log.info("%s is ready after %.1f s", self.model_name, time.monotonic() - began)
        except UserError as error:
            self.failure = error
            log.error("%s", error)
        except Exception as error:  # the libraries have many ways to refuse a checkpoint; nobody else hears of this thread's end
            self.failure = UserError("model_broken", path=path, reason=type(error).__name__)
            log.exception("Loading %s failed", path)
        finally:
            self._loaded.set()

    @property
    def status(self) -> str:
        """'loading', 'ready' or 'failed'."""
        return "ready" if self.model else "failed" if self._loaded.is_set() else "loading"

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices the model can answer in; none before it is loaded."""
        return self.model.voices if self.model else ()

    @property
    def device(self) -> str:
        """Where the model computes."""
        return self.model.device if self.model else "cpu"

    def memory(self) -> Memory:
        """The memory in use at this moment."""
        return read_memory(self.device)

    def answer(self, conversation: Conversation, options: Options, stop: threading.Event, patience: float | None = None) -> Iterator[Event]:
        """The events of the answer to the conversation's last turn, after the model's other answers. Raises UserError.

        `patience`: how many seconds to wait for loading and for other answers before giving up; None waits as long as it takes.
        Setting `stop`, or closing the iterator, ends the computation.
        """
        began = time.monotonic()
        turn = conversation.turns[-1]
        if not turn.text.strip() and not turn.media:
            raise UserError("empty_question")
        if not self._loaded.is_set():
            yield Notice("loading")
        if not self._wait(self._loaded.wait, stop, began, patience):
            yield from self._unanswered(stop, began, "loading")
            return
        if self.failure:
            raise self.failure.anew()
        if not self._turn.acquire(blocking=False):
            yield Notice("waiting")
            if not self._wait(lambda seconds: self._turn.acquire(timeout=seconds), stop, began, patience):
                yield from self._unanswered(stop, began, "busy")
                return
        waited = time.monotonic() - began
        try:
            for event in self.model.answer(conversation, options, stop):
                yield replace(event, timings={"wait": waited, **event.timings}) if isinstance(event, Done) else event
        finally:
            self._turn.release()

    def _wait(self, step, stop: threading.Event, began: float, patience: float | None) -> bool:
        """Whether `step` succeeded before Stop was pressed and patience ended."""
        while not step(POLL_SECONDS):
            if stop.is_set() or (patience is not None and time.monotonic() - began > patience):
                return False
        return True

    def _unanswered(self, stop: threading.Event, began: float, reason: str) -> Iterator[Event]:
        if not stop.is_set():
            raise UserError(reason)
        waited = time.monotonic() - began
        yield Done("", 0, 0, {"wait": waited, "total": waited}, stopped=True)
