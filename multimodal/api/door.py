"""Who may knock: requests from other sites are refused, and bodies are counted as they come, whatever their header says."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multimodal.errors import UserError, size_text
from multimodal.settings import LOCAL_NAMES

SHARE_ENDING = ".gradio.live"
# Ways into Gradio that the page never takes: calls without the page, a helper that lets ffmpeg guess what a file is, and those that fetch
# addresses.
NOT_SERVED = (
    "/gradio_api/call/",
    "/gradio_api/process_recording",
    "/gradio_api/proxy=",
    "/gradio_api/file=http:",
    "/gradio_api/file=https:",
    "/gradio_api/file/",  # an older name of file=
)
# The page shows nothing from elsewhere: a picture that an answer names would tell that place what was said here.
POLICY = "img-src 'self' data: blob:; media-src 'self' data: blob:; frame-src 'self'; object-src 'none'"
# Form fields and the frames around the parts, beside the files themselves.
BODY_ALLOWANCE = 1_000_000


def language_of(headers: Headers) -> str:
    """'zh' where the Accept-Language header names Chinese first, else 'en'."""
    return "zh" if headers.get("accept-language", "").strip().lower().startswith("zh") else "en"


def error_response(error: UserError, language: str) -> JSONResponse:
    """The one shape of every error: {"error": {"code", "message"}}."""
    return JSONResponse({"error": {"code": error.code, "message": error.say(language)}}, error.status)


class TooLarge(Exception):
    """The body has passed its bound."""


class Door:
    """ASGI middleware in front of the screen and the routes alike."""

    def __init__(self, app: ASGIApp, host: str, share: bool, body_bytes: int):
        self.app, self.host, self.share, self.body_bytes = app, host, share, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        language = language_of(headers)
        if not self._is_known(headers):
            await error_response(UserError("forbidden_origin"), language)(scope, receive, send)
            return
        if scope["path"].lower().startswith(NOT_SERVED):
            await error_response(UserError("not_served", path=scope["path"][:80]), language)(scope, receive, send)
            return
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.body_bytes + BODY_ALLOWANCE:
                raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["content-security-policy"] = POLICY
            await send(message)

        claimed = headers.get("content-length", "0")
        try:
            if claimed.isdigit() and int(claimed) > self.body_bytes + BODY_ALLOWANCE:
                raise TooLarge
            await self.app(scope, counted, noted)
        except TooLarge:
            if not answered:
                error = UserError("too_large_request", limit=size_text(self.body_bytes))
                await error_response(error, language)(scope, receive, send)

    def _is_known(self, headers: Headers) -> bool:
        """Whether the Host is one of ours (a page elsewhere can point its own name at this machine), and the Origin is that same host."""
        name, port = _place(f"//{headers.get('host', '')}")
        if not self._is_own(name):
            return False
        origin = headers.get("origin")
        if origin is None:
            # a browser that fetches from another site without an Origin still says where from
            return headers.get("sec-fetch-site", "same-origin") != "cross-site" or headers.get("sec-fetch-mode") == "navigate"
        origin_name, origin_port = _place(origin)
        return origin_port == port and (origin_name == name or {origin_name, name} <= LOCAL_NAMES)

    def _is_own(self, name: str) -> bool:
        if name in LOCAL_NAMES or name == self.host.lower() or (self.share and name.endswith(SHARE_ENDING)):
            return True
        # listening at every address of the machine: it is reached by its numbers, which no foreign page can claim
        return self.host in ("0.0.0.0", "::") and _is_address(name)


def _place(url: str) -> tuple[str, int | None]:
    """The host name and the port of `url`; no name where it is none that a browser would send."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
