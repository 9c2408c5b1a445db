"""A conversation into the model's inputs: the checkpoint's own chat template, with each medium's features in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from transformers import Qwen2_5OmniProcessor

from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.encoder import Encoded, Encoder, Handles
from multimodal.media import Clip, Picture, Sound

PART_OF = {Picture: "image", Sound: "audio", Clip: "video"}


@dataclass(frozen=True)
class Prompt:
    """Token ids [1, tokens] and what the media of the prompt became, in order."""

    ids: torch.Tensor
    encoded: tuple[Encoded, ...]
    with_sound: bool

    @property
    def tokens(self) -> int:
        return self.ids.shape[1]


def plain(text: str) -> str:
    """`text` with nothing in it that the tokenizer would take for a mark of its own, such as the end of a turn."""
    return text.replace("<|", "<\u200b|")


def to_messages(conversation: Conversation) -> list[dict]:
    """The conversation in the form that chat templates take; media come before the words of their turn."""
    messages: list[dict] = []
    if conversation.system_prompt:
        messages.append({"role": "system", "content": [{"type": "text", "text": plain(conversation.system_prompt)}]})
    for turn in conversation.turns:
        messages.append({"role": "user", "content": _content(turn)})
        if turn.answer:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": plain(turn.answer)}]})
    return messages


def _content(turn: Turn) -> list[dict]:
    parts = [{"type": PART_OF[type(medium)]} for medium in turn.media]
    return [*parts, {"type": "text", "text": plain(turn.text)}] if turn.text else parts


def lay_out(conversation: Conversation, processor: Qwen2_5OmniProcessor, encoder: Encoder) -> Prompt:
    """The prompt for the next answer. Encodes what is not encoded yet."""
    media = [medium for turn in conversation.turns for medium in turn.media]
    with_sound = any(isinstance(medium, Clip) and medium.sound for medium in media)
    encoded = tuple(encoder.encode(medium, with_sound) for medium in media)
    text = processor.apply_chat_template(to_messages(conversation), add_generation_prompt=True, tokenize=False)
    # Marks are never merged with their neighbours, so the text between them can be turned into tokens by itself.
    pieces = re.split("|".join(re.escape(mark) for mark in _marks(processor)), text)
    ids = []
    for piece, medium in zip(pieces, (*encoded, None), strict=True):
        if piece:
            ids.append(processor.tokenizer(piece, return_tensors="pt")["input_ids"][0])
        if medium is not None:
            ids.append(medium.ids)
    return Prompt(torch.cat(ids).unsqueeze(0), encoded, with_sound)


def _marks(processor: Qwen2_5OmniProcessor) -> list[str]:
    """How the template writes a picture, a video and a sound."""
    seen = [f"{processor.vision_bos_token}{token}{processor.vision_eos_token}" for token in (processor.image_token, processor.video_token)]
    return [*seen, f"{processor.audio_bos_token}{processor.audio_token}{processor.audio_eos_token}"]


def model_inputs(prompt: Prompt, handles: Handles, device: str) -> dict[str, object]:
    """The keywords of Qwen2_5OmniForConditionalGeneration.generate, the raw media replaced by handles to their features.

    What only the thinker may see is marked so: with speech, the talker refuses pixel values that are given to both.
    """
    inputs: dict[str, object] = {
        "input_ids": prompt.ids,
        "attention_mask": torch.ones_like(prompt.ids),
        "use_audio_in_video": prompt.with_sound,
    }
    pictures = [e for e in prompt.encoded if e.seen is not None and e.seconds_per_grid is None]
    clips = [e for e in prompt.encoded if e.seconds_per_grid is not None]
    sounds = [e for e in prompt.encoded if e.heard is not None]
    if pictures:
        inputs["thinker_pixel_values"] = handles.hold("pictures", [e.seen for e in pictures])
        inputs["image_grid_thw"] = torch.cat([e.grid for e in pictures])
    if clips:
        inputs["thinker_pixel_values_videos"] = handles.hold("clips", [e.seen for e in clips])
        inputs["video_grid_thw"] = torch.cat([e.grid for e in clips])
        inputs["video_second_per_grid"] = torch.tensor([e.seconds_per_grid for e in clips])
    if sounds:
        inputs["input_features"] = handles.hold("sounds", [e.heard for e in sounds])
        frames = torch.tensor([e.frames for e in sounds])
        inputs["feature_attention_mask"] = (torch.arange(int(frames.max())) < frames[:, None]).long()
    return {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
