"""What each route of the library answers. All of it waits for disk and encoder: call it in a thread."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from PIL import Image

from multimodal.api.door import language_of
from multimodal.api.forms import Fields, name_of, request_folder, save
from multimodal.desk import Desk
from multimodal.errors import UserError
from multimodal.media import take
from multimodal.media.signature import HEAD, Signature, read_signature
from multimodal.retrieval.answers import in_detail, of_captions, of_failure, of_found, of_picture
from multimodal.retrieval.query import LONGEST_TEXT, MOST_RESULTS, SORTS, Query, Term, read_filter, read_terms
from multimodal.retrieval.records import Filter, Picture

MODEL_TYPES = ("auto", "clip")  # "auto" is "clip", which always is there
CROSS = "cross"  # the second look, at what words found
RESULTS = 20  # where a request does not say how many
PAGE, FARTHEST = 100, 10_000_000  # of the list: pictures in one answer, and the largest offset
PAGE_SORTS = ("newest", "oldest", "added", "name")
SEEN_PIXELS = 1_003_520  # kept of a picture that is searched by: more than any encoder looks at
LARGEST_ID = 2**63 - 1  # in SQLite
# What browsers call the formats that pictures are taken in, by Pillow's names.
TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "BMP": "image/bmp",
    "JPEG2000": "image/jp2",
    "ICO": "image/vnd.microsoft.icon",
    "PSD": "image/vnd.adobe.photoshop",
    "PPM": "image/x-portable-anymap",
    "QOI": "image/qoi",
}
# A browser may keep what it was shown for an hour; nobody between it and the desk may.
HEADERS = {"cache-control": "private, max-age=3600", "x-content-type-options": "nosniff"}


def addresses(picture: Picture) -> dict[str, str]:
    """Where a picture and its thumbnail are to be had. Nobody is told where it lies on the disk."""
    return {"url": f"/library/images/{picture.id}/file", "thumbnail": f"/library/images/{picture.id}/thumbnail"}


class LibraryAnswers:
    """One method a route: the request's fields in, the body of the answer out. All raise UserError."""

    def __init__(self, desk: Desk):
        self.desk, self.library = desk, desk.library
        self.seen = replace(desk.limits, pixels=SEEN_PIXELS)
        self._removals: set[int] = set()  # those that were asked for here: a visitor takes nothing back that the owner took out

    # searching

    def text_to_image(self, fields: Fields, request: Request) -> dict[str, object]:
        text = fields.text("text")
        rerank = fields.choice("model_type", (*MODEL_TYPES, CROSS), MODEL_TYPES[0]) == CROSS
        return {"query": text, **self._find(fields, read_terms(text), rerank)}

    def image_to_image(self, fields: Fields, request: Request) -> dict[str, object]:
        _check_model(fields)
        asked = self._asked(fields)
        if not asked:
            raise UserError("search_empty")
        name, text = ", ".join(name for _, name in asked), fields.text("text")
        terms = (*(Term(content) for content, _ in asked), *read_terms(text))
        return {"query": text or name, "query_image": name, **self._find(fields, terms)}

    def image_to_text(self, fields: Fields, request: Request) -> dict[str, object]:
        _check_model(fields)
        asked = self._asked(fields)
        if not asked:
            raise UserError("search_empty")
        if len(asked) > 1:
            raise UserError("search_terms", count=len(asked), limit=1)
        content, name = asked[0]
        hits = self.library.captions_of(content, _count(fields))
        pictures = self.library.store.pictures({hit.caption.picture for hit in hits})
        return {"query_image": name, "results": of_captions(hits, pictures)}

    def _find(self, fields: Fields, terms: tuple[Term, ...], rerank: bool = False) -> dict[str, object]:
        at_least = fields.number("threshold", None, -1, 1)
        query = Query(terms, _filter(fields), fields.choice("sort", SORTS, SORTS[0]), _count(fields), at_least, rerank)
        return of_found(self.library.find(query), addresses)

    def _asked(self, fields: Fields) -> list[tuple[Image.Image | int, str]]:
        """The pictures that a search is by, with their names: uploads, and ids of the library's own."""
        asked: list[tuple[Image.Image | int, str]] = []
        with request_folder(self.desk.settings.data_dir) as folder:
            for upload in fields.files("image"):
                name = name_of(upload, "image")
                asked += [(picture.image, name) for picture in take(save(upload, folder), name, self.seen, only="picture")]
        asked += [(id, self.library.picture(id).name) for id in _ids(fields, "id")]
        return asked

    # the pictures

    def images(self, fields: Fields, request: Request) -> dict[str, object]:
        wanted = _filter(fields)
        count = int(fields.number("limit", PAGE, 1, MOST_RESULTS, whole=True))
        offset = int(fields.number("offset", 0, 0, FARTHEST, whole=True))
        pictures = self.library.page(wanted, fields.choice("sort", PAGE_SORTS, PAGE_SORTS[0]), count, offset)
        return {"images": [of_picture(picture, addresses) for picture in pictures], "total": self.library.store.count(wanted)}

    def image(self, fields: Fields, request: Request) -> dict[str, object]:
        return in_detail(self._picture(request), addresses)

    def file(self, fields: Fields, request: Request) -> Response:
        picture = self._picture(request)
        path = self.library.original(picture)
        return _send(request, path, f'"{picture.hash}"', _type_of(path, picture), picture.name)

    def thumbnail(self, fields: Fields, request: Request) -> Response:
        picture = self._picture(request)
        path = self.library.thumbnail(picture)
        return _send(request, path, f'"{picture.hash}-thumbnail"', TYPES["WEBP"], f"{Path(picture.name).stem}.webp")

    def _picture(self, request: Request) -> Picture:
        text = request.path_params["id"]
        id = _whole(text)
        if not id:
            raise UserError("picture_gone", id=text[:40])
        return self.library.picture(id)

    # changing

    def add(self, fields: Fields, request: Request) -> dict[str, object]:
        uploads = fields.files("images")
        if not uploads:
            raise UserError("bad_field", field="images", value="", wanted=("uploaded files", "上传的文件"))
        captions = _captions(fields, len(uploads))
        with request_folder(self.desk.settings.data_dir) as folder:
            files = [(save(upload, folder), name_of(upload, "image")) for upload in uploads]
            taken = self.library.take(files, captions)
        language = language_of(request.headers)
        return {
            "images": [of_picture(picture, addresses) for picture in self.library.store.pictures(taken.ids)],
            "failures": [of_failure(failure, language) for failure in taken.failures],
        }

    def caption(self, fields: Fields, request: Request) -> dict[str, object]:
        picture = self._picture(request)
        if not fields.texts("captions"):
            raise UserError("bad_field", field="captions", value="", wanted=("text, or a space for none", "文本；要清空请填一个空格"))
        self.library.set_captions(picture.id, _captions(fields, 1)[0])
        return self.image(fields, request)

    def remove(self, fields: Fields, request: Request) -> dict[str, object]:
        ids = _ids(fields, "ids")
        if not ids:
            raise UserError("bad_field", field="ids", value="", wanted=("ids of pictures", "图片的编号"))
        present = [picture.id for picture in self.library.store.pictures(ids) if not picture.removed]
        if not present:
            raise UserError("picture_gone", id=ids[0])
        return {"removed": len(present), "undo": self._remove(present)}

    def remove_one(self, fields: Fields, request: Request) -> dict[str, object]:
        return {"removed": 1, "undo": self._remove([self._picture(request).id])}

    def _remove(self, ids: list[int]) -> int:
        number = self.library.remove(ids)
        self._removals.add(number)
        return number

    def undo(self, fields: Fields, request: Request) -> dict[str, object]:
        text = request.path_params["number"]
        number = _whole(text)
        own = number in self._removals or not self.desk.settings.shared
        folder = self.library.store.dropped_folder(number) if number and own else None
        ids = self.library.undo(number) if number and own else []
        if not ids and not folder:
            raise UserError("removal_gone", number=text[:40])
        return {"restored": len(ids), "ids": ids}


