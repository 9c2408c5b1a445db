"""The picture library over HTTP: words to pictures, a picture to captions and to pictures, and the pictures themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from multimodal.api.forms import Fields, guarded, read_fields, refuse_other_methods
from multimodal.api.library_answers import LibraryAnswers
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.retrieval.query import MOST_TERMS

FILTERS = {"since", "until", "name", "caption"}
SEARCH = {"k", "model_type", "threshold", "sort"}
MOST_TEXTS = 1000  # text fields of one request: ids and captions may be repeated


def make_library_router(desk: Desk) -> APIRouter:
    """The routes of the desk's library."""
    router = APIRouter()
    answers = LibraryAnswers(desk)
    # whoever comes from elsewhere could find out by it which folders there are
    filters = FILTERS if desk.settings.shared else FILTERS | {"folder"}
    search = SEARCH | filters
    paths: dict[str, list[str]] = {}

    def serve(
        method: str,
        path: str,
        work: Callable[[Fields, Request], dict[str, object] | Response],
        texts: Collection[str] = (),
        files: Collection[str] = (),
        most_files: int = desk.limits.files,
    ) -> None:
        async def endpoint(request: Request) -> Response:
            async def answer() -> Response:
                if desk.settings.shared and not desk.settings.share_library:
                    raise UserError("library_not_shared")
                _ = desk.library.store  # where it is not open, the body need not be read
                fields = await read_fields(request, texts, files, most_files, MOST_TEXTS, json_too=True)
                try:
                    body = await asyncio.to_thread(work, fields, request)
                finally:
                    await fields.close()
                return body if isinstance(body, Response) else JSONResponse(body)

            async def told() -> Response:
                try:
                    return await answer()
                except UserError as error:
                    raise (error.unlocated() if desk.settings.shared else error) from error

            return await guarded(request, lambda reason: UserError("request_failed", reason=reason), told)

        router.add_api_route(path, endpoint, methods=[method, "HEAD"] if method == "GET" else [method])
        paths.setdefault(path, []).append(method)

    serve("POST", "/text-to-image", answers.text_to_image, {"text", *search})
    serve("POST", "/image-to-image", answers.image_to_image, {"text", "id", *search}, {"image"}, MOST_TERMS)
    serve("POST", "/image-to-text", answers.image_to_text, {"id", "k", "model_type"}, {"image"}, MOST_TERMS)
    serve("GET", "/library/images", answers.images, {"limit", "offset", "sort", *filters})
    serve("POST", "/library/images", answers.add, {"captions"}, {"images"})
    serve("DELETE", "/library/images", answers.remove, {"ids"})
    serve("GET", "/library/images/{id}", answers.image)
    serve("DELETE", "/library/images/{id}", answers.remove_one)
    serve("GET", "/library/images/{id}/file", answers.file)
    serve("GET", "/library/images/{id}/thumbnail", answers.thumbnail)
    serve("POST", "/library/images/{id}/captions", answers.caption, {"captions"})
    serve("POST", "/library/removals/{number}/undo", answers.undo)
    for path, methods in paths.items():
        refuse_other_methods(router, path, ", ".join(methods))
    return router
