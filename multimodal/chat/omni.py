"""A loaded Qwen2.5-Omni that answers conversations: streamed text, then speech."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from transformers import Qwen2_5OmniProcessor, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import TextStreamer

from low_vram.load import Loaded
from low_vram.memory import ran_out, release
from multimodal.chat.conversation import Conversation, Speech
from multimodal.chat.encoder import Encoder, Handles
from multimodal.chat.events import Done, Event, Notice, Text
from multimodal.chat.interrupt import Interrupt, Interrupted, layers_of
from multimodal.chat.options import Options
from multimodal.chat.prompt import Prompt, lay_out, model_inputs
from multimodal.errors import MUTE, UserError

log = logging.getLogger(__name__)

SPEECH_RATE = 24_000
MOST_CODES = 4096  # of the codec, 50 a second: 82 s of speech
# What the model's makers ask for when it is to speak (model card of Qwen2.5-Omni).
SPEAKING_PROMPT = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and visual inputs,"
    " as well as generating text and speech."
)


class _Pieces(TextStreamer):
    """transformers' streamer, its pieces put into a queue. It holds back what may still change: half a character, half a word."""

    def __init__(self, tokenizer, events: queue.Queue):
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.events = events
        self.text = ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.text += text
        if text:
            self.events.put(Text(text))


class _Clock(StoppingCriteria):
    """Notes the first token's time and counts tokens; stops nothing."""

    def __init__(self, prompt_tokens: int):
        self.prompt_tokens, self.tokens, self.first = prompt_tokens, 0, None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: object) -> torch.BoolTensor:
        self.first = self.first or time.monotonic()
        self.tokens = input_ids.shape[1] - self.prompt_tokens
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


class Omni:
    """One model, one answer at a time: the caller holds the lock."""

    def __init__(self, loaded: Loaded, processor: Qwen2_5OmniProcessor, context_tokens: int):
        self.model, self.device, self.no_speech = loaded.model, loaded.device, loaded.no_speech
        self.processor = processor
        self.context_tokens = min(context_tokens, self.model.config.thinker_config.text_config.max_position_embeddings)
        self.encoder = Encoder(self.model.thinker, processor, self.device)
        self.handles = Handles(self.model.thinker)
        self.interrupt = Interrupt(layers_of(self.model))

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices it can answer in; none where it cannot speak."""
        return () if self.no_speech else tuple(self.model.speaker_map)

    def answer(self, conversation: Conversation, options: Options, stop: threading.Event) -> Iterator[Event]:
        """The events of the answer to the conversation's last turn.

        Setting `stop`, or closing the iterator, ends the computation itself at its next layer. Raises UserError.
        """
        if options.voice is not None and options.voice not in self.voices:
            if self.no_speech:
                raise UserError("no_speech", reason=MUTE[self.no_speech])
            raise UserError("bad_field", field="voice", value=options.voice, wanted=", ".join(self.voices))
        events: queue.Queue[Event | BaseException | None] = queue.Queue()
        self.interrupt.stop = stop

        def work() -> None:
            try:
                with torch.inference_mode():
                    self._answer(conversation, options, stop, events)
                events.put(None)
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked, which raises it
                events.put(error)

        worker = threading.Thread(target=work, name="answer", daemon=True)
        worker.start()
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    if ran_out(event):
                        raise UserError("out_of_memory") from event
                    raise event
                yield event
        finally:
            stop.set()
            worker.join()
            self.handles.features.clear()
            release(self.device)

    def _answer(self, conversation: Conversation, options: Options, stop: threading.Event, events: queue.Queue) -> None:
        began = time.monotonic()
        if options.voice is not None and not conversation.system_prompt:
            conversation = replace(conversation, system_prompt=SPEAKING_PROMPT)
        pieces = _Pieces(self.processor.tokenizer, events)
        prompt, encoded_at, clock = None, None, None
        try:
            prompt = self._fit(conversation, options, events)
            encoded_at = time.monotonic()
            clock = _Clock(prompt.tokens)
            self._generate(prompt, options, pieces, clock, events)
        except Interrupted:
            pieces.end()  # what it held back has been computed, so it is shown
        now = time.monotonic()
        timings = {
            "encode": (encoded_at or now) - began,
            "first_token": (clock.first if clock and clock.first else now) - began,
            "total": now - began,
        }
        events.put(Done(pieces.text, prompt.tokens if prompt else 0, clock.tokens if clock else 0, timings, stopped=stop.is_set()))

    def _fit(self, conversation: Conversation, options: Options, events: queue.Queue) -> Prompt:
        """The prompt, its oldest turns dropped until it and the answer fit into the context."""
        room = self.context_tokens - min(options.max_new_tokens, self.context_tokens // 2)
        dropped = 0
        while True:
            prompt = lay_out(replace(conversation, turns=conversation.turns[dropped:]), self.processor, self.encoder)
            if prompt.tokens <= room:
                break
            if dropped == len(conversation.turns) - 1:
                raise UserError("question_too_long", tokens=prompt.tokens, limit=room)
            dropped += 1
        if dropped:
            events.put(Notice("turns_dropped", dropped))
        return prompt

    def _generate(self, prompt: Prompt, options: Options, pieces: _Pieces, clock: _Clock, events: queue.Queue) -> None:
        inputs = model_inputs(prompt, self.handles, self.device)
        sampling = (
            {"do_sample": True, "temperature": options.temperature, "top_k": None, "top_p": 0.95}
            if options.temperature > 0
            else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
        )
        thinking = {
            "max_new_tokens": min(options.max_new_tokens, self.context_tokens - prompt.tokens),
            "streamer": pieces,
            "stopping_criteria": StoppingCriteriaList([clock]),
            **sampling,
        }
        if options.voice is None:
            self.model.thinker.generate(**{key.removeprefix("thinker_"): value for key, value in inputs.items()}, **thinking)
            return
        begun = threading.Event()

        def say_so(*_: object) -> None:
            if not begun.is_set():
                begun.set()
                events.put(Notice("speaking"))

        # the talker speaks from the second token on: of a single one there is nothing to say
        thinking |= {"min_new_tokens": 2, "max_new_tokens": max(2, thinking["max_new_tokens"])}
        watch = self.model.talker.register_forward_pre_hook(say_so)
        try:
            _, samples = self.model.generate(
                **inputs,
                speaker=options.voice,
                talker_max_new_tokens=MOST_CODES,
                **{f"thinker_{key}": value for key, value in thinking.items()},
            )
        finally:
            watch.remove()
        events.put(Speech(samples.float().cpu().numpy(), SPEECH_RATE))