def _check_model(fields: Fields) -> None:
    fields.choice("model_type", MODEL_TYPES, MODEL_TYPES[0])


def _count(fields: Fields) -> int:
    return int(fields.number("k", RESULTS, 1, MOST_RESULTS, whole=True))


def _filter(fields: Fields) -> Filter:
    return read_filter(*(fields.text(name) for name in ("folder", "since", "until", "name", "caption")))


def _whole(text: str) -> int | None:
    """The number of a picture or a removal; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST_ID else None


def _ids(fields: Fields, name: str) -> list[int]:
    """The ids in a field, which may be there several times, or hold several of them with commas between."""
    parts = [part.strip() for text in fields.texts(name) for part in text.split(",") if part.strip()]
    ids = [_whole(part) for part in parts]
    if None in ids:
        raise UserError("bad_field", field=name, value=parts[ids.index(None)][:80], wanted=("ids of pictures", "图片的编号"))
    return list(dict.fromkeys(ids))


def _captions(fields: Fields, count: int) -> list[list[str]]:
    """The captions of `count` pictures, one a line: the first field is the first picture's, and so on; of a single picture all are."""
    texts = fields.texts("captions")
    if count > 1 and len(texts) not in (0, count):
        wanted = (f"one for each of the {count} pictures, or none at all", f"每张图片（共 {count} 张）各一个，或完全不给")
        raise UserError("bad_field", field="captions", value=f"{len(texts)} ×", wanted=wanted)
    captions = [[line.strip() for line in text.splitlines() if line.strip()] for text in texts]
    for caption in (line for lines in captions for line in lines):
        if len(caption) > LONGEST_TEXT:
            wanted = (f"at most {LONGEST_TEXT} characters a line", f"每行最多 {LONGEST_TEXT} 个字符")
            raise UserError("bad_field", field="captions", value=f"{caption[:40]}…", wanted=wanted)
    return captions if count > 1 else [[line for lines in captions for line in lines]]


def _type_of(path: Path, picture: Picture) -> str:
    """What the file is, by its first bytes. Raises UserError where it is not the picture any more: a person may have put another there."""
    try:
        with path.open("rb") as file:
            found, size = read_signature(file.read(HEAD)), path.stat().st_size
    except OSError as error:
        raise UserError("original_gone", name=picture.name) from error
    if not isinstance(found, Signature) or found.reader not in TYPES or size != picture.bytes:
        raise UserError("original_gone", name=picture.name)
    return TYPES[found.reader]


def _send(request: Request, path: Path, tag: str, kind: str, name: str) -> Response:
    headers = {**HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, media_type=kind, headers=headers, filename=name, content_disposition_type="inline")
