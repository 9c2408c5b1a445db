"""What a plan says before anything is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from low_vram.__main__ import main
from low_vram.arrangement import DEVICE, EMBEDDINGS, HOST, LAYERS, MOVED, PARTS, SOUND, TALKER, VISION, BadMap, read_map
from low_vram.budget import Machine
from low_vram.footprint import Footprint, UnknownModel, check_config, measure, read_config
from low_vram.ladder import LADDER, rungs
from low_vram.plan import RESERVE, Plan, make_plan
from low_vram.reasons import SAME, SENTENCES
from low_vram.request import Limits, Request, fitted, weigh

GIB = 2**30
HOST_BYTES = 32 * GIB
VIDEO = Request(video=60, speech=True)


@pytest.fixture(scope="module")
def models() -> dict[str, Footprint]:
    return {name: measure(read_config(name)) for name in ("3b", "7b")}


def plan(footprint: Footprint, budget: float | None, request: Request = VIDEO, host: float = 32, **wishes) -> Plan:
    return make_plan(footprint, Machine(None if budget is None else int(budget * GIB), int(host * GIB)), request, **wishes)


@pytest.mark.parametrize(("name", "gigabytes"), [("3b", 11.97), ("7b", 22.36)])
def test_the_published_models_have_the_bytes_of_their_files(models, name, gigabytes):
    assert set(models[name].parts) == set(PARTS)
    assert models[name].total / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_the_footprint_is_that_of_the_loaded_model(arranged, footprint):
    stages = arranged("cpu")
    for part in PARTS:
        module = stages.model.get_submodule(part)
        size = sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
        if part == LAYERS:
            size -= footprint.part_bytes(EMBEDDINGS)
        assert footprint.part_bytes(part) == size, part


@pytest.mark.parametrize("seconds", [15, 30, 60])
def test_7b_answers_a_video_in_8_gib_and_says_it_aloud(models, seconds):
    found = plan(models["7b"], 8, Request(video=seconds, speech=True))
    assert found.fits
    assert found.device_peak + RESERVE <= 8 * GIB


def test_3b_answers_a_video_in_6_gib_and_says_it_aloud(models):
    assert plan(models["3b"], 6).fits


@pytest.mark.parametrize(
    "request_", [Request(pictures=((3000, 4000),)), Request(pictures=((3000, 4000),) * 4), Request(audio=600)], ids=["one", "four", "sound"]
)
@pytest.mark.parametrize(("name", "budget"), [("7b", 8), ("3b", 6)])
def test_pictures_and_long_sounds_fit_too(models, name, budget, request_):
    assert plan(models[name], budget, request_).fits


def test_3b_fits_into_6_gib_of_host_memory_without_a_card(models):
    found = plan(models["3b"], None, Request(pictures=((3000, 4000),), speech=True), host=6)
    assert found.fits
    assert found.prediction.host <= 6 * GIB
    assert found.arrangement.precisions[LAYERS] == "nf4"
    assert set(found.arrangement.places.values()) == {DEVICE}  # nothing to move between


@pytest.mark.parametrize("name", ["3b", "7b"])
@pytest.mark.parametrize("request_", [Request(), VIDEO, Request(audio=600), Request(pictures=((3000, 4000),) * 4, speech=True)])
def test_more_memory_never_gives_up_more(models, name, request_):
    wanted = weigh(request_, Limits(10**9, 10**5, 10**9, 10**4, 10**5, 32_768, 82))
    before = None
    for budget in (4, 5, 6, 8, 10, 12, 16, 24, 32, 48):
        found = plan(models[name], budget, request_)
        if not found.fits:
            assert before is None  # once it fits, it fits in more
            continue
        bits = {"nf4": 4, "int8": 8, "stored": 16}[found.arrangement.precisions[LAYERS]]
        assert before is None or bits >= before, budget
        before = bits
        assert found.prediction.device + RESERVE <= budget * GIB
        assert found.load.prompt <= wanted.prompt
    assert before == 16
    assert found.taken == ()


def test_every_step_of_a_plan_is_needed(models):
    found = plan(models["7b"], 8)
    assert found.taken
    steps = {step.code: step for step in LADDER}
    for code in found.taken:
        assert steps[code]
        assert any(reason.code == code for reason in found.reasons) or code in ("pieces",), code


def test_a_budget_that_nothing_fits_says_what_would(models):
    found = plan(models["7b"], 2)
    assert not found.fits
    sentence = found.reasons[0].say()
    assert "2.00 GiB" in sentence
    needed = found.prediction.device + RESERVE
    assert plan(models["7b"], needed / GIB + 0.01).fits
    assert f"{needed / GIB:.2f} GiB" in sentence
    assert found.reasons[0].say("zh") != sentence


def test_too_little_host_memory_is_not_overlooked(models):
    assert not plan(models["7b"], 8, host=4).fits


def test_what_a_person_places_stays_there(models):
    found = plan(models["7b"], 8, places=read_map("thinker.visual=host, talker=moved"))
    assert found.arrangement.places[VISION] == HOST
    assert found.arrangement.places[TALKER] == MOVED
    assert any("DEVICE_MAP" in reason.say() and VISION in reason.say() for reason in found.reasons)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", {}),
        ("token2wav=host", {SOUND: HOST}),
        ("thinker.model=cuda:0,thinker.visual=cpu", {LAYERS: DEVICE, VISION: MOVED}),
        (" talker = 0 ,\n", {TALKER: DEVICE}),
    ],
)
def test_maps_are_read_in_old_names_and_in_new_ones(text, places):
    assert read_map(text) == places


@pytest.mark.parametrize("text", ["talker", "tower=host", "talker=elsewhere"])
def test_a_map_that_cannot_be_used_is_a_sentence(text):
    with pytest.raises(BadMap) as error:
        read_map(text)
    assert str(error.value).endswith(".")


def test_another_model_in_the_process_is_in_the_sum(models):
    assert plan(models["3b"], 6, other=GIB).prediction.host - plan(models["3b"], 6).prediction.host == GIB


def test_every_reason_has_words_in_both_languages():
    for step in LADDER:
        assert SAME.get(step.code, step.code) in SENTENCES
    for english, chinese in SENTENCES.values():
        assert english.isascii()
        assert english.endswith(".")
        assert not chinese.isascii()


def test_reasons_can_all_be_said(models):
    for name in ("3b", "7b"):
        for budget in (None, 1, 3, 4, 5, 6, 8, 12, 24, 48):
            for request_ in (Request(), VIDEO, Request(audio=5000, pictures=((9000, 9000),))):
                for reason in plan(models[name], budget, request_, host=7, other=GIB, places={TALKER: HOST}).reasons:
                    assert "{" not in reason.say("en") + reason.say("zh")


@pytest.mark.parametrize(("size", "limits"), [((3000, 4000), (1_003_520, 1024)), ((50, 9000), (700_000, 800)), ((20, 20), (700_000, 800))])
def test_a_picture_is_brought_under_both_limits(size, limits):
    height, width = fitted(*size, *limits)
    assert height % 28 == width % 28 == 0
    assert min(height, width) >= 28
    assert height * width <= limits[0] * 1.05
    assert max(height, width) <= limits[1] + 28


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"model_type": "llava"},
        {"model_type": "qwen2_5_omni"},
        {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": {"hidden_size": 5}}},
    ],
)
def test_an_unknown_or_partial_configuration_is_a_sentence(content):
    with pytest.raises(UnknownModel) as error:
        check_config(content, "it")
    assert "it" in str(error.value)
    assert str(error.value).endswith(".")


def test_the_ladder_is_one_table():
    assert len({step.code for step in LADDER}) == len(LADDER)
    assert {step.code for step in rungs(True)} | {step.code for step in rungs(False)} == {step.code for step in LADDER}


def test_the_command_prints_json(capsys):
    assert main(["plan", "--model", "7b", "--budget", "8GiB", "--host", "32GiB", "--video", "60", "--speech", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits"] is True
    assert 4 * GIB < found["device_peak_bytes"] <= 8 * GIB
    assert found["host_peak_bytes"] > 0
    assert {"name", "bytes", "placement", "precision"} == set(found["parts"][0])
    assert found["kv_cache_bytes"] > 0
    assert found["activation_bytes"] > 0
    assert found["limits"]["pixels"] == 1_003_520
    assert found["reasons"]


def test_the_command_prints_a_table_in_a_process_of_its_own():
    command = [sys.executable, "-m", "low_vram", "plan", "--model", "3b", "--budget", "6GiB", "--image", "3000x4000", "--image", "20x20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "thinker.model.visual" in done.stdout
    assert done.stdout.rstrip().endswith("fits")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--model", "7b", "--budget", "1GiB"], 1),
        (["--model", "9b"], 2),
        (["--model", "3b", "--budget", "some"], 2),
        (["--model", "3b", "--map", "a=b"], 2),
    ],
)
def test_the_commands_exit_status_says_how_it_went(arguments, status, capsys):
    assert main(["plan", *arguments]) == status
    printed = capsys.readouterr()
    assert printed.out or printed.err.count("\n") == 1


@pytest.mark.parametrize("argument", ["--image=3000", "--image=0x5", "--video=-1", "--audio=x", "--answer=0"])
def test_a_request_that_cannot_be_is_refused(argument, capsys):
    with pytest.raises(SystemExit):
        main(["plan", "--model", "3b", argument])
    assert "error" in capsys.readouterr().err
