"""How to train, whatever is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass

ANYWHERE = ("device", "workers")  # options that may change where a training goes on


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """`batch_size`: pictures of a process at once; `accumulate` as many of these before each step. `lr`: the highest rate. `warmup`: steps.
    `patience`: epochs that are no better before the end; 0 never ends early. `precision`: 'auto', 'float32', 'bfloat16' or 'float16'.
    `deepspeed`: the path of its configuration.
    """

    epochs: int
    batch_size: int
    lr: float
    warmup: int
    embed_dim: int
    accumulate: int = 1
    weight_decay: float = 0.05
    augment: bool = True
    patience: int = 5
    device: str = "auto"
    precision: str = "auto"
    workers: int = 2
    seed: int = 0
    deepspeed: str | None = None

    def begun_with(self) -> dict[str, object]:
        """Those that what was learned depends on."""
        return {name: value for name, value in asdict(self).items() if name not in ANYWHERE}
