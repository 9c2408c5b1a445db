"""POST /multimodal and GET /health."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
from dataclasses import asdict

import soundfile
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from multimodal.api.door import language_of
from multimodal.api.forms import Fields, guarded, name_of, read_fields, refuse_other_methods, request_folder, save
from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice
from multimodal.chat.options import DETAILS, Options
from multimodal.desk import Desk
from multimodal.errors import MUTE, UserError
from multimodal.media import Medium, take

PATIENCE_SECONDS = 120.0
TEXT_FIELDS = {
    "text",
    "system_prompt",
    "max_new_tokens",
    "temperature",
    "detail",
    "extract_video_audio",
    "extract_video_frame",
    "return_audio",
    "voice",
}
FILE_FIELDS = {"images": "picture", "audios": "sound", "videos": "video"}
TOLD = ("turns_dropped", "shrunk", "less_memory")  # what the answer was made with less of


def make_router(desk: Desk) -> APIRouter:
    """The routes of `desk`."""
    router = APIRouter()

    @router.api_route("/health", methods=["GET", "HEAD"])
    def health(request: Request) -> JSONResponse:
        body = {"status": desk.status, "model": {"name": desk.model_name, "demo": desk.demo}, "memory": asdict(desk.memory())}
        if desk.failure:
            body["error"] = {"code": desk.failure.code, "message": desk.failure.say(language_of(request.headers))}
        return JSONResponse(body, 503 if desk.failure else 200)

    @router.post("/multimodal")
    async def multimodal(request: Request) -> Response:
        stop = threading.Event()

        async def answer() -> JSONResponse:
            fields = await read_fields(request, TEXT_FIELDS, FILE_FIELDS, desk.limits.files)
            watch = asyncio.create_task(_watch(request, stop))
            try:
                return JSONResponse(await asyncio.to_thread(_answer, desk, fields, stop))
            finally:
                watch.cancel()
                await fields.close()

        return await guarded(request, lambda reason: UserError("answer_failed", reason=reason), answer)

    refuse_other_methods(router, "/health", "GET")
    refuse_other_methods(router, "/multimodal", "POST")
    return router


async def _watch(request: Request, stop: threading.Event) -> None:
    """Set `stop` when the client goes away."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.2)
    stop.set()


def _answer(desk: Desk, fields: Fields, stop: threading.Event) -> dict[str, object]:
    options, video = _read_options(desk, fields)
    media: list[Medium] = []
    with request_folder(desk.settings.data_dir) as folder:
        for name, kind in FILE_FIELDS.items():
            for upload in fields.files(name):
                media += take(save(upload, folder), name_of(upload, kind), desk.limits, video, only=kind, stop=stop)
    conversation = Conversation((Turn(fields.text("text"), tuple(media)),), fields.text("system_prompt", desk.settings.system_prompt))
    speech, done, notices = None, None, []
    for event in desk.answer(conversation, options, stop, PATIENCE_SECONDS):
        if isinstance(event, Speech):
            speech = event
        elif isinstance(event, Done):
            done = event
        elif isinstance(event, Notice) and event.code in TOLD:
            notices.append({"code": event.code, **event.facts})
    body: dict[str, object] = {
        "text": done.text,
        "usage": {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens},
        "timings": {name: round(seconds, 4) for name, seconds in done.timings.items()},
        "model": {"name": desk.model_name, "demo": desk.demo},
    }
    if notices:
        body["notices"] = notices
    if speech is not None:
        wav = io.BytesIO()
        soundfile.write(wav, speech.samples, speech.rate, format="WAV", subtype="PCM_16")
        body["audio"] = {"data": base64.b64encode(wav.getvalue()).decode(), "format": "wav", "sample_rate": speech.rate}
    return body


def _read_options(desk: Desk, fields: Fields) -> tuple[Options, str]:
    """(options, how videos are taken)."""
    settings = desk.settings
    sound, frame = fields.switch("extract_video_audio"), fields.switch("extract_video_frame")
    video = "split" if sound and frame else "sound" if sound else "last frame" if frame else "frames"
    voice = None
    if fields.switch("return_audio"):
        if desk.status == "loading":
            raise UserError("loading")  # which voices there are is not known yet
        if desk.model and desk.model.no_speech:
            raise UserError("no_speech", reason=MUTE[desk.model.no_speech])
        voice = fields.text("voice") or next(iter(desk.voices), "")
        if desk.model and voice not in desk.voices:
            raise UserError("bad_field", field="voice", value=voice[:80], wanted=", ".join(desk.voices))
    options = Options(
        int(fields.number("max_new_tokens", settings.max_new_tokens, 1, 8192, whole=True)),
        fields.number("temperature", settings.temperature, 0, 2),
        voice,
        fields.choice("detail", DETAILS, "auto"),
    )
    return options, video
