"""A conversation into a prompt: the checkpoint's own chat template, with each medium's features in its place."""

from __future__ import annotations

import re

import torch
from transformers import Qwen2_5OmniProcessor

from low_vram.request import Limits
from low_vram.stages import Prompt
from multimodal.chat.conversation import Conversation, Turn
from multimodal.chat.encoder import Encoded, Encoder
from multimodal.media import Clip, Picture, Sound

PART_OF = {Picture: "image", Sound: "audio", Clip: "video"}


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


def lay_out(
    conversation: Conversation, processor: Qwen2_5OmniProcessor, encoder: Encoder, limits: Limits
) -> tuple[Prompt, tuple[Encoded, ...]]:
    """The prompt for the next answer, and its media as they were encoded within `limits`, in order. Encodes what is not encoded yet."""
    media = [medium for turn in conversation.turns for medium in turn.media]
    with_sound = any(isinstance(medium, Clip) and medium.sound for medium in media)
    encoded = tuple(encoder.encode(medium, with_sound, limits) for medium in media)
    text = processor.apply_chat_template(to_messages(conversation), add_generation_prompt=True, tokenize=False)
    # Marks are never merged with their neighbours, so the text between them can be turned into tokens by itself.
    pieces = re.split("|".join(re.escape(mark) for mark in _marks(processor)), text)
    ids = []
    for piece, medium in zip(pieces, (*encoded, None), strict=True):
        if piece:
            ids.append(processor.tokenizer(piece, return_tensors="pt")["input_ids"][0])
        if medium is not None:
            ids.append(medium.ids)
    return _prompt(torch.cat(ids).unsqueeze(0), encoded, with_sound), encoded


def _prompt(ids: torch.Tensor, encoded: tuple[Encoded, ...], with_sound: bool) -> Prompt:
    pictures = [one for one in encoded if one.seen is not None and one.seconds_per_grid is None]
    clips = [one for one in encoded if one.seconds_per_grid is not None]
    sounds = [one for one in encoded if one.heard is not None]
    return Prompt(
        ids,
        pictures=tuple(one.seen for one in pictures),
        picture_grids=torch.cat([one.grid for one in pictures]) if pictures else None,
        clips=tuple(one.seen for one in clips),
        clip_grids=torch.cat([one.grid for one in clips]) if clips else None,
        clip_seconds=torch.tensor([one.seconds_per_grid for one in clips]) if clips else None,
        sounds=tuple(one.heard for one in sounds),
        mel=torch.tensor([one.frames for one in sounds]) if sounds else None,
        sound_in_clips=with_sound,
    )


def _marks(processor: Qwen2_5OmniProcessor) -> list[str]:
    """How the template writes a picture, a video and a sound."""
    seen = [f"{processor.vision_bos_token}{token}{processor.vision_eos_token}" for token in (processor.image_token, processor.video_token)]
    return [*seen, f"{processor.audio_bos_token}{processor.audio_token}{processor.audio_eos_token}"]
