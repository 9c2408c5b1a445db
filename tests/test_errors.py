"""Every error is one sentence in two languages, and every place that raises one gives it what it needs."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from multimodal.errors import KINDS, SENTENCES, UserError, length_text, size_text

SOURCE = Path(__file__).parent.parent / "multimodal"
CHINESE = re.compile("[\u4e00-\u9fff]")

# The codes behind an expression, where it is not a plain string.
CODES_OF = {
    "f'{kind}_too_long'": ["sound_too_long", "video_too_long"],
    "signature or 'file_unknown'": ["file_unknown", "file_svg", "file_heic", "file_playlist"],
    "reason": ["loading", "busy"],
    "f'{part}_not_found'": ["encoder_not_found", "cross_not_found"],
    "f'{part}_not_fetched'": ["encoder_not_fetched", "cross_not_fetched"],
    "f'{part}_broken'": ["encoder_broken", "cross_broken"],
    "failure.code": [],  # one that was raised before, out of the store
}


def slots(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_whole_in_both_languages(code: str) -> None:
    status, english, chinese = SENTENCES[code]
    assert 400 <= status <= 599
    assert slots(english) == slots(chinese)
    assert "" not in slots(english)
    assert CHINESE.search(chinese)
    assert not CHINESE.search(english)
    assert english.endswith(".")
    assert chinese.endswith("。")
    assert re.fullmatch("[a-z_]+", code)


@pytest.mark.parametrize("code", [code for code in SENTENCES if code not in ("model_not_omni",)])
def test_a_sentence_says_what_to_do(code: str) -> None:
    _, english, chinese = SENTENCES[code]
    assert ": " in english
    assert "：" in chinese


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("fact", ["x", "{y}", "100 %", "", "图片"])
def test_facts_are_said_as_they_are(code: str, fact: str) -> None:
    error = UserError(code, **dict.fromkeys(slots(SENTENCES[code][1]), fact))
    assert error.status == SENTENCES[code][0]
    assert str(error) == error.say("en")
    for language in ("en", "zh"):
        assert error.say(language).count(fact) >= len(slots(SENTENCES[code][1]))
    assert error.say("zh") != error.say("en")


def test_a_fact_may_be_a_pair() -> None:
    error = UserError("bad_field", field="voice", value="x", wanted=("a name", "一个名字"))
    assert error.say("en").endswith("it takes a name.")
    assert error.say("zh").endswith("应为 一个名字。")


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_files_are_translated(kind: str) -> None:
    error = UserError("file_wrong_kind", name=kind, found=kind, wanted="sound")
    assert error.say("en") == f"{kind} is {KINDS[kind][0]}, not a sound: put it in the right place."
    assert error.say("zh") == f"{kind} 是{KINDS[kind][1]}，不是声音：请放到正确的位置。"


def test_an_error_without_its_facts_is_our_own_fault() -> None:
    with pytest.raises(KeyError):
        UserError("file_empty")
    with pytest.raises(KeyError):
        UserError("no_such_code")


def raised() -> list[tuple[str, str, ast.Call]]:
    """(where, code, call) of every UserError that the source makes."""
    found = []
    for path in (SOURCE.parent / "app.py", *sorted(SOURCE.rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "UserError":
                where = f"{path.relative_to(SOURCE.parent).as_posix()}:{node.lineno}"
                found += [(where, code, node) for code in codes(node.args[0], where)]
    return found


def codes(code: ast.expr, where: str) -> list[str]:
    if isinstance(code, ast.Constant):
        return [code.value]
    if isinstance(code, ast.IfExp):
        return [*codes(code.body, where), *codes(code.orelse, where)]
    assert ast.unparse(code) in CODES_OF, f"{where}: list the codes of {ast.unparse(code)}"
    return CODES_OF[ast.unparse(code)]


@pytest.mark.parametrize(("where", "code", "call"), [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in raised()])
def test_an_error_is_raised_with_what_its_sentence_needs(where: str, code: str, call: ast.Call) -> None:
    assert code in SENTENCES, where
    assert len(call.args) == 1, where
    assert {keyword.arg for keyword in call.keywords} == slots(SENTENCES[code][1]), where


def test_every_sentence_is_said_somewhere() -> None:
    noted = {"file_name_unreadable"}  # in retrieval/scan.py: it stops nothing, so it is not raised
    assert set(SENTENCES) == {code for _, code, _ in raised()} | noted


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (12_345, "12.3 KB"),
        (123_456, "123 KB"),
        (999_949, "1.0 MB"),
        (1_000_000, "1.0 MB"),
        (200_000_000, "200 MB"),
        (999_999_999, "1.0 GB"),
        (10_000_000_000, "10.0 GB"),
        (5_000_000_000_000, "5000 GB"),
    ],
)
def test_sizes_read_as_people_write_them(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (7, "0:07"),
        (59.6, "1:00"),
        (600, "10:00"),
        (3599.4, "59:59"),
        (3599.7, "1:00:00"),
        (3723, "1:02:03"),
        (36_000, "10:00:00"),
    ],
)
def test_lengths_read_as_people_write_them(seconds: float, text: str) -> None:
    assert length_text(seconds) == text
