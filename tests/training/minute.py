"""The size of towers that learn in a second."""

from __future__ import annotations

from dataclasses import replace

from multimodal.training.towers import Size

MINUTE = Size(
    side=32,
    vocabulary=400,
    longest=64,
    vision={"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    text={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
)
WITHOUT_CHANCE = replace(MINUTE, text={**MINUTE.text, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
