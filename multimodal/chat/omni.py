"""A loaded Qwen2.5-Omni that answers conversations: streamed text, then speech."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import torch
from transformers import Qwen2_5OmniProcessor
from transformers.generation.streamers import TextStreamer

from low_vram.load import Loaded
from low_vram.memory import release
from low_vram.recover import NothingLeft, recovering
from low_vram.request import CODES_A_SECOND, Limits, chosen_limits
from low_vram.speech import SAMPLE_RATE, Said
from low_vram.stages import Prompt, Stages
from multimodal.chat.conversation import Conversation, Speech
from multimodal.chat.encoder import Encoder
from multimodal.chat.events import Done, Event, Notice, Text
from multimodal.chat.interrupt import Interrupt, Interrupted, layers_of
from multimodal.chat.options import Options
from multimodal.chat.prompt import lay_out
from multimodal.errors import MUTE, UserError

log = logging.getLogger(__name__)

MOST_CODES = 4096  # of the codec, 50 a second: 82 s of speech
# What the model's makers ask for when it is to speak (model card of Qwen2.5-Omni).
SPEAKING_PROMPT = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and visual inputs,"
    " as well as generating text and speech."
)


class _Pieces(TextStreamer):
    """transformers' streamer, its pieces put into a queue. It holds back what may still change: half a character, half a word."""

    def __init__(self, tokenizer, events: queue.Queue):
        super().__init__(tokenizer, skip_special_tokens=True)
        self.events = events
        self.text = ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.text += text
        if text:
            self.events.put(Text(text))


class _Answer:
    """How far an answer has come: what an attempt that ran out of memory leaves to the next."""

    def __init__(self, pieces: _Pieces, events: queue.Queue):
        self.pieces, self.events = pieces, events
        self._told: list[Notice] = []
        self.prompt: Prompt | None = None
        self.tokens: list[int] = []
        self.said: Said | None = None
        self.codes: torch.Tensor | None = None
        self.encoded_at: float | None = None
        self.first_at: float | None = None

    def tell(self, code: str, **facts: object) -> None:
        """A notice, once."""
        if (notice := Notice(code, facts)) not in self._told:
            self._told.append(notice)
            self.events.put(notice)

    def say(self, token: int) -> None:
        """The next token of the text."""
        self.first_at = self.first_at or time.monotonic()
        self.pieces.put(torch.tensor([token]))


class Omni:
    """One model, one answer at a time: the caller holds the lock."""

    def __init__(self, loaded: Loaded, processor: Qwen2_5OmniProcessor):
        self.model, self.device, self.no_speech = loaded.model, loaded.device, loaded.no_speech
        self.stages = Stages(loaded.model, loaded.device, loaded.arrangement)
        self.processor = processor
        self.plan = loaded.plan
        self.most_context = self.model.config.thinker_config.text_config.max_position_embeddings
        self.encoder = Encoder(self.stages, processor)
        self.interrupt = Interrupt(layers_of(self.model))

    @property
    def context_tokens(self) -> int:
        """How long a conversation may be, its answer included."""
        return min(self.stages.arrangement.limits.context, self.most_context)

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
                if isinstance(event, NothingLeft):
                    raise UserError("out_of_memory") from event
                if isinstance(event, BaseException):
                    raise event
                yield event
        except GeneratorExit:
            stop.set()
            raise
        finally:
            worker.join()
            release(self.device)

    def _answer(self, conversation: Conversation, options: Options, stop: threading.Event, events: queue.Queue) -> None:
        began = time.monotonic()
        if options.voice is not None and not conversation.system_prompt:
            conversation = replace(conversation, system_prompt=SPEAKING_PROMPT)
        answer = _Answer(_Pieces(self.processor.tokenizer, events), events)

        def attempt() -> None:
            limits = chosen_limits(self.stages.arrangement.limits, options.detail)
            answer.prompt = self._fit(conversation, options, limits, answer)
            answer.encoded_at = answer.encoded_at or time.monotonic()
            self._think(answer, options)
            if options.voice is not None:
                self._speak(answer, options.voice)

        # what an earlier question cost of the picture's size is not held against this one
        self.stages.arrange(replace(self.stages.arrangement, limits=self.plan.limits))
        with suppress(Interrupted):
            recovering(self.stages, attempt, lambda step: answer.tell("less_memory", step=step.code))
        answer.pieces.end()
        now = time.monotonic()
        timings = {
            "encode": (answer.encoded_at or now) - began,
            "first_token": (answer.first_at or now) - began,
            "total": now - began,
        }
        prompt_tokens = answer.prompt.tokens if answer.prompt else 0
        events.put(Done(answer.pieces.text, prompt_tokens, len(answer.tokens), timings, stopped=stop.is_set()))

    def _fit(self, conversation: Conversation, options: Options, limits: Limits, answer: _Answer) -> Prompt:
        """The prompt, its oldest turns dropped until it and the answer fit into the context."""
        room = self.context_tokens - min(options.max_new_tokens, self.context_tokens // 2)
        dropped = 0
        while True:
            kept = conversation.turns[dropped:]
            prompt, encoded = lay_out(replace(conversation, turns=kept), self.processor, self.encoder, limits)
            if prompt.tokens <= room:
                break
            if dropped == len(conversation.turns) - 1:
                raise UserError("question_too_long", tokens=prompt.tokens, limit=room)
            dropped += 1
        if dropped:
            answer.tell("turns_dropped", count=dropped)
        media = conversation.turns[-1].media
        for medium, one in zip(media, encoded[len(encoded) - len(media) :], strict=True):
            if one.reduced:
                answer.tell("shrunk", name=medium.name, before=one.reduced[0], after=one.reduced[1])
        return prompt

    def _think(self, answer: _Answer, options: Options) -> None:
        most = min(options.max_new_tokens, self.context_tokens - answer.prompt.tokens)
        speaks = options.voice is not None
        # the talker speaks from the second token on: of a single one there is nothing to say
        least, most = (2, max(2, most)) if speaks else (0, most)
        if answer.said is not None:
            return
        sampling = (
            {"do_sample": True, "temperature": options.temperature, "top_k": None, "top_p": 0.95}
            if options.temperature > 0
            else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
        )
        answer.said = self.stages.think(answer.prompt, answer.tokens, answer.say, most, speaks, least, **sampling)

    def _speak(self, answer: _Answer, voice: str) -> None:
        answer.pieces.end()
        answer.tell("speaking")
        described = self.model.speaker_map[voice]
        most = self.stages.arrangement.limits.speech * CODES_A_SECOND
        if answer.codes is None:
            answer.codes = self.stages.talk(answer.prompt, answer.said, described, min(MOST_CODES, most))
        samples = self.stages.sound(answer.codes, described)
        answer.events.put(Speech(samples.float().numpy(), SAMPLE_RATE))
