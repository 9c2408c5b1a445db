"""The chat tab: a conversation, one box, and the settings beneath it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice, Text
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.ui.phrases import phrase
from multimodal.ui.transcript import show, turn_of

log = logging.getLogger(__name__)

EXAMPLES = Path(__file__).parent.parent.parent / "assets" / "examples"
FILE_TYPES = ["image", "audio", "video"]
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
            file_types=FILE_TYPES,
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
        # any number of sessions may wait for the model: the desk holds the one lock on it
        answering = {"outputs": outputs, "show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
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
        text, files = (question.get("text") or "").strip(), [str(path) for path in question.get("files") or []]
        yield from self._ask(conversation, text, files, language, how, request)

    def ask_example(self, chosen: gr.SelectData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """An example was clicked. The number alone is believed, not the paths that come with it."""
        example = examples(language)[chosen.index]
        how = (*how[:3], "frames", *how[4:]) if any(file.endswith(".mp4") for file in example["files"]) else how
        yield from self._ask(conversation, example["text"], example["files"], language, how, request)

    def retry(self, data: gr.RetryData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """The same question once more."""
        place = turn_of(conversation, data.index)
        yield from self._again(conversation, place, conversation.turns[place].text, language, how, request)

    def edit(self, data: gr.EditData, request: gr.Request, conversation: Conversation, language: str, *how) -> Iterator[tuple]:
        """The question in other words, its files as they were."""
        yield from self._again(conversation, turn_of(conversation, data.index), data.value, language, how, request)

    def undo(self, data: gr.UndoData, conversation: Conversation, language: str) -> tuple:
        """The question back into the box, everything after it gone."""
        place = turn_of(conversation, data.index)
        turn = conversation.turns[place]
        rest = conversation.before(place)
        return show(rest, language), rest, {"text": turn.text, "files": [path for path, _ in turn.files]}

    def clear(self, request: gr.Request) -> tuple:
        """A new conversation; an answer under way ends."""
        self.stop(request)
        return [], Conversation(), gr.update(submit_btn=True, stop_btn=False)

    def stop(self, request: gr.Request) -> None:
        """End this session's answer."""
        if (answering := self._answering.get(request.session_hash)) is not None:
            answering.set()

    # the way of a question

    def _ask(
        self, conversation: Conversation, text: str, files: list[str], language: str, how: tuple, request: gr.Request
    ) -> Iterator[tuple]:
        named = tuple((path, Path(path).name) for path in files)
        asked = conversation.asked(Turn(text, files=named))
        if not text and not files:
            yield self._refuse(conversation, UserError("empty_question"), text, files, language)
            return
        yield show(asked, language, phrase("reading" if files else "thinking", language)), conversation, self._busy("", [])
        try:
            media = tuple(medium for path, name in named for medium in take(Path(path), name, self.desk.limits, how[3]))
        except UserError as error:
            yield self._refuse(conversation, error, text, files, language)
            return
        yield from self._stream(conversation, Turn(text, media, files=named), language, how, request)

    def _again(self, conversation: Conversation, place: int, text: str, language: str, how: tuple, request: gr.Request) -> Iterator[tuple]:
        turn = conversation.turns[place]
        yield from self._stream(conversation.before(place), Turn(text, turn.media, files=turn.files), language, how, request)

    def _stream(self, before: Conversation, turn: Turn, language: str, how: tuple, request: gr.Request) -> Iterator[tuple]:
        system_prompt, max_new_tokens, temperature, _, aloud, voice = how
        asked = Conversation(before.turns, system_prompt).asked(turn)
        options = Options(int(max_new_tokens), float(temperature), voice if aloud and voice in self.desk.voices else None)
        stop = self._answering[request.session_hash] = threading.Event()
        hint = phrase("thinking", language)
        yield show(asked, language, hint), before, self._busy()
        try:
            answer, notes = "", []
            for event in self.desk.answer(asked, options, stop):
                if isinstance(event, Text):
                    answer, hint = answer + event.piece, ""
                elif isinstance(event, Speech):
                    asked = asked.answered(speech=event)
                elif isinstance(event, Notice) and event.code in NOTICES:
                    hint = phrase(NOTICES[event.code], language)
                elif isinstance(event, Notice):
                    notes.append((event.code, {"count": event.count}))
                elif isinstance(event, Done) and event.stopped:
                    notes.append(("stopped", {}))
                asked = asked.answered(answer=answer, notes=tuple(notes))
                if not isinstance(event, Done):
                    yield show(asked, language, hint), asked, gr.skip()
            yield show(asked, language), asked, gr.update(submit_btn=True, stop_btn=False)
        except UserError as error:
            yield self._refuse(before, error, turn.text, [path for path, _ in turn.files], language, shown=asked)
        except Exception as error:  # a fault of ours: the person gets a sentence, the log the rest, and the conversation goes on
            log.exception("An answer failed")
            fault = UserError("answer_failed", reason=type(error).__name__)
            yield self._refuse(before, fault, turn.text, [path for path, _ in turn.files], language, shown=asked)
        finally:
            stop.set()
            if self._answering.get(request.session_hash) is stop:
                del self._answering[request.session_hash]

    @staticmethod
    def _busy(text: str | None = None, files: list[str] | None = None) -> dict:
        value = {} if text is None else {"value": {"text": text, "files": files}}
        return gr.update(submit_btn=False, stop_btn=True, **value)

    @staticmethod
    def _refuse(
        conversation: Conversation, error: UserError, text: str, files: list[str], language: str, shown: Conversation | None = None
    ) -> tuple:
        """The sentence under the question; the question back in the box, to be mended; the conversation as it was."""
        asked = shown or conversation.asked(Turn(text, files=tuple((path, Path(path).name) for path in files if Path(path).exists())))
        messages = show(asked.answered(answer=asked.turns[-1].answer or f"⚠️ {error.say(language)}"), language)
        if asked.turns[-1].answer:
            messages.append({"role": "assistant", "content": f"⚠️ {error.say(language)}"})
        return (
            messages,
            conversation,
            gr.update(value={"text": text, "files": [path for path in files if Path(path).exists()]}, submit_btn=True, stop_btn=False),
        )
