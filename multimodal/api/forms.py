"""What a request brings: fields and files, from a form, from JSON or from its address. A path or an address in a field is only text."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from multimodal.api.door import TooLarge, error_response, language_of
from multimodal.data_dir import REQUEST_PREFIX
from multimodal.errors import UserError, size_text
from multimodal.media import Stopped

log = logging.getLogger(__name__)

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
JSON = "application/json"
TEXT_BYTES = 1_000_000  # of a text field, or of a JSON body
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
SWITCH = {"": False, "0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}
LONGEST_NUMBER = 40  # signs; what is longer is no number that any field takes


class Fields:
    """The fields of one request, each known to it by name; a field may be there several times."""

    def __init__(self, texts: Mapping[str, list[str]], files: Mapping[str, list[UploadFile]], form: FormData | None = None):
        self._texts, self._files, self._form = texts, files, form

    def text(self, name: str, default: str = "") -> str:
        """The field's text; where it is there several times, the last one."""
        return self._texts.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        """The field's text as often as it is there."""
        return self._texts.get(name, [])

    def files(self, name: str) -> list[UploadFile]:
        """The files of a field."""
        return self._files.get(name, [])

    def switch(self, name: str) -> bool:
        """True or false; false where it is not there. Raises UserError."""
        text = self.text(name).strip().lower()
        if text not in SWITCH:
            raise UserError("bad_field", field=name, value=self.text(name)[:80], wanted=("true or false", "true 或 false"))
        return SWITCH[text]

    def number(self, name: str, default: float | None, low: float, high: float, whole: bool = False) -> float | None:
        """A number from `low` to `high`; `default` where it is not there. Raises UserError."""
        text = self.text(name).strip()
        return read_number(name, text, low, high, whole) if text else default

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """One of `choices`; `default` where it is not there. Raises UserError."""
        text = self.text(name) or default
        if text not in choices:
            raise UserError("bad_field", field=name, value=text[:80], wanted=", ".join(choices))
        return text

    async def close(self) -> None:
        """Let go of the files."""
        if self._form:
            await self._form.close()


