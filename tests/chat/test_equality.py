"""The desk's greedy answers are those of plain transformers on the same inputs, token for token."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniProcessor

from low_vram.speech import keep_mask
from multimodal.chat import omni
from multimodal.chat.conversation import Conversation, Speech, Turn
from multimodal.chat.events import Done
from multimodal.chat.load import load
from multimodal.chat.omni import Omni
from multimodal.chat.options import Options
from multimodal.chat.prompt import to_messages
from multimodal.media import Clip, Picture, Sound
from tests.chat.conftest import clip, picture, sound

TOKENS = 24
DEMO = Path(__file__).parent.parent.parent / "assets" / "demo"


def plain_inputs(conversation: Conversation, processor: Qwen2_5OmniProcessor) -> dict:
    """What a person who follows transformers' documentation would pass to `generate`."""
    media = [medium for turn in conversation.turns for medium in turn.media]
    clips = [medium for medium in media if isinstance(medium, Clip)]
    heard = any(film.sound for film in clips)
    audio, sources = [], []
    for medium in media:
        if isinstance(medium, Sound):
            audio.append(medium.samples)
            sources.append(None)
        elif isinstance(medium, Clip) and heard:
            audio.append(medium.sound.samples)
            sources.append(clips.index(medium))
    keywords = {}
    if clips:
        keywords["videos"] = [list(film.frames) for film in clips]
        keywords["videos_kwargs"] = {"fps": clips[0].rate, "do_sample_frames": False, "size": dict(processor.video_processor.size)}
    if heard:
        keywords |= {"load_audio_from_video": True, "audio_from_video_indices": sources}
    text = processor.apply_chat_template(to_messages(conversation), add_generation_prompt=True, tokenize=False)
    inputs = processor(
        text=[text],
        images=[medium.image for medium in media if isinstance(medium, Picture)] or None,
        audio=audio or None,
        audio_kwargs={"truncation": False},
        return_tensors="pt",
        **keywords,
    )
    return {**inputs, "use_audio_in_video": heard}


def desk_tokens(model: Omni, conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """Prompt and answer, as the desk's own call of `generate` returns them."""
    returned = []
    generate = model.model.thinker.generate
    monkeypatch.setattr(model.model.thinker, "generate", lambda **inputs: returned.append(generate(**inputs)))
    *_, done = model.answer(conversation, Options(max_new_tokens=TOKENS), threading.Event())
    monkeypatch.undo()
    assert isinstance(done, Done)
    return returned[0]


def ask(*media: object, text: str = "What is this?") -> Conversation:
    return Conversation((Turn(text, media),))


CONVERSATIONS = {
    "text": ask(),
    "chinese": ask(text="这是什么？ 漢字 🙂"),
    "picture": ask(picture()),
    "two pictures": ask(picture(1), picture(2)),
    "sound": ask(sound()),
    "two sounds": ask(sound(0.6), sound(4.1, 2)),
    "sound alone": ask(sound(), text=""),
    "silent clip": ask(clip(heard=False)),
    "clip with sound": ask(clip()),
    "clip with longer sound": ask(Clip("clip", clip().frames, 2.0, sound(7.3))),
    "mix": ask(picture(), sound(), clip(), picture(3)),
    "turns": Conversation(
        (Turn("Look.", (picture(),), "A star."), Turn("Listen.", (sound(),), "A word."), Turn("And now?", (picture(2), clip(seed=2)))),
        "Be brief.",
    ),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("checkpoint", ["tiny", "demo"])
def test_tokens_are_those_of_plain_transformers(name, checkpoint, tiny_folder, monkeypatch):
    folder = tiny_folder if checkpoint == "tiny" else DEMO
    conversation = CONVERSATIONS[name]
    processor = Qwen2_5OmniProcessor.from_pretrained(folder)
    load_class = super(Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniForConditionalGeneration)
    plain = load_class.from_pretrained(folder, dtype=torch.float32).thinker.eval()
    expected = plain.generate(**plain_inputs(conversation, processor), max_new_tokens=TOKENS, do_sample=False)

    found = desk_tokens(load(str(folder), "cpu"), conversation, monkeypatch)

    assert found.tolist() == expected.tolist()


def test_earlier_turns_do_not_change_what_a_later_one_sees(model, monkeypatch):
    """With the features of earlier turns kept, the tokens are those of a model that sees everything for the first time."""
    conversation = CONVERSATIONS["turns"]
    fresh = desk_tokens(model, conversation, monkeypatch)
    for count in (1, 2):
        desk_tokens(model, Conversation(conversation.turns[:count], conversation.system_prompt), monkeypatch)
    assert desk_tokens(model, conversation, monkeypatch).tolist() == fresh.tolist()


@pytest.mark.parametrize("name", ["text", "picture", "sound", "clip with sound", "mix"])
def test_speech_is_that_of_plain_transformers(name, tiny_folder, model, monkeypatch):
    monkeypatch.setattr(omni, "MOST_CODES", 40)
    conversation = Conversation(CONVERSATIONS[name].turns, "Speak.")
    inputs = plain_inputs(conversation, model.processor)
    for key in ("pixel_values", "pixel_values_videos"):  # what stock generate would hand to the talker, which refuses it
        if key in inputs:
            inputs[f"thinker_{key}"] = inputs.pop(key)
    plain = Qwen2_5OmniForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    keep_mask(plain.talker)
    torch.manual_seed(5)
    _, expected = plain.generate(
        **inputs, speaker="Ethan", thinker_max_new_tokens=TOKENS, thinker_do_sample=False, talker_max_new_tokens=40
    )

    torch.manual_seed(5)
    events = list(model.answer(conversation, Options(max_new_tokens=TOKENS, voice="Ethan"), threading.Event()))

    (speech,) = [event for event in events if isinstance(event, Speech)]
    assert speech.rate == 24_000
    assert speech.samples.dtype == np.float32
    assert len(speech.samples) > 0
    np.testing.assert_allclose(speech.samples, expected.float().numpy(), rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
