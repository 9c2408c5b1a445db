"""The desk: the parts put together once. The only place that chooses the demo model or a real one, and that holds the lock on it."""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from low_vram.arrangement import LAYERS
from low_vram.device import choose_device
from low_vram.footprint import read_config
from low_vram.load import Cancelled, Checkpoint, plan_for
from low_vram.memory import Memory, read_memory, release
from low_vram.plan import Plan
from multimodal.chat.conversation import Conversation
from multimodal.chat.estimate import Estimate, estimate, read_request
from multimodal.chat.events import Done, Event, Notice
from multimodal.chat.load import Wishes, choose_machine, load, make_ready
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.checkpoints import DEMO_ENCODER, DEMO_MODEL, checkpoint, downloaded
from multimodal.data_dir import REQUEST_PREFIX
from multimodal.demo.library import make_library
from multimodal.errors import UserError
from multimodal.media import Limits
from multimodal.retrieval.library import FOLDER, Library
from multimodal.settings import Settings

log = logging.getLogger(__name__)

DEMO_NAME = "omni-desk-demo"
PUBLISHED = {"Qwen/Qwen2.5-Omni-3B": "3b", "Qwen/Qwen2.5-Omni-7B": "7b"}  # at the hubs: in low_vram
POLL_SECONDS = 0.1
PRECISIONS = {"full": "stored", "int8": "int8", "nf4": "nf4"}
# What is kept of a file before the model's own limits: enough for its closest look.
KEPT_PIXELS, KEPT_FRAME_PIXELS, KEPT_FRAMES = 12_845_056, 401_408, 180


