"""The chat tab: a conversation, one box, and the settings beneath it."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gradio as gr
import soundfile

from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice, Text
from multimodal.chat.options import Options
from multimodal.data_dir import UPLOADS
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import Medium, Stopped, take
from multimodal.ui.phrases import phrase
from multimodal.ui.transcript import show, turn_of

log = logging.getLogger(__name__)

EXAMPLES = Path(__file__).parent.parent.parent / "assets" / "examples"
MOST_WAITING = 16  # answers asked for at once, of all sessions
NOTICES = {"waiting": "waiting", "loading": "loading", "speaking": "speaking"}


def examples(language: str) -> list[dict]:
    """What an empty conversation offers."""
    chinese = language == "zh"
    offered = [
        ("shapes.png", "描述一下这张图片。" if chinese else "Describe the picture."),
        ("pair.png", "左边是什么？" if chinese else "What is on the left?"),
        ("word.wav", "说了什么？" if chinese else "What is said?"),
        ("question.wav", ""),
        ("moving.mp4", "它往哪边移动？" if chinese else "Which way does it move?"),
        (None, "你能做什么？" if chinese else "What can you do?"),
    ]
    spoken = "听录音里的问题（英语）" if chinese else "A spoken question about a picture"
    built = []
    for file, text in offered:
        files = [] if file is None else [str(EXAMPLES / file)]
        if file == "question.wav":
            files.insert(0, str(EXAMPLES / "shapes.png"))
        built.append({"text": text, "display_text": text or spoken, "files": files})
    return built


class ChatTab:
    """Builds its components where it is made, inside a gr.Blocks."""

    def __init__(self, desk: Desk, language: gr.Radio):
        self.desk, self.language = desk, language
        self._answering: dict[str, threading.Event] = {}
        settings = desk.settings
        self.conversation = gr.State(Conversation())
        self.chatbot = gr.Chatbot(
            elem_id="conversation",
            label=phrase("conversation", "en"),
            show_label=False,
            placeholder=phrase("empty", "en"),
            examples=examples("en"),
            buttons=["copy", "copy_all"],
            editable="user",
            sanitize_html=True,
            feedback_options=None,
            group_consecutive_messages=False,  # gradio cannot edit the text of a group with a file in it
            height="calc(100dvh - 380px)",
            min_height=300,
            layout="bubble",
            latex_delimiters=[{"left": "$$", "right": "$$", "display": True}],
        )
        self.box = gr.MultimodalTextbox(
            elem_id="box",
            show_label=False,
            placeholder=phrase("box", "en"),
            sources=["upload", "microphone"],
            file_count="multiple",
            max_plain_text_length=100_000,
        )
        with gr.Accordion(phrase("settings", "en"), open=False, elem_id="settings") as self.settings:
            self.video = gr.Radio(self._video_choices("en"), value="split", label=phrase("video", "en"), info=phrase("video_info", "en"))
            self.system_prompt = gr.Textbox(
                settings.system_prompt, lines=2, max_lines=8, label=phrase("system_prompt", "en"), info=phrase("system_prompt_info", "en")
            )
            with gr.Row():
                self.max_new_tokens = gr.Slider(
                    1, 8192, settings.max_new_tokens, step=1, label=phrase("max_new_tokens", "en"), info=phrase("max_new_tokens_info", "en")
                )
                self.temperature = gr.Slider(
                    0, 2, settings.temperature, step=0.05, label=phrase("temperature", "en"), info=phrase("temperature_info", "en")
                )
            with gr.Row(visible=False) as self.speech:
                self.aloud = gr.Checkbox(False, label=phrase("aloud", "en"))
                self.voice = gr.Dropdown([], label=phrase("voice", "en"))
        self._wire()

    @staticmethod
    def _video_choices(language: str) -> list[tuple[str, str]]:
        return [(phrase("video_split", language), "split"), (phrase("video_frames", language), "frames")]

    def translated(self) -> list:
        """The components whose texts `translate` gives, in its order."""
        return [
            self.chatbot,
            self.box,
            self.settings,
            self.video,
            self.system_prompt,
            self.max_new_tokens,
            self.temperature,
            self.aloud,
            self.voice,
        ]

    def translate(self, conversation: Conversation, language: str) -> list:
        """The texts in `language`."""
        labelled = [
            {"label": phrase(name, language), "info": phrase(f"{name}_info", language)}
            for name in ("system_prompt", "max_new_tokens", "temperature")
        ]
        return [
            gr.update(
                placeholder=phrase("empty", language),
                label=phrase("conversation", language),
                examples=examples(language),
                value=show(conversation, language),
            ),
            gr.update(placeholder=phrase("box", language)),
            gr.update(label=phrase("settings", language)),
            gr.update(choices=self._video_choices(language), label=phrase("video", language), info=phrase("video_info", language)),
            *(gr.update(**texts) for texts in labelled),
            gr.update(label=phrase("aloud", language)),
            gr.update(label=phrase("voice", language)),
        ]

    def speech_controls(self) -> list:
        """Updates of `speech` and `voice`: shown where the loaded model can speak."""
        voices = list(self.desk.voices)
        return [gr.update(visible=bool(voices)), gr.update(choices=voices, value=voices[0] if voices else None)]

    def _wire(self) -> None:
        how = [self.language, self.system_prompt, self.max_new_tokens, self.temperature, self.video, self.aloud, self.voice]
        outputs = [self.chatbot, self.conversation, self.box]
        # Each that waits for the model holds a thread, and the answer that is awaited needs some, too: the rest waits in gradio's queue.
        bounds = {"concurrency_id": "answer", "concurrency_limit": MOST_WAITING}
        answering = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private", **bounds}
        gr.on([self.box.submit], self.ask, [self.box, self.conversation, *how], **answering)
        self.chatbot.example_select(self.ask_example, [self.conversation, *how], **answering)
        self.chatbot.retry(self.retry, [self.conversation, *how], **answering)
        self.chatbot.edit(self.edit, [self.conversation, *how], **answering)
        self.chatbot.undo(self.undo, [self.conversation, self.language], outputs, show_progress="hidden", api_visibility="private")
        self.chatbot.clear(self.clear, None, outputs, show_progress="hidden", queue=False, api_visibility="private")
        self.box.stop(self.stop, None, None, show_progress="hidden", queue=False, api_visibility="private")

    # what a person does (gradio fills in what is annotated as its own, by place)

    def ask(self, request: gr.Request, question: dict, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """The box was sent off."""
        before = conversation.without_refused()
        turn = _turn((question.get("text") or "").strip(), [str(path) for path in question.get("files") or []])
        yield from self._answer(before, before, turn, language, how, request, from_box=True)

    def ask_example(self, chosen: gr.SelectData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """An example was clicked. The number alone is believed, not the paths that come with it."""
        example, before = examples(language)[chosen.index], conversation.without_refused()
        how = (*how[:3], "frames", *how[4:]) if any(file.endswith(".mp4") for file in example["files"]) else how
        yield from self._answer(before, before, _turn(example["text"], example["files"]), language, how, request)

    def retry(self, data: gr.RetryData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """The same question once more."""
        yield from self._again(data.index, None, conversation, language, how, request)

    def edit(self, data: gr.EditData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """The question in other words, its files as they were."""
        text = data.value.strip() if isinstance(data.value, str) else None
        yield from self._again(data.index, text, conversation, language, how, request)

    def undo(self, data: gr.UndoData, request: gr.Request, conversation: Conversation, language: str) -> tuple:
        """The question back into the box, everything after it gone."""
        self._drop(request)
        if not conversation.turns:
            return [], conversation, _box(ready=True)
        place = turn_of(conversation, data.index)
        turn, rest = conversation.turns[place], conversation.before(place)
        return show(rest, language), rest, _box(ready=True, turn=turn)

    def clear(self, request: gr.Request) -> tuple:
        """A new conversation; an answer under way ends."""
        self._drop(request)
        return [], Conversation(), _box(ready=True)

    def stop(self, request: gr.Request) -> None:
        """End this session's answer."""
        if (answering := self._answering.get(request.session_hash)) is not None:
            answering.set()

    def _drop(self, request: gr.Request) -> None:
        """End this session's answer, and show no more of it."""
        if (answering := self._answering.pop(request.session_hash, None)) is not None:
            answering.set()

    # the way of a question

    def _again(
        self, message: int, text: str | None, conversation: Conversation, language: str, how: tuple, request: gr.Request
    ) -> Iterator[tuple]:
        """The question that message number `message` belongs to once more, in other words where `text` gives them."""
        if not conversation.turns:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        place = turn_of(conversation, message)
        turn = conversation.turns[place]
        turn = Turn(turn.text if text is None else text, turn.media, files=turn.files)
        yield from self._answer(conversation.without_refused(), conversation.before(place).without_refused(), turn, language, how, request)

    def _answer(
        self,
        kept: Conversation,
        before: Conversation,
        turn: Turn,
        language: str,
        how: tuple,
        request: gr.Request,
        from_box: bool = False,
    ) -> Iterator[tuple]:
        """Show the answer to `turn` after `before` as it comes. Where it is refused, `kept` stays, and the question stands under it.

        A session gets one answer at a time: a question sent off meanwhile stays in the box.
        """
        session, stop = request.session_hash, threading.Event()
        if self._answering.setdefault(session, stop) is not stop:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        asked, refusal = Conversation(before.turns, how[0]).asked(turn), None
        try:
            waiting = phrase("reading" if turn.files and not turn.media else "thinking", language)
            yield show(asked, language, waiting), kept, _box(ready=False, turn=Turn("") if from_box else None)
            try:
                progress = self._progress(asked, language, how, stop)
                for asked, hint in progress:
                    if self._answering.get(session) is not stop:  # dropped: what comes is shown no more
                        return
                    yield show(asked, language, hint), asked, gr.skip()
            except UserError as error:
                refusal = error
            except Exception as error:  # a fault of ours: the person gets a sentence, the log the rest, and the conversation goes on
                log.exception("An answer failed")
                refusal = UserError("answer_failed", reason=type(error).__name__)
            if self._answering.get(session) is not stop:
                return
            if refusal is not None:
                asked = kept.asked(replace(asked.turns[-1], refusal=refusal))
            back = turn if from_box and refusal is not None and not asked.turns[-1].media else None
            yield show(asked, language), asked, _box(ready=True, turn=back)
        finally:
            stop.set()
            if self._answering.get(session) is stop:
                del self._answering[session]

    def _progress(self, asked: Conversation, language: str, how: tuple, stop: threading.Event) -> Iterator[tuple[Conversation, str]]:
        """(the conversation so far, what is being done). Raises UserError."""
        _, max_new_tokens, temperature, video, aloud, voice = how
        turn = asked.turns[-1]
        if turn.files and not turn.media:
            media = self._read(turn.files, video, stop)
            if stop.is_set():
                yield asked.answered(notes=(("stopped", {}),)), ""
                return
            asked = asked.answered(media=media)
            yield asked, phrase("thinking", language)
        options = Options(int(max_new_tokens), float(temperature), voice if aloud and voice in self.desk.voices else None)
        answer, notes, hint = "", [], phrase("thinking", language)
        for event in self.desk.answer(asked, options, stop):
            if isinstance(event, Text):
                answer, hint = answer + event.piece, ""
            elif isinstance(event, Speech):
                asked = asked.answered(spoken=self._write(event))
            elif isinstance(event, Notice) and event.code in NOTICES:
                hint = phrase(NOTICES[event.code], language)
            elif isinstance(event, Notice):
                notes.append((event.code, {"count": event.count}))
            elif isinstance(event, Done) and event.stopped:
                notes.append(("stopped", {}))
            asked = asked.answered(answer=answer, notes=tuple(notes))
            yield asked, "" if isinstance(event, Done) else hint

    def _read(self, files: tuple[tuple[str, str], ...], video: str, stop: threading.Event) -> tuple[Medium, ...]:
        """The files as media; those after Stop was pressed are not read. Raises UserError."""
        limits = self.desk.limits
        if len(files) > limits.files:
            raise UserError("too_many_files", count=len(files), limit=limits.files)
        media: list[Medium] = []
        with suppress(Stopped):  # who calls looks at `stop`
            for path, name in files:
                if not stop.is_set():
                    media += take(Path(path), name, limits, video, stop=stop)
        return tuple(media)

    def _write(self, speech: Speech) -> str:
        """A spoken answer as a file that the page can play; it goes with the uploads."""
        with tempfile.NamedTemporaryFile(dir=self.desk.settings.data_dir / UPLOADS, prefix="answer-", suffix=".wav", delete=False) as file:
            soundfile.write(file, speech.samples, speech.rate, format="WAV", subtype="PCM_16")
        return file.name


def _turn(text: str, files: list[str]) -> Turn:
    return Turn(text, files=tuple((path, Path(path).name) for path in files))


def _box(ready: bool, turn: Turn | None = None) -> dict:
    """The box's buttons; with `turn`, its question in the box."""
    value = {"value": {"text": turn.text, "files": [path for path, _ in turn.files if Path(path).exists()]}} if turn else {}
    return gr.update(submit_btn=ready, stop_btn=not ready, **value)
