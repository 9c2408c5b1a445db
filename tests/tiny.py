"""Small Qwen2.5-Omni checkpoints of the real classes with random weights, one that can speak among them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

from multimodal.demo import blank

VOICES = ("Chelsie", "Ethan")


def write_tiny_omni(folder: Path, speaks: bool = True, seed: int = 0) -> Path:
    """A checkpoint in float32 with two voices. Its weights are spread wide, so that likeliest tokens are clear of the next."""
    processor = blank.make_processor()
    thinker = blank.make_config(processor.tokenizer).thinker_config.to_dict()
    thinker["text_config"] |= {
        "hidden_size": 96,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "rope_parameters": {"mrope_section": [4, 4, 4], "rope_type": "default", "rope_theta": 10_000.0},
    }
    thinker["text_config"].pop("layer_types")
    for tower, width in (("audio_config", "output_dim"), ("vision_config", "out_hidden_size")):
        thinker[tower][width] = 96
    config = Qwen2_5OmniConfig(
        thinker_config=thinker,
        talker_config={
            "embedding_size": 96,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "rope_parameters": {"mrope_section": [8, 8, 0], "rope_type": "default", "rope_theta": 10_000.0},
            "tts_text_start_token_id": 5,
            "tts_text_end_token_id": 6,
            "tts_text_pad_token_id": 7,
            **{
                name: thinker[name]
                for name in ("vision_start_token_id", "vision_end_token_id", "audio_start_token_id", "audio_end_token_id")
            },
            **{f"{kind}_token_index": thinker[f"{kind}_token_index"] for kind in ("audio", "image", "video")},
        },
        token2wav_config={
            "dit_config": {
                "hidden_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "head_dim": 32,
                "emb_dim": 32,
                "num_embeds": 8448,  # random weights say any code, special ones too
                "look_ahead_layers": [1],
                "look_backward_layers": [0],
                "enc_emb_dim": 16,
                "enc_dim": 16,
                "enc_channels": [32, 32, 32, 32, 96],
                "enc_attention_channels": 16,
                "enc_se_channels": 16,
            },
            "bigvgan_config": {"upsample_initial_channel": 64},
        },
        enable_audio_output=speaks,
    )
    torch.manual_seed(seed)
    model = Qwen2_5OmniForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.thinker.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.thinker.generation_config.eos_token_id = None  # answers run to their full length
    model.thinker.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if speaks:
        voices = {
            name: {"bos_token": 8 + place, "cond": torch.randn(1, 16), "ref_mel": torch.randn(1, 30, 80)}
            for place, name in enumerate(VOICES)
        }
        torch.save(voices, folder / "spk_dict.pt")
    return folder
