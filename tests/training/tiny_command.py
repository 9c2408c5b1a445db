"""`python -m multimodal` whose models from nothing are tiny; a dual encoder drops nothing out."""

from __future__ import annotations

import sys

from multimodal.__main__ import main
from multimodal.training import matcher, towers
from tests.training.minute import WITHOUT_CHANCE

towers.SIZES["small"] = WITHOUT_CHANCE
matcher.SIDE, matcher.PATCH, matcher.VOCABULARY, matcher.LAYERS = 32, 8, 400, 1

if __name__ == "__main__":
    sys.exit(main())
