"""POST /multimodal and GET /health."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import shutil
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

import soundfile
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from multimodal.api.door import error_response, language_of
from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done, Notice
from multimodal.chat.options import DETAILS, Options
from multimodal.data_dir import REQUEST_PREFIX
from multimodal.desk import Desk
from multimodal.errors import MUTE, UserError
from multimodal.media import Medium, Stopped, take

log = logging.getLogger(__name__)

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
FIELDS = ", ".join(sorted(TEXT_FIELDS | set(FILE_FIELDS)))
TOLD = ("turns_dropped", "shrunk", "less_memory")  # what the answer was made with less of
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
SWITCH = {"": False, "0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}


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
    async def multimodal(request: Request) -> JSONResponse:
        language = language_of(request.headers)
        stop = threading.Event()
        try:
            # on the wire a file is a file: a path or an address in a text field is only text
            form = await _read_form(request, desk.limits.files)
            watch = asyncio.create_task(_watch(request, stop))
            try:
                return JSONResponse(await asyncio.to_thread(_answer, desk, form, stop))
            except (UserError, Stopped):
                raise
            except Exception as error:  # a fault of ours: the log has it whole
                log.exception("A request failed")
                raise UserError("answer_failed", reason=type(error).__name__) from error
            finally:
                watch.cancel()
                await form.close()
        except UserError as error:
            return error_response(error, language)
        except (ClientDisconnect, Stopped):
            return JSONResponse(None)  # nobody reads it

    # without these two, a wrong method is answered in another shape than every other error
    @router.api_route("/health", methods=METHODS, include_in_schema=False)
    def not_health(request: Request) -> JSONResponse:
        return _wrong_method(request, "GET")

    @router.api_route("/multimodal", methods=METHODS, include_in_schema=False)
    def not_multimodal(request: Request) -> JSONResponse:
        return _wrong_method(request, "POST")

    return router


def _wrong_method(request: Request, wanted: str) -> JSONResponse:
    error = UserError("wrong_method", path=request.url.path, method=request.method, wanted=wanted)
    response = error_response(error, language_of(request.headers))
    response.headers["allow"] = wanted
    return response


async def _read_form(request: Request, most: int) -> FormData:
    """The request's form, with at most `most` files. Raises UserError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORMS:
        raise UserError("bad_request", reason=(f"it is {kind or 'without a content-type'}", f"类型为 {kind or '空'}"))
    try:
        form = await request.form(max_files=most, max_fields=len(TEXT_FIELDS) * 2, max_part_size=1_000_000)
        for name, value in form.multi_items():
            f"{name}{getattr(value, 'filename', value)}".encode()  # some charsets give halves of characters, which no answer can hold
        return form
    except HTTPException as error:  # starlette's own
        if "files" in error.detail:
            raise UserError("too_many_files", count=(f"more than {most}", f"超过 {most}"), limit=most) from error
        raise UserError("bad_request", reason=error.detail.rstrip(".")) from error
    except UnicodeError as error:  # a charset that is one in name only
        raise UserError("bad_request", reason=str(error)) from error


async def _watch(request: Request, stop: threading.Event) -> None:
    """Set `stop` when the client goes away."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.2)
    stop.set()


def _answer(desk: Desk, form: FormData, stop: threading.Event) -> dict[str, object]:
    text, options, system_prompt, video = _read_fields(desk, form)
    media: list[Medium] = []
    folder = Path(tempfile.mkdtemp(prefix=REQUEST_PREFIX, dir=desk.settings.data_dir))
    try:
        for name, kind in FILE_FIELDS.items():
            for upload in form.getlist(name):
                if not isinstance(upload, UploadFile):
                    raise UserError("bad_field", field=name, value=str(upload)[:80], wanted=("uploaded files", "上传的文件"))
                media += _take_upload(upload, kind, desk, folder, video, stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    conversation = Conversation((Turn(text, tuple(media)),), system_prompt)
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


def _take_upload(upload: UploadFile, kind: str, desk: Desk, folder: Path, video: str, stop: threading.Event) -> list[Medium]:
    name = Path((upload.filename or kind).replace("\\", "/")).name[:120] or kind
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
        shutil.copyfileobj(upload.file, copy)
    return take(Path(copy.name), name, desk.limits, video, only=kind, stop=stop)


def _read_fields(desk: Desk, form: FormData) -> tuple[str, Options, str, str]:
    """(text, options, system prompt, how videos are taken)."""
    values: dict[str, str] = {}
    for name, value in form.multi_items():
        if name in FILE_FIELDS:
            continue
        if name not in TEXT_FIELDS:
            raise UserError(
                "bad_field",
                field=name[:80],
                value=str(getattr(value, "filename", value))[:80],
                wanted=(f"nothing: the fields are {FIELDS}", f"空：可用的字段是 {FIELDS}"),
            )
        if not isinstance(value, str):
            raise UserError("bad_field", field=name, value=value.filename[:80], wanted=("text, not a file", "文本，而不是文件"))
        values[name] = value
    settings = desk.settings
    sound, frame = _switch(values, "extract_video_audio"), _switch(values, "extract_video_frame")
    video = "split" if sound and frame else "sound" if sound else "last frame" if frame else "frames"
    voice = None
    if _switch(values, "return_audio"):
        if desk.status == "loading":
            raise UserError("loading")  # which voices there are is not known yet
        if desk.model and desk.model.no_speech:
            raise UserError("no_speech", reason=MUTE[desk.model.no_speech])
        voice = values.get("voice") or next(iter(desk.voices), "")
        if desk.model and voice not in desk.voices:
            raise UserError("bad_field", field="voice", value=voice[:80], wanted=", ".join(desk.voices))
    options = Options(
        int(_number(values, "max_new_tokens", settings.max_new_tokens, 1, 8192, whole=True)),
        _number(values, "temperature", settings.temperature, 0, 2),
        voice,
        values.get("detail") or "auto",
    )
    if options.detail not in DETAILS:
        raise UserError("bad_field", field="detail", value=options.detail[:80], wanted=", ".join(DETAILS))
    return values.get("text", ""), options, values.get("system_prompt", settings.system_prompt), video


def _switch(values: dict[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in SWITCH:
        raise UserError("bad_field", field=name, value=values[name][:80], wanted=("true or false", "true 或 false"))
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
        wanted = (f"a {'whole ' if whole else ''}number from {low:g} to {high:g}", f"{low:g} 到 {high:g} 之间的{'整数' if whole else '数'}")
        raise UserError("bad_field", field=name, value=text[:80], wanted=wanted)
    return number
