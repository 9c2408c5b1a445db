"""POST /multimodal and GET /health."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

import soundfile
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from multimodal.api.door import error_response, language_of
from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done
from multimodal.chat.options import Options
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import Medium, take

MOST_FILES = 32
PATIENCE_SECONDS = 120.0
TEXT_FIELDS = {"text", "system_prompt", "max_new_tokens", "temperature", "extract_video_audio", "extract_video_frame", "return_audio", "voice"}
FILE_FIELDS = {"images": "picture", "audios": "sound", "videos": "video"}
SWITCH = {"": False, "0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}


def make_router(desk: Desk) -> APIRouter:
    """The routes of `desk`."""
    router = APIRouter()

    @router.get("/health")
    def health() -> JSONResponse:
        body = {"status": desk.status, "model": {"name": desk.model_name, "demo": desk.demo}, "memory": asdict(desk.memory())}
        if desk.failure:
            body["error"] = {"code": desk.failure.code, "message": str(desk.failure)}
        return JSONResponse(body, 503 if desk.failure else 200)

    @router.post("/multimodal")
    async def multimodal(request: Request) -> JSONResponse:
        language = language_of(request.headers)
        stop = threading.Event()
        try:
            try:
                # on the wire a file is a file: a path or an address in a text field is only text
                async with request.form(max_files=MOST_FILES, max_fields=len(TEXT_FIELDS) * 2, max_part_size=1_000_000) as form:
                    answer = asyncio.create_task(asyncio.to_thread(_answer, desk, form, stop))
                    watch = asyncio.create_task(_watch(request, stop))
                    try:
                        return JSONResponse(await answer)
                    finally:
                        watch.cancel()
            except MultiPartException as error:
                if "files" in error.message.lower():
                    raise UserError("too_many_files", count=f"> {MOST_FILES}", limit=MOST_FILES) from error
                raise UserError("bad_request", reason=error.message) from error
        except UserError as error:
            return error_response(error, language)

    return router


async def _watch(request: Request, stop: threading.Event) -> None:
    """Set `stop` when the client goes away."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.2)
    stop.set()


def _answer(desk: Desk, form: FormData, stop: threading.Event) -> dict[str, object]:
    text, options, system_prompt, video = _read_fields(desk, form)
    media: list[Medium] = []
    folder = Path(tempfile.mkdtemp(prefix="request-", dir=desk.settings.data_dir))
    try:
        for name, kind in FILE_FIELDS.items():
            for upload in form.getlist(name):
                if not isinstance(upload, UploadFile):
                    raise UserError("bad_field", field=name, value=str(upload)[:80], wanted="uploaded files")
                media += _take_upload(upload, kind, desk, folder, video)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    conversation = Conversation((Turn(text, tuple(media)),), system_prompt)
    speech, done = None, None
    for event in desk.answer(conversation, options, stop, PATIENCE_SECONDS):
        if isinstance(event, Speech):
            speech = event
        elif isinstance(event, Done):
            done = event
    body: dict[str, object] = {
        "text": done.text,
        "usage": {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens},
        "timings": {name: round(seconds, 4) for name, seconds in done.timings.items()},
        "model": {"name": desk.model_name, "demo": desk.demo},
    }
    if speech is not None:
        wav = io.BytesIO()
        soundfile.write(wav, speech.samples, speech.rate, format="WAV", subtype="PCM_16")
        body["audio"] = {"data": base64.b64encode(wav.getvalue()).decode(), "format": "wav", "sample_rate": speech.rate}
    return body


def _take_upload(upload: UploadFile, kind: str, desk: Desk, folder: Path, video: str) -> list[Medium]:
    name = Path((upload.filename or kind).replace("\\", "/")).name[:120] or kind
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
        shutil.copyfileobj(upload.file, copy)
    return take(Path(copy.name), name, desk.limits, video, only=kind)


def _read_fields(desk: Desk, form: FormData) -> tuple[str, Options, str, str]:
    """(text, options, system prompt, how videos are taken)."""
    values: dict[str, str] = {}
    for name, value in form.multi_items():
        if name in FILE_FIELDS:
            continue
        if name not in TEXT_FIELDS:
            raise UserError("bad_field", field=name, value=str(getattr(value, "filename", value))[:80], wanted=f"nothing: the fields are {', '.join(sorted(TEXT_FIELDS | set(FILE_FIELDS)))}")
        if not isinstance(value, str):
            raise UserError("bad_field", field=name, value=value.filename, wanted="text, not a file")
        values[name] = value
    settings = desk.settings
    sound, frame = _switch(values, "extract_video_audio"), _switch(values, "extract_video_frame")
    video = "split" if sound and frame else "sound" if sound else "last frame" if frame else "frames"
    voice = None
    if _switch(values, "return_audio"):
        if desk.model and desk.model.no_speech:
            raise UserError("no_speech", reason=desk.model.no_speech)
        voice = values.get("voice") or next(iter(desk.voices), "")
        if desk.model and voice not in desk.voices:
            raise UserError("bad_field", field="voice", value=voice, wanted=", ".join(desk.voices))
    options = Options(
        int(_number(values, "max_new_tokens", settings.max_new_tokens, 1, 8192, whole=True)),
        _number(values, "temperature", settings.temperature, 0, 2),
        voice,
    )
    return values.get("text", ""), options, values.get("system_prompt", settings.system_prompt), video


def _switch(values: dict[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in SWITCH:
        raise UserError("bad_field", field=name, value=values[name][:80], wanted="true or false")
    return SWITCH[text]


def _number(values: dict[str, str], name: str, default: float, low: float, high: float, whole: bool = False) -> float:
    text = values.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise UserError("bad_field", field=name, value=text[:80], wanted=f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
    return number