@dataclass(frozen=True)
class Loading:
    """How far the loading of a model has come: `done` of `total` bytes in `seconds`."""

    done: int
    total: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """By the speed so far."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None


class Desk:
    """One model and one picture library, shared by the screen and the routes; answers come one after another."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.path = settings.model_path  # None is the demo model
        self.model: Omni | None = None
        self.failure: UserError | None = None
        self.loading: Loading | None = None
        self.limits = Limits(
            file_bytes=settings.max_upload_mb * 1_000_000,
            pixels=settings.max_pixels or KEPT_PIXELS,
            frame_pixels=KEPT_FRAME_PIXELS,
            frames=settings.max_frames or KEPT_FRAMES,
            sound_seconds=settings.max_media_seconds,
            video_seconds=settings.max_media_seconds,
        )
        self.library = Library(
            settings.data_dir / FOLDER,
            self._encoder_path(settings.clip_model),
            choose_device(settings.clip_device),
            self.limits,
            settings.cross_model and downloaded(settings.cross_model, settings.data_dir),
        )
        self._settled = threading.Event()  # loaded, failed or unloaded: nothing is under way
        self._cancel = threading.Event()
        self._turn = threading.Lock()
        self._idle_since = time.monotonic()
        self._known_voices: tuple[str, ...] = ()  # a model that left memory can be asked to speak all the same

    @property
    def demo(self) -> bool:
        """Whether the model is the one that comes along."""
        return self.path is None

    @property
    def model_name(self) -> str:
        """The model's own name: the end of its path."""
        return DEMO_NAME if self.demo else self.path.replace("\\", "/").rstrip("/").split("/")[-1]

    def open(self) -> None:
        """Begin to load the model, and open the library, in the background: the screen is there meanwhile."""
        threading.Thread(target=self._open_library, name="library", daemon=True).start()
        self.open_model()

    def open_model(self) -> None:
        """Begin to load the model alone, in the background."""
        self._begin(self.settings.load_anyway)
        if self.settings.unload_minutes:
            threading.Thread(target=self._watch_idleness, name="idle", daemon=True).start()

    def close(self) -> None:
        """Save what the library has not saved yet, and let go of it."""
        self.library.close()

    def switch_encoder(self, path: str | None) -> None:
        """Another encoder for the library; None is the one that comes along. Raises UserError where one is just being loaded."""
        self.library.switch_encoder(self._encoder_path(path))

    def _encoder_path(self, path: str | None) -> str:
        return checkpoint(path, DEMO_ENCODER, self.settings.data_dir)

    def _open_library(self) -> None:
        self.library.open()
        try:
            if self.library.read_only or self.library.store.was_used():
                return
            # the first start: something to search in
            folder = Path(tempfile.mkdtemp(prefix=REQUEST_PREFIX, dir=self.settings.data_dir))
            try:
                samples = make_library(folder)
                self.library.take(
                    [(folder / sample.name, sample.name) for sample in samples],
                    [list(sample.captions.values()) for sample in samples],
                    sample=True,
                )
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except UserError as error:
            if error.code != "library_closed":  # the desk was closed meanwhile
                log.error("%s", error)

    def switch(self, path: str | None, anyway: bool = False) -> None:
        """Another model, or the same one anew, in the place of the present one; None is the demo model. `anyway`: whatever its plan says.

        Waits for the answer under way. Raises UserError where another model is just being loaded.
        """
        self._check_settled()
        with self._turn:
            self._check_settled()  # somebody else may have waited for this answer, too
            self._drop()
            self.path, self._known_voices = path, ()
            self._begin(anyway)

    def _check_settled(self) -> None:
        if not self._settled.is_set():
            raise UserError("loading")

    def unload(self) -> None:
        """Give the memory back, after the answer under way; the next question loads the model again."""
        with self._turn:
            if self._settled.is_set():
                self._drop()

    def cancel_loading(self) -> None:
        """End the loading under way."""
        self._cancel.set()

    def plan(self, path: str | None) -> Plan:
        """How the model at `path` would be arranged, and what it would take; nothing is loaded. Raises UserError."""
        place, wishes = self._place(path), self._wishes(False)
        if place not in PUBLISHED:
            return make_ready(place, self.settings.device, wishes)[3]
        # not downloaded yet: by its published configuration, so that one knows before 12 or 22 GB are fetched
        config = read_config(PUBLISHED[place])
        _, machine = choose_machine(self.settings.device, wishes.budget)
        checkpoint = Checkpoint(place, config, None, {})
        return plan_for(checkpoint, machine, config.dtype, places=dict(wishes.places), limits=dict(wishes.limits))

    def estimate(self, files: Iterable[tuple[Path, str]], video: str, options: Options) -> Estimate | None:
        """What a question with `files` (path and name) would take; None while no model is there. Raises UserError for what is not taken."""
        request = read_request(files, video, options, self.limits)
        model = self.model
        return estimate(model, request, options.detail) if model else None

    def _place(self, path: str | None) -> str:
        return checkpoint(path, DEMO_MODEL, self.settings.data_dir)

    def _wishes(self, anyway: bool) -> Wishes:
        settings = self.settings
        limits = {"context": settings.context_tokens}
        precisions = {} if settings.precision == "auto" else {LAYERS: PRECISIONS[settings.precision]}
        if settings.max_pixels:
            limits |= {"pixels": settings.max_pixels, "side": settings.max_pixels}
        if settings.max_frames:
            limits["frames"] = settings.max_frames
        return Wishes(settings.memory_budget, settings.device_map or {}, precisions, limits, anyway)

    def _begin(self, anyway: bool) -> None:
        self._settled.clear()
        self._cancel.clear()
        self.failure = None
        self.loading = Loading(0, 1, 0.0)
        threading.Thread(target=self._load, args=(anyway,), name="load", daemon=True).start()

    def _drop(self) -> None:
        device = self.device
        self.model = None
        gc.collect()
        release(device)

    def _fail(self, error: UserError) -> None:
        # whoever sees the screen or asks /health is told
        self.failure = error.unlocated() if self.settings.shared else error

    def _load(self, anyway: bool) -> None:
        began = time.monotonic()
        path = self._place(self.path)

        def progress(done: int, total: int) -> bool:
            self.loading = Loading(done, total, time.monotonic() - began)
            return not self._cancel.is_set()

        try:
            self.model = load(path, self.settings.device, self._wishes(anyway), progress)
            self._known_voices = self.model.voices
            log.info("%s is ready after %.1f s", self.model_name, time.monotonic() - began)
            for reason in self.model.plan.reasons:
                if not reason.code.startswith("cut_"):  # those are about the question that it was planned for
                    log.info("%s", reason.say())
        except Cancelled:
            self._fail(UserError("loading_cancelled", path=path))
        except UserError as error:
            self._fail(error)
            log.error("%s", error)
        except Exception as error:  # the libraries have many ways to refuse a checkpoint; nobody else hears of this thread's end
            self._fail(UserError("model_broken", path=path, reason=type(error).__name__))
            log.exception("Loading %s failed", path)
        finally:
            self.loading = None
            self._idle_since = time.monotonic()
            self._settled.set()

    def _watch_idleness(self) -> None:
        while True:
            time.sleep(min(10.0, self.settings.unload_minutes * 6))
            idle = time.monotonic() - self._idle_since
            if self.model and idle > self.settings.unload_minutes * 60 and self._turn.acquire(blocking=False):
                try:
                    self._drop()
                    log.info("%s left memory after %d minutes without a question", self.model_name, self.settings.unload_minutes)
                finally:
                    self._turn.release()

    @property
    def status(self) -> str:
        """'loading', 'ready', 'failed' or 'unloaded'."""
        if not self._settled.is_set():
            return "loading"
        return "ready" if self.model else "failed" if self.failure else "unloaded"

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices the model can answer in; none before it was loaded for the first time."""
        model = self.model
        return model.voices if model else self._known_voices

    @property
    def device(self) -> str:
        """Where the model computes."""
        model = self.model
        return model.device if model else "cpu"

    def memory(self) -> Memory:
        """The memory in use at this moment."""
        return read_memory(self.device)

    def answer(self, conversation: Conversation, options: Options, stop: threading.Event, patience: float | None = None) -> Iterator[Event]:
        """The events of the answer to the conversation's last turn, after the model's other answers. Raises UserError.

        `patience`: how many seconds to wait for loading and for other answers before giving up; None waits as long as it takes.
        Setting `stop`, or closing the iterator, ends the computation. A model that was unloaded is loaded again.
        """
        began = time.monotonic()
        turn = conversation.turns[-1]
        if not turn.text.strip() and not turn.media:
            raise UserError("empty_question")
        while True:
            if self.status == "unloaded":
                with self._turn:
                    if self.status == "unloaded":
                        self._begin(self.settings.load_anyway)
            if not self._settled.is_set():
                yield Notice("loading")
            if not self._wait(self._settled.wait, stop, began, patience):
                yield from self._unanswered(stop, began, "loading")
                return
            if self.failure:
                raise self.failure.anew()
            if not self._turn.acquire(blocking=False):
                yield Notice("waiting")
                if not self._wait(lambda seconds: self._turn.acquire(timeout=seconds), stop, began, patience):
                    yield from self._unanswered(stop, began, "busy")
                    return
            if self.model:
                break
            self._turn.release()  # it was unloaded, or exchanged, while this one waited
        waited = time.monotonic() - began
        try:
            for event in self.model.answer(conversation, options, stop):
                yield replace(event, timings={"wait": waited, **event.timings}) if isinstance(event, Done) else event
        finally:
            self._idle_since = time.monotonic()
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
