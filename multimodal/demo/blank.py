"""The demo model before training: a small Qwen2.5-Omni of the real classes, its byte-level tokenizer and its processor."""

from __future__ import annotations

import itertools
import json
from random import Random

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5OmniConfig,
    Qwen2_5OmniForConditionalGeneration,
    Qwen2_5OmniProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

from multimodal.demo import lessons, words, world

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|vision_bos|>",
    "<|vision_eos|>",
    "<|vision_pad|>",
    "<|IMAGE|>",
    "<|VIDEO|>",
)
VOCABULARY = 1024
FRAMES_PER_SECOND = 2.0
# Pictures are brought to about 112 x 140 pixels: 16 to 25 tokens.
PIXELS = {"shortest_edge": 112 * 112, "longest_edge": 140 * 140}
FRAME_PIXELS = {"shortest_edge": 112 * 112, "longest_edge": 112 * 112}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{% elif part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part['type'] == 'video' %}<|vision_bos|><|VIDEO|><|vision_eos|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def corpus() -> list[str]:
    """Every wording and answer of the toy world: what the tokenizer's merges are learned from."""
    texts: list[str] = []
    for forms in (*words.QUESTIONS.values(), *({k: (v,) for k, v in forms.items()} for forms in words.ANSWERS.values())):
        for language, wordings in forms.items():
            names = itertools.product(words.SHAPE_NAMES[language].values(), words.COLOUR_NAMES[language].values())
            texts += [wording.format(shape=shape, colour=colour) for shape, colour in names for wording in wordings]
    for language, shape, colour, count in itertools.product(lessons.LANGUAGES, world.SHAPES, world.COLOURS, range(1, 5)):
        texts += [words.sentence(words.thing_name(language, shape, colour, count), language)] * 2
    texts += [text for forms in words.DIRECTION_NAMES.values() for text in forms.values()] * 8
    texts += [f"{name} beeps. {name}声。" for names in words.NUMBER_NAMES.values() for name in names.values()] * 4
    random = Random(0)
    texts += [lessons.outside_sentence(random, language) for language in lessons.LANGUAGES for _ in range(600)]
    return texts + ["system user assistant You are a helpful assistant."] * 20


def make_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE of 1,024 entries at most; any text can be written with it."""
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=6
    )
    learned.train_from_iterator(corpus(), trainer)
    model = json.loads(learned.to_str())["model"]
    named = {
        "image_token": "<|IMAGE|>",
        "audio_token": "<|AUDIO|>",
        "video_token": "<|VIDEO|>",
        "vision_bos_token": "<|vision_bos|>",
        "vision_eos_token": "<|vision_eos|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
    }
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=named,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS)}, replace_extra_special_tokens=False)
    return tokenizer


def make_processor() -> Qwen2_5OmniProcessor:
    """The real processor class, with the demo's own sizes."""
    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(size=PIXELS),
        video_processor=Qwen2VLVideoProcessor(size=FRAME_PIXELS, cap_pixels_per_frame=False),
        feature_extractor=WhisperFeatureExtractor(feature_size=128, sampling_rate=16_000, chunk_length=30, return_attention_mask=True),
        tokenizer=make_tokenizer(),
        chat_template=CHAT_TEMPLATE,
    )


def make_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5OmniConfig:
    """About four million parameters; no talker."""
    token = dict(zip(SPECIAL_TOKENS, tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)), strict=True))
    hidden = 192
    return Qwen2_5OmniConfig(
        enable_audio_output=False,
        thinker_config={
            "audio_config": {
                "d_model": 128,
                "encoder_attention_heads": 4,
                "encoder_ffn_dim": 448,
                "encoder_layers": 4,
                "max_source_positions": 1500,
                "n_window": 100,
                "num_mel_bins": 128,
                "output_dim": hidden,
            },
            "vision_config": {
                "depth": 4,
                "embed_dim": 128,
                "fullatt_block_indexes": [1, 3],
                "hidden_size": 128,
                "intermediate_size": 320,
                "num_heads": 4,
                "out_hidden_size": hidden,
                "patch_size": 14,
                "window_size": 112,
            },
            "text_config": {
                "hidden_size": hidden,
                "intermediate_size": 512,
                "max_position_embeddings": 4096,
                "num_attention_heads": 4,
                "num_hidden_layers": 4,
                "num_key_value_heads": 2,
                # a small base: pictures are five tokens wide, and the width turns slowest
                "rope_parameters": {"mrope_section": [8, 8, 8], "rope_type": "default", "rope_theta": 10.0},
                "vocab_size": -(-len(tokenizer) // 64) * 64,
                "tie_word_embeddings": False,
            },
            "audio_token_id": token["<|AUDIO|>"],
            "image_token_id": token["<|IMAGE|>"],
            "video_token_id": token["<|VIDEO|>"],
            "audio_start_token_id": token["<|audio_bos|>"],
            "audio_end_token_id": token["<|audio_eos|>"],
            "vision_start_token_id": token["<|vision_bos|>"],
            "vision_end_token_id": token["<|vision_eos|>"],
            "pad_token_id": token["<|endoftext|>"],
            "bos_token_id": token["<|im_start|>"],
            "eos_token_id": token["<|im_end|>"],
            "user_token_id": tokenizer.convert_tokens_to_ids("user"),
        },
    )


def make_model(tokenizer: Qwen2Tokenizer, seed: int = 0) -> Qwen2_5OmniForConditionalGeneration:
    """Random weights in float32 on the CPU."""
    torch.manual_seed(seed)
    model = Qwen2_5OmniForConditionalGeneration(make_config(tokenizer))
    for part in (model, model.thinker):
        part.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
        part.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids("<|endoftext|>")
        part.generation_config.do_sample = False
    return model
