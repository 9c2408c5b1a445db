"""The picture library's routes, at a running desk with its demo encoder and the pictures that come along."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from PIL import Image

from multimodal.demo.library import COUNT, draw_library
from multimodal.desk import Desk
from multimodal.settings import Settings
from tests.conftest import ROOT, RunningDesk
from tests.retrieval.tiny_blip import write_tiny_blip
from tests.wire import CHINESE, bomb_png, client_of, error_of, parts_of, png

SAMPLE = draw_library(3)[2]
PICTURE_KEYS = {"id", "image_name", "width", "height", "bytes", "taken", "captions", "url", "thumbnail"}
ROUTES = {
    "/text-to-image": ["POST"],
    "/image-to-image": ["POST"],
    "/image-to-text": ["POST"],
    "/library/images": ["GET", "POST", "DELETE"],
    "/library/images/1": ["GET", "DELETE"],
    "/library/images/1/file": ["GET"],
    "/library/images/1/thumbnail": ["GET"],
    "/library/images/1/captions": ["POST"],
    "/library/removals/1/undo": ["POST"],
}


@pytest.fixture
def sample(client: httpx.Client) -> dict:
    """A picture that came along, as the list tells of it."""
    (found,) = client.get("/library/images", params={"name": SAMPLE.name}).json()["images"]
    return found


@pytest.fixture
def added(client: httpx.Client) -> Iterator[dict]:
    """A picture that this test may do anything to."""
    (image,) = add(client, ("红色 图片.png", png((90, 60), "maroon")), captions="A maroon rectangle.\n一个褐红色的矩形。")["images"]
    yield image
    client.delete(f"/library/images/{image['id']}")


def add(client: httpx.Client, *files: tuple[str, bytes], **fields: str) -> dict:
    response = client.post("/library/images", files=parts_of(*(("images", *file) for file in files), **fields))
    assert response.status_code == 200, response.text
    return response.json()


# searching


@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_find_a_picture(client: httpx.Client, language: str) -> None:
    text = SAMPLE.captions[language]
    response = client.post("/text-to-image", data={"text": text, "k": "5", "model_type": "clip"})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer.keys() == {"query", "results"}
    assert answer["query"] == text
    assert SAMPLE.name in [result["image_name"] for result in answer["results"]]
    assert 1 <= len(answer["results"]) <= 5
    scores = [result["score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    for result in answer["results"]:
        assert result.keys() == PICTURE_KEYS | {"score"}


def test_a_form_and_json_ask_the_same(client: httpx.Client) -> None:
    fields = {"text": "a red circle", "k": 3, "threshold": -1, "name": "a", "sort": "oldest", "model_type": "auto"}
    answers = [
        client.post("/text-to-image", data=fields),
        client.post("/text-to-image", files=parts_of(**fields)),
        client.post("/text-to-image", json=fields),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len(answers[0].json()["results"]) == 3
    assert answers[0].json() == answers[1].json() == answers[2].json()


def test_a_picture_finds_itself_and_what_is_like_it(client: httpx.Client, sample: dict) -> None:
    file = client.get(sample["url"]).content
    by_file = client.post("/image-to-image", files=parts_of(("image", "照片.jpg", file), k=4, threshold=-1)).json()
    assert by_file.keys() == {"query", "query_image", "results"}
    assert by_file["query"] == by_file["query_image"] == "照片.jpg"
    assert by_file["results"][0]["id"] == sample["id"]
    assert by_file["results"][0]["score"] > 0.99
    by_id = client.post("/image-to-image", json={"id": sample["id"], "k": 3, "threshold": -1}).json()
    assert by_id["query_image"] == sample["image_name"]
    # by its id one wants others than itself
    assert [result["id"] for result in by_id["results"]] == [result["id"] for result in by_file["results"][1:]]


def test_words_and_pictures_may_be_asked_for_together(client: httpx.Client, sample: dict) -> None:
    file = client.get(sample["url"]).content
    parts = parts_of(("image", "a.jpg", file), ("image", "b.png", png()), id=sample["id"], text="a star -circle", threshold=-1)
    answer = client.post("/image-to-image", files=parts).json()
    assert (answer["query"], answer["query_image"]) == ("a star -circle", f"a.jpg, b.png, {sample['image_name']}")
    assert answer["results"]


@pytest.mark.parametrize("way", ["file", "id"])
def test_a_picture_finds_captions(client: httpx.Client, sample: dict, way: str) -> None:
    parts = {"file": parts_of(("image", "x.jpg", client.get(sample["url"]).content), k=8), "id": parts_of(id=sample["id"], k=8)}[way]
    response = client.post("/image-to-text", files=parts)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer.keys() == {"query_image", "results"}
    assert all(result.keys() == {"caption", "score", "id", "image_name"} for result in answer["results"])
    assert len(answer["results"]) == 8
    assert set(SAMPLE.captions.values()) & {result["caption"] for result in answer["results"]}


def test_where_nothing_matches_one_sees_how_near_it_came(client: httpx.Client) -> None:
    answer = client.post("/text-to-image", data={"text": "a photograph of a tax form", "threshold": "0.999"}).json()
    assert answer["results"] == []
    assert answer["threshold"] == 0.999
    assert -1 <= answer["nearest"] < 0.999


def test_filters_need_no_words(client: httpx.Client) -> None:
    answer = client.post("/text-to-image", json={"name": SAMPLE.name[:4], "caption": SAMPLE.captions["en"]}).json()
    assert [(result["image_name"], result["score"]) for result in answer["results"]] == [(SAMPLE.name, None)]
    assert client.post("/text-to-image", json={"until": "1999"}).json() == {"query": "", "results": []}


# the list


def test_the_list_comes_in_pages(client: httpx.Client) -> None:
    whole = client.get("/library/images", params={"limit": 1000, "sort": "name"}).json()
    assert whole["total"] == len(whole["images"]) >= COUNT
    assert all(image.keys() == PICTURE_KEYS for image in whole["images"])
    page = client.get("/library/images", params={"limit": 7, "offset": 5, "sort": "name"}).json()
    assert page == {"images": whole["images"][5:12], "total": whole["total"]}
    assert client.get("/library/images", params={"offset": 10_000}).json() == {"images": [], "total": whole["total"]}


ODD = [
    "'",
    '"',
    "%",
    "_",
    "\\",
    "' OR 1=1 --",
    '"); DROP TABLE pictures; --',
    "* NEAR(a, 2)",
    "*",
    "^",
    "\0",
    "💥",
    "%00",
    "'%' ",
    "[a-z]*",
]


@pytest.mark.parametrize("odd", ODD)
def test_signs_in_a_filter_mean_nothing(client: httpx.Client, odd: str) -> None:
    for field, expected in (("name", {0}), ("folder", {0}), ("caption", range(COUNT))):
        response = client.get("/library/images", params={field: odd})
        assert response.status_code == 200
        assert response.json()["total"] in expected, field
    assert client.get("/library/images", params={"limit": 1}).json()["total"] >= COUNT


def test_every_word_of_a_filter_is_wanted_whatever_stands_between(client: httpx.Client) -> None:
    def total(caption: str) -> int:
        return client.get("/library/images", params={"caption": caption}).json()["total"]

    assert 0 < total("red circle") == total('circle" (red)*') < total("circle")
    assert total("red OR xylophone") == 0


def test_a_picture_is_told_of_in_detail(client: httpx.Client, added: dict) -> None:
    told = client.get(f"/library/images/{added['id']}").json()
    assert told.keys() == PICTURE_KEYS | {"hash", "added", "sample", "exif"}
    assert (told["image_name"], told["width"], told["height"], told["sample"]) == ("红色 图片.png", 90, 60, False)
    assert told["captions"] == ["A maroon rectangle.", "一个褐红色的矩形。"]


def test_a_file_and_its_thumbnail_are_served_as_pictures_alone(client: httpx.Client, added: dict) -> None:
    for address, kind, size in ((added["url"], "image/png", (90, 60)), (added["thumbnail"], "image/webp", (90, 60))):
        response = client.get(address)
        assert response.status_code == 200
        assert response.headers["content-type"] == kind
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"].startswith("private")
        assert "红色 图片." in unquote(response.headers["content-disposition"])
        assert Image.open(io.BytesIO(response.content)).size == size
        again = client.get(address, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.head(address).headers["content-length"] == str(len(response.content))
    assert client.get(added["url"]).content == png((90, 60), "maroon")


def test_a_file_that_has_gone_is_said_to_have(client: httpx.Client, desk: RunningDesk) -> None:
    content = png((33, 44), "navy")
    (image,) = add(client, ("navy.png", content))["images"]
    (copy,) = (path for path in (desk.data / "library" / "originals").rglob("*.png") if path.read_bytes() == content)
    copy.write_bytes(b"#!/bin/sh")  # nor is anything else served in its place
    for _ in range(2):
        response = client.get(image["url"])
        assert (response.status_code, error_of(response)["code"]) == (404, "original_gone")
        assert "navy.png" in error_of(response)["message"]
        copy.unlink(missing_ok=True)
    client.delete(f"/library/images/{image['id']}")


# changing


def test_the_same_bytes_are_the_same_picture(client: httpx.Client, added: dict) -> None:
    again = add(client, ("another name.png", png((90, 60), "maroon")), ("red.png", png((91, 60), "red")))
    assert again["failures"] == []
    assert [image["id"] == added["id"] for image in again["images"]] == [True, False]
    client.request("DELETE", "/library/images", data={"ids": str(again["images"][1]["id"])})


def test_one_broken_file_stops_nothing(client: httpx.Client) -> None:
    files = [("good.png", png((50, 51), "teal")), ("bad.png", png()[:60]), ("../../etc/passwd", b"root:x:0:0"), ("bomb.png", bomb_png())]
    said = {}
    for language in ("en", "zh"):
        parts = parts_of(*(("images", *file) for file in files))
        answer = client.post("/library/images", files=parts, headers={"accept-language": language}).json()
        assert [image["image_name"] for image in answer["images"]] == ["good.png"]
        said[language] = {failure["image_name"]: failure for failure in answer["failures"]}
    assert {name: failure["code"] for name, failure in said["en"].items()} == {
        "bad.png": "picture_broken",
        "passwd": "file_unknown",
        "bomb.png": "picture_too_large",
    }
    assert all(CHINESE.search(failure["message"]) for failure in said["zh"].values())
    client.delete(f"/library/images/{answer['images'][0]['id']}")


def test_captions_go_with_their_pictures(client: httpx.Client) -> None:
    fields = [("captions", (None, "first")), ("captions", (None, "second\nzweite"))]
    parts = parts_of(("images", "1.png", png((10, 11), "gold")), ("images", "2.png", png((10, 12), "gold")))
    images = client.post("/library/images", files=[*parts, *fields]).json()["images"]
    assert [image["captions"] for image in images] == [["first"], ["second", "zweite"]]
    told = client.post(f"/library/images/{images[0]['id']}/captions", json={"captions": ["a zebra crossing", "斑马线"]}).json()
    assert told["captions"] == ["a zebra crossing", "斑马线"]
    found = client.get("/library/images", params={"caption": "斑马"}).json()["images"]
    assert [image["id"] for image in found] == [images[0]["id"]]
    assert client.post(f"/library/images/{images[0]['id']}/captions", data={"captions": " "}).json()["captions"] == []
    client.request("DELETE", "/library/images", json={"ids": [image["id"] for image in images]})


def test_what_was_taken_out_comes_back(client: httpx.Client, added: dict, sample: dict) -> None:
    ids, total = [added["id"], sample["id"]], client.get("/library/images").json()["total"]
    answers = []
    for how in ({"json": {"ids": ids}}, {"params": {"ids": f"{ids[0]}, {ids[1]}"}}, {"files": parts_of(ids=ids[0]) + parts_of(ids=ids[1])}):
        answer = client.request("DELETE", "/library/images", **how).json()
        assert answer.keys() == {"removed", "undo"}
        assert answer["removed"] == 2
        assert client.get("/library/images").json()["total"] == total - 2
        for address in (f"/library/images/{ids[0]}", added["url"], added["thumbnail"]):
            response = client.get(address)
            assert (response.status_code, error_of(response)["code"]) == (404, "picture_gone")
        answers.append(answer)
        back = client.post(f"/library/removals/{answer['undo']}/undo")
        assert back.json() == {"restored": 2, "ids": sorted(ids)}
        assert client.get("/library/images").json()["total"] == total
    again = client.post(f"/library/removals/{answers[0]['undo']}/undo")
    assert (again.status_code, error_of(again)["code"]) == (404, "removal_gone")
    assert client.delete(f"/library/images/{ids[0]}").json()["removed"] == 1


# what cannot be used

WRONG_SEARCHES = {
    "nothing": ({}, 400, "search_empty"),
    "spaces": ({"text": " \n "}, 400, "search_empty"),
    "only a minus": ({"text": "-cat"}, 400, "search_only_minus"),
    "too long": ({"text": "x" * 1001}, 400, "search_too_long"),
    "too many parts": ({"text": " + ".join("abcdefghijklmnopqrstu")}, 400, "search_terms"),
    "a filter too long": ({"text": "a", "caption": "x" * 1001}, 400, "search_too_long"),
    "none": ({"text": "a", "k": "0"}, 422, "bad_field"),
    "a million": ({"text": "a", "k": "1000000"}, 422, "bad_field"),
    "fewer than none": ({"text": "a", "k": "-5"}, 422, "bad_field"),
    "some": ({"text": "a", "k": "some"}, 422, "bad_field"),
    "half": ({"text": "a", "k": "2.5"}, 422, "bad_field"),
    "very many": ({"text": "a", "k": "9" * 5000}, 422, "bad_field"),
    "a threshold that is none": ({"text": "a", "threshold": "nan"}, 422, "bad_field"),
    "a threshold too high": ({"text": "a", "threshold": "1.5"}, 422, "bad_field"),
    "no date": ({"text": "a", "since": "yesterday"}, 400, "bad_date"),
    "the thirtieth of February": ({"text": "a", "until": "2024-02-30"}, 400, "bad_date"),
    "SQL as a date": ({"text": "a", "since": "2024'; DROP TABLE pictures"}, 400, "bad_date"),
    "a sort that is none": ({"text": "a", "sort": "id; --"}, 422, "bad_field"),
    "another model": ({"text": "a", "model_type": "big"}, 422, "bad_field"),
    "a second look without a model for it": ({"text": "a", "model_type": "cross"}, 503, "no_cross_model"),
    "a field that is none": ({"text": "a", "colour": "red"}, 422, "bad_field"),
    "a path": ({"text": "a", "image": "/etc/passwd"}, 422, "bad_field"),
}


@pytest.mark.parametrize("what", WRONG_SEARCHES)
def test_a_wrong_search_is_refused_in_one_sentence(client: httpx.Client, what: str) -> None:
    fields, status, code = WRONG_SEARCHES[what]
    for how in ({"data": fields} if fields else {"files": parts_of(text="")}, {"json": fields}):
        for language in ("en", "zh"):
            response = client.post("/text-to-image", headers={"accept-language": language}, **how)
            assert (response.status_code, error_of(response)["code"]) == (status, code)
            assert bool(CHINESE.search(error_of(response)["message"])) is (language == "zh")


def test_a_model_type_that_is_none_says_which_there_are(client: httpx.Client) -> None:
    assert error_of(client.post("/text-to-image", data={"text": "a", "model_type": "big"}))["message"].endswith(
        "it takes auto, clip, cross."
    )
    assert client.post("/text-to-image", data={"text": "a", "model_type": ""}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"a"', b"[" * 100_000, b'{"text": {"a": 1}}', b'{"text": "\\ud800"}', b"\xff\xfe"])
def test_json_that_is_none_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.post("/text-to-image", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert error_of(response)["code"] in ("bad_request", "bad_field")


def test_numbers_in_json_are_taken_as_they_are_written(client: httpx.Client) -> None:
    body = b'{"text": "a", "k": %s}'
    for number in (b"1e400", b"NaN", b"true", b"9" * 5000, b"[1, []]"):
        response = client.post("/text-to-image", content=body % number, headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)["code"]) == (422, "bad_field")
    assert client.post("/text-to-image", content=body % b"null", headers={"content-type": "application/json"}).status_code == 200
    response = client.post("/text-to-image", content=json.dumps({"text": "x" * 2_000_000}), headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["code"]) == (413, "too_large_request")


@pytest.mark.parametrize("route", ["/image-to-image", "/image-to-text"])
def test_a_wrong_picture_to_search_by_is_refused(client: httpx.Client, fetched: tuple[str, list[str]], route: str) -> None:
    address, asked = fetched
    wrong = [
        (parts_of(("image", "x.png", b"")), 422, "file_empty"),
        (parts_of(("image", "x.png", png()[:60])), 422, "picture_broken"),
        (parts_of(("image", "x.png", bomb_png())), 413, "picture_too_large"),
        (parts_of(("image", "x.wav", (ROOT / "assets" / "examples" / "word.wav").read_bytes())), 415, "file_wrong_kind"),
        (parts_of(k=3), 400, "search_empty"),
        (parts_of(id="0"), 404, "picture_gone"),
        (parts_of(id="-1"), 422, "bad_field"),
        (parts_of(id="one"), 422, "bad_field"),
        (parts_of(id=str(10**30)), 422, "bad_field"),
        (parts_of(id=str(2**63 - 1)), 404, "picture_gone"),
        *((parts_of(image=text), 422, "bad_field") for text in ("/etc/passwd", f"{address}/x.png", "file:///etc/passwd", str(ROOT))),
    ]
    for parts, status, code in wrong:
        response = client.post(route, files=parts)
        assert (response.status_code, error_of(response)["code"]) == (status, code), response.text
    response = client.post(route, json={"image": f"{address}/x.png"})
    assert (response.status_code, error_of(response)["code"]) == (422, "bad_field")
    assert asked == []


@pytest.mark.parametrize(
    "id", ["0", "-1", "x", "1.0", "999999999", str(2**63 - 1), str(2**63), "9" * 400, "%00", "1%20OR%201=1", "..%2f..", "¹"]
)
def test_an_id_that_is_none_is_not_found(client: httpx.Client, id: str) -> None:
    for method, address in (
        ("GET", f"/library/images/{id}"),
        ("DELETE", f"/library/images/{id}"),
        ("GET", f"/library/images/{id}/file"),
        ("GET", f"/library/images/{id}/thumbnail"),
        ("POST", f"/library/images/{id}/captions"),
        ("POST", f"/library/removals/{id}/undo"),
    ):
        response = client.request(method, address, json={"captions": "a"} if address.endswith("captions") else None)
        assert response.status_code == 404, (method, address, response.text)


WRONG_CHANGES = {
    "no file": ("POST", "/library/images", {"data": {"captions": "a"}}, "bad_field"),
    "an address": ("POST", "/library/images", {"data": {"images": "http://127.0.0.1/x.png"}}, "bad_field"),
    "captions without pictures": ("POST", "/library/images", {"json": {"captions": ["a", "b"]}}, "bad_field"),
    "a long caption": ("POST", "/library/images", {"files": parts_of(("images", "a.png", png()), captions="x" * 1001)}, "bad_field"),
    "no ids": ("DELETE", "/library/images", {}, "bad_field"),
    "ids that are none": ("DELETE", "/library/images", {"json": {"ids": [1, "x"]}}, "bad_field"),
    "huge ids": ("DELETE", "/library/images", {"params": {"ids": str(2**64)}}, "bad_field"),
    "unknown ids": ("DELETE", "/library/images", {"json": {"ids": [999_999_999]}}, "picture_gone"),
    "no page": ("GET", "/library/images", {"params": {"limit": "0"}}, "bad_field"),
    "a page too long": ("GET", "/library/images", {"params": {"limit": "1001"}}, "bad_field"),
    "an offset below nothing": ("GET", "/library/images", {"params": {"offset": "-1"}}, "bad_field"),
    "a sort that a list has not": ("GET", "/library/images", {"params": {"sort": "likeness"}}, "bad_field"),
    "a date that is none": ("GET", "/library/images", {"params": {"since": "0000-00"}}, "bad_date"),
    "a field that is none": ("GET", "/library/images", {"params": {"path": "/"}}, "bad_field"),
}


@pytest.mark.parametrize("what", WRONG_CHANGES)
def test_a_wrong_change_is_refused_and_changes_nothing(client: httpx.Client, what: str) -> None:
    method, path, how, code = WRONG_CHANGES[what]
    total = client.get("/library/images").json()["total"]
    response = client.request(method, path, **how)
    assert error_of(response)["code"] == code
    assert 400 <= response.status_code < 500
    assert client.get("/library/images").json()["total"] == total


def test_captions_that_fit_no_picture_are_refused(client: httpx.Client) -> None:
    parts = parts_of(("images", "1.png", png()), ("images", "2.png", png()), captions="only one")
    response = client.post("/library/images", files=parts)
    assert (response.status_code, error_of(response)["code"]) == (422, "bad_field")


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_method_is_refused_in_the_common_shape(client: httpx.Client, path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(ROUTES[path]):
        response = client.request(method, path)
        assert (response.status_code, error_of(response)["code"]) == (405, "wrong_method")
        assert response.headers["allow"] == ", ".join(ROUTES[path])


def test_nobody_is_told_where_a_file_lies(client: httpx.Client, desk: RunningDesk, added: dict) -> None:
    told = [client.get("/library/images", params={"limit": 1000}), client.get(f"/library/images/{added['id']}")]
    told.append(client.post("/text-to-image", json={"text": "a", "threshold": -1, "k": 1000}))
    for answer in told:
        assert answer.status_code == 200
        assert str(desk.data) not in answer.text
        assert "originals" not in answer.text


# what a running desk is not: closed, and shared


@pytest.mark.parametrize(("share_library", "code", "status"), [(False, "library_not_shared", 403), (True, "library_closed", 503)])
def test_others_see_the_library_only_where_it_is_shared(tmp_path: Path, share_library: bool, code: str, status: int) -> None:
    client = client_of(Desk(Settings(host="0.0.0.0", share_library=share_library, data_dir=tmp_path)))
    for path, methods in ROUTES.items():
        for method in methods:
            for language in ("en", "zh"):
                response = client.request(method, path, headers={"accept-language": language})
                assert (response.status_code, error_of(response)["code"]) == (status, code)


def test_others_cannot_try_out_which_folders_there_are(tmp_path: Path) -> None:
    desk = Desk(Settings(host="0.0.0.0", share_library=True, data_dir=tmp_path))
    desk.library.open(encoder=False, watch=False)
    client = client_of(desk)
    for response in (client.get("/library/images?folder=/home"), client.post("/text-to-image", json={"folder": "/home"})):
        assert (response.status_code, error_of(response)["code"]) == (422, "bad_field")
    assert client.get("/library/images").json() == {"images": [], "total": 0}
    desk.close()


def test_a_visitor_takes_back_only_what_a_visitor_took_out(tmp_path: Path) -> None:
    desk = Desk(Settings(host="0.0.0.0", share_library=True, data_dir=tmp_path))
    desk.library.open(encoder=False, watch=False)
    for colour in ("red", "blue"):
        Image.new("RGB", (9, 9), colour).save(tmp_path / f"{colour}.png")
    one, two = desk.library.take([(tmp_path / f"{colour}.png", f"{colour}.png") for colour in ("red", "blue")]).ids
    client, own = client_of(desk), desk.library.remove([one])
    refused = client.post(f"/library/removals/{own}/undo")
    assert (refused.status_code, error_of(refused)["code"]) == (404, "removal_gone")
    taken = client.delete(f"/library/images/{two}").json()["undo"]
    assert client.post(f"/library/removals/{taken}/undo").json()["ids"] == [two]
    desk.close()


def test_the_best_are_put_in_order_by_the_cross_attention_model(tmp_path: Path) -> None:
    desk = Desk(Settings(data_dir=tmp_path / "data", cross_model=str(write_tiny_blip(tmp_path / "blip"))))
    desk.library.open(wait=True, watch=False)
    for colour in ("red", "green", "blue", "white"):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{colour}.png")
    desk.library.take([(path, path.name) for path in tmp_path.glob("*.png")])
    client, fields = client_of(desk), {"text": "a red circle", "threshold": -1}
    plain, cross = (client.post("/text-to-image", json={**fields, "model_type": kind}).json()["results"] for kind in ("clip", "cross"))
    assert len(plain) == len(cross) == 4
    assert all(result.keys() == PICTURE_KEYS | {"score"} for result in plain)
    assert all(result.keys() == PICTURE_KEYS | {"score", "match"} for result in cross)
    matches = [result.pop("match") for result in cross]
    assert matches == sorted(matches, reverse=True)
    assert sorted(cross, key=lambda result: -result["score"]) == plain
    by_picture = client.post("/image-to-image", json={"id": plain[0]["id"], "model_type": "cross"})
    assert (by_picture.status_code, error_of(by_picture)["code"]) == (422, "bad_field")
    desk.close()


@pytest.mark.parametrize("share", [False, True])
def test_only_on_this_machine_one_is_told_where_an_encoder_was_looked_for(tmp_path: Path, share: bool) -> None:
    where = {"host": "0.0.0.0", "share_library": True} if share else {}
    desk = Desk(Settings(clip_model=str(tmp_path / "private" / "encoder-x"), data_dir=tmp_path, **where))
    desk.library.open(wait=True, watch=False)
    response = client_of(desk).post("/text-to-image", json={"text": "a cat"})
    assert "encoder-x" in error_of(response)["message"]
    assert ("private" in error_of(response)["message"]) is not share
    desk.close()


def test_the_library_opens_in_the_background(tmp_path: Path) -> None:
    response = client_of(Desk(Settings(data_dir=tmp_path))).get("/library/images")
    assert (response.status_code, error_of(response)["code"]) == (503, "library_closed")
