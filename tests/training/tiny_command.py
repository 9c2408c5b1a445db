"""`python -m multimodal` whose models from nothing are tiny; a dual encoder drops nothing out."""

from __future__ import annotations

import sys

from multimodal.__main__ import main
from multimodal.training import matcher, towers

towers.SIDE = 32
towers.VOCABULARY = 400
towers.SMALL_VISION = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}
towers.SMALL_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
matcher.SIDE, matcher.PATCH, matcher.VOCABULARY, matcher.LAYERS = 32, 8, 400, 1

if __name__ == "__main__":
    sys.exit(main())
