"""The chat tab: a conversation, one box, and the settings beneath it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import gradio as gr

from multimodal.chat.conversation import Conversation, Turn
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.ui.answering import Answering, Choices, box, unchanged
from multimodal.ui.bars import gib
from multimodal.ui.phrases import phrase
from multimodal.ui.transcript import show, turn_of

EXAMPLES = Path(__file__).parent.parent.parent / "assets" / "examples"
NAME_FILES = "(question) => JSON.stringify((question?.files || []).map((file) => file.path))"
MOST_WAITING = 16  # answers asked for at once, of all sessions


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
        self.answering = Answering(desk)
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
        self.estimate = gr.Markdown(visible=False, elem_id="estimate")
        self.box = gr.MultimodalTextbox(
            elem_id="box",
            show_label=False,
            placeholder=phrase("box", "en"),
            sources=["upload", "microphone"],
            file_count="multiple",
            max_plain_text_length=100_000,
        )
        # Which files are in the box, kept by the page itself: the box's own event comes with every key that is typed.
        self.attached = gr.Textbox(visible="hidden")
        with gr.Accordion(phrase("settings", "en"), open=False, elem_id="settings") as self.settings:
            self.video = gr.Radio(self._video_choices("en"), value="split", label=phrase("video", "en"), info=phrase("video_info", "en"))
            self.detail = gr.Radio(self._detail_choices("en"), value="auto", label=phrase("detail", "en"), info=phrase("detail_info", "en"))
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

    @staticmethod
    def _detail_choices(language: str) -> list[tuple[str, str]]:
        return [(phrase(f"detail_{detail}", language), detail) for detail in ("auto", "fine", "fast")]

    def translated(self) -> list:
        """The components whose texts `translate` gives, in its order."""
        return [
            self.chatbot,
            self.box,
            self.settings,
            self.video,
            self.detail,
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
            gr.update(choices=self._detail_choices(language), label=phrase("detail", language), info=phrase("detail_info", language)),
            *(gr.update(**texts) for texts in labelled),
            gr.update(label=phrase("aloud", language)),
            gr.update(label=phrase("voice", language)),
        ]

    def speech_controls(self) -> list:
        """Updates of `speech` and `voice`: shown where the loaded model can speak."""
        voices = list(self.desk.voices)
        return [gr.update(visible=bool(voices)), gr.update(choices=voices, value=voices[0] if voices else None)]

    def _wire(self) -> None:
        how = [self.language, self.system_prompt, self.max_new_tokens, self.temperature, self.video, self.aloud, self.voice, self.detail]
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
        self.box.change(None, self.box, self.attached, js=NAME_FILES, show_progress="hidden", api_visibility="private")
        gr.on(
            [self.attached.change, self.language.change, *(each.input for each in (self.video, self.detail, self.aloud, self.voice))],
            self.show_estimate,
            [self.box, *how],
            self.estimate,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        self.box.stop(self.stop, None, None, show_progress="hidden", queue=False, api_visibility="private")

    # what a person does (gradio fills in what is annotated as its own, by place)

    def ask(self, request: gr.Request, question: dict, conversation: Conversation, language: str, *chosen) -> Iterator[tuple]:
        """The box was sent off."""
        before = conversation.without_refused()
        turn = _turn((question.get("text") or "").strip(), [str(path) for path in question.get("files") or []])
        yield from self.answering.answer(request.session_hash, before, before, turn, language, Choices(*chosen), from_box=True)

    def ask_example(
        self, picked: gr.SelectData, request: gr.Request, conversation: Conversation, language: str, *chosen
    ) -> Iterator[tuple]:
        """An example was clicked. The number alone is believed, not the paths that come with it."""
        example, before, choices = examples(language)[picked.index], conversation.without_refused(), Choices(*chosen)
        if any(file.endswith(".mp4") for file in example["files"]):
            choices = choices._replace(video="frames")
        turn = _turn(example["text"], example["files"])
        yield from self.answering.answer(request.session_hash, before, before, turn, language, choices)

    def retry(self, data: gr.RetryData, request: gr.Request, conversation: Conversation, language: str, *chosen) -> Iterator[tuple]:
        """The same question once more."""
        yield from self._again(data.index, None, request, conversation, language, chosen)

    def edit(self, data: gr.EditData, request: gr.Request, conversation: Conversation, language: str, *chosen) -> Iterator[tuple]:
        """The question in other words, its files as they were."""
        text = data.value.strip() if isinstance(data.value, str) else None
        yield from self._again(data.index, text, request, conversation, language, chosen)

    def _again(
        self, message: int, text: str | None, request: gr.Request, conversation: Conversation, language: str, chosen: tuple
    ) -> Iterator[tuple]:
        """The question that message number `message` belongs to once more, in other words where `text` gives them."""
        if not conversation.turns:
            yield unchanged()
            return
        place = turn_of(conversation, message)
        turn = conversation.turns[place]
        turn = Turn(turn.text if text is None else text, turn.media, files=turn.files)
        kept, before = conversation.without_refused(), conversation.before(place).without_refused()
        yield from self.answering.answer(request.session_hash, kept, before, turn, language, Choices(*chosen))

    def undo(self, data: gr.UndoData, request: gr.Request, conversation: Conversation, language: str) -> tuple:
        """The question back into the box, everything after it gone."""
        if not conversation.turns:
            self.answering.drop(request.session_hash, conversation)
            return [], conversation, box(ready=True)
        place = turn_of(conversation, data.index)
        rest = conversation.before(place)
        self.answering.drop(request.session_hash, rest)
        return show(rest, language), rest, box(ready=True, turn=conversation.turns[place])

    def clear(self, request: gr.Request) -> tuple:
        """A new conversation; an answer under way ends."""
        empty = Conversation()
        self.answering.drop(request.session_hash, empty)
        return [], empty, box(ready=True)

    def show_estimate(self, question: dict, language: str, *chosen) -> dict:
        """What the files in the box would take; nothing of those that cannot be read, which is told when they are asked about."""
        files = [(Path(path), Path(path).name) for path in question.get("files") or []]
        choices, found = Choices(*chosen), None
        if 0 < len(files) <= self.desk.limits.files:
            with suppress(UserError):
                found = self.desk.estimate(files, choices.video, choices.options(self.desk.voices))
        if found is None:
            return gr.update(visible=False)
        facts = {"tokens": f"{found.tokens:,}", "used": gib(found.bytes), "budget": gib(found.budget)}
        return gr.update(value=phrase("estimate" if found.fits else "estimate_less", language, **facts), visible=True)

    def stop(self, request: gr.Request) -> None:
        """End this session's answer."""
        self.answering.stop(request.session_hash)


def _turn(text: str, files: list[str]) -> Turn:
    return Turn(text, files=tuple((path, Path(path).name) for path in files))