def read_number(name: str, text: str, low: float, high: float, whole: bool = False) -> float:
    """The number that the field `name` holds, from `low` to `high`. Raises UserError."""
    try:
        number = low - 1 if len(text) > LONGEST_NUMBER else int(text) if whole else float(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        least, most = f"{low:.10g}", f"{high:.10g}"
        wanted = (f"a {'whole ' if whole else ''}number from {least} to {most}", f"{least} 到 {most} 之间的{'整数' if whole else '数'}")
        raise UserError("bad_field", field=name, value=text[:80], wanted=wanted)
    return number


async def read_fields(
    request: Request,
    texts: Collection[str],
    files: Collection[str] = (),
    most_files: int = 0,
    most_texts: int | None = None,
    json_too: bool = False,
) -> Fields:
    """The request's fields: `texts`, and `files`, of which there may be `most_files` in all, and `most_texts` of the others.

    They come from a form; with `json_too` also from a JSON object, or where there is no body from the address. Raises UserError for what
    cannot be read, and for a field that is none of these.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = None
    if json_too and not kind and _is_empty(request):
        items = request.query_params.multi_items()
    elif json_too and kind == JSON:
        items = await _read_json(request)
    elif kind in FORMS:
        form = await _read_form(request, most_files, most_texts or 2 * len(texts))
        items = form.multi_items()
    else:
        raise UserError("bad_request", reason=(f"it is {kind or 'without a content-type'}", f"类型为 {kind or '空'}"))
    try:
        return _sort(items, texts, files, form)
    except UserError:
        if form:
            await form.close()
        raise


def _is_empty(request: Request) -> bool:
    """Whether it has no body."""
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


async def _read_form(request: Request, most_files: int, most_texts: int) -> FormData:
    try:
        return await request.form(max_files=most_files, max_fields=most_texts, max_part_size=TEXT_BYTES)
    except HTTPException as error:  # starlette's own
        if "files" in error.detail:
            raise UserError("too_many_files", count=(f"more than {most_files}", f"超过 {most_files}"), limit=most_files) from error
        raise UserError("bad_request", reason=error.detail.rstrip(".")) from error
    except UnicodeError as error:  # a charset that is one in name only
        raise UserError("bad_request", reason=str(error)) from error


async def _read_json(request: Request) -> list[tuple[str, str]]:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > TEXT_BYTES:
            raise UserError("too_large_request", limit=size_text(TEXT_BYTES))
    try:
        # numbers stay as they are written: what they may be is for the field to say
        read = json.loads(body, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise UserError("bad_request", reason=("its JSON is damaged", "JSON 格式有误")) from error
    if not isinstance(read, dict):
        raise UserError("bad_request", reason=("it is not a JSON object", "不是 JSON 对象"))
    return [(name, text) for name, value in read.items() for text in _as_texts(name, value)]


def _as_texts(name: str, value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, list | dict):
            raise UserError("bad_field", field=name[:80], value=type(one).__name__, wanted=("text or numbers", "文本或数字"))
        if one is not None:
            yield str(one).lower() if isinstance(one, bool) else str(one)


def _sort(items: list[tuple[str, object]], texts: Collection[str], files: Collection[str], form: FormData | None) -> Fields:
    fields, uploads = {}, {}
    for name, value in items:
        said = value.filename or "" if isinstance(value, UploadFile) else value
        try:
            f"{name}{said}".encode()
        except UnicodeError as error:  # some charsets give halves of characters, which no answer can hold
            raise UserError("bad_request", reason=str(error)) from error
        if name in files:
            if not isinstance(value, UploadFile):
                raise UserError("bad_field", field=name, value=said[:80], wanted=("uploaded files", "上传的文件"))
            uploads.setdefault(name, []).append(value)
        elif name not in texts:
            known = ", ".join(sorted({*texts, *files}))
            wanted = (f"nothing: the fields are {known}", f"空：可用的字段是 {known}")
            raise UserError("bad_field", field=name[:80], value=said[:80], wanted=wanted)
        elif isinstance(value, UploadFile):
            raise UserError("bad_field", field=name, value=said[:80], wanted=("text, not a file", "文本，而不是文件"))
        else:
            fields.setdefault(name, []).append(value)
    return Fields(fields, uploads, form)


def name_of(upload: UploadFile, otherwise: str) -> str:
    """The upload's file name, without any folder; `otherwise` where it has none."""
    return Path((upload.filename or otherwise).replace("\\", "/")).name[:120] or otherwise


@contextmanager
def request_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for the files of one request, taken away at the end; should that fail, it is swept within a day."""
    folder = Path(tempfile.mkdtemp(prefix=REQUEST_PREFIX, dir=data_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save(upload: UploadFile, folder: Path) -> Path:
    """The upload's bytes as a new file in `folder`."""
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
        shutil.copyfileobj(upload.file, copy)
    return Path(copy.name)


async def guarded(request: Request, fault: Callable[[str], UserError], answer: Callable[[], Awaitable[Response]]) -> Response:
    """What `answer` gives, or the error in its place. `fault` makes one of what is wrong on our own side, from a word about it."""
    try:
        return await answer()
    except UserError as error:
        return error_response(error, language_of(request.headers))
    except (ClientDisconnect, Stopped):
        return JSONResponse(None)  # nobody reads it
    except TooLarge:
        raise  # for the door
    except Exception as error:  # the log has it whole
        log.exception("A request failed")
        return error_response(fault(type(error).__name__), language_of(request.headers))


def refuse_other_methods(router: APIRouter, path: str, wanted: str) -> None:
    """A wrong method at `path` is answered in the shape of every other error. To be called after its right ones were added."""

    @router.api_route(path, methods=METHODS, include_in_schema=False)
    def refused(request: Request) -> JSONResponse:
        error = UserError("wrong_method", path=request.url.path, method=request.method, wanted=wanted)
        response = error_response(error, language_of(request.headers))
        response.headers["allow"] = wanted
        return response
