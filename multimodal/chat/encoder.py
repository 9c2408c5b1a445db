"""Media into token features, each once: what was encoded is kept between turns, media and features together up to a bound in bytes.

Each medium goes through the processor and its tower by itself. That is exact (pictures, frames and sounds do not see each other in the
towers), needs the memory of one medium at a time, and lets later turns reuse it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import Qwen2_5OmniProcessor

from low_vram.request import Limits
from low_vram.stages import Stages
from multimodal.chat.reduce import bring_under
from multimodal.media import Clip, Medium, Picture, Sound
from multimodal.media.kinds import SOUND_RATE

KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Encoded:
    """One medium as the language model sees it.

    `ids` [tokens]: its place in the prompt, start and end marks included. `seen` and `heard` [tokens, hidden]: the features of its
    picture or frames, and of its sound. `grid` [1, 3] counts patches (time, height, width); `frames` counts mel frames of the sound.
    `reduced` says from what to what it was made smaller for the memory that there is.
    """

    ids: torch.Tensor
    seen: torch.Tensor | None = None
    grid: torch.Tensor | None = None
    seconds_per_grid: float | None = None
    heard: torch.Tensor | None = None
    frames: int = 0
    reduced: tuple[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes of the features."""
        return sum(part.numel() * part.element_size() for part in (self.seen, self.heard) if part is not None)


class Encoder:
    """Turns media into Encoded with a model's towers."""

    def __init__(self, stages: Stages, processor: Qwen2_5OmniProcessor):
        self.stages, self.processor = stages, processor
        # keyed by identity; the medium is kept beside its features, so that its identity stays its own
        self._kept: OrderedDict[tuple[int, bool, Limits], tuple[Medium, Encoded]] = OrderedDict()

    def encode(self, medium: Medium, with_sound: bool, limits: Limits) -> Encoded:
        """`with_sound`: the conversation has a clip with sound, so every clip's sound (or silence) is woven between its frames."""
        key = (id(medium), with_sound and isinstance(medium, Clip), limits)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        fitting, reduced = bring_under(medium, limits)
        with torch.inference_mode():
            encoded = replace(self._encode(fitting, with_sound), reduced=reduced)
        self._kept[key] = (medium, encoded)
        while len(self._kept) > 1 and sum(kept.size + encoded.size for kept, encoded in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return encoded

    def _encode(self, medium: Medium, with_sound: bool) -> Encoded:
        if isinstance(medium, Picture):
            inputs = self._process(
                self.processor.image_token, self.processor.vision_bos_token, self.processor.vision_eos_token, images=[medium.image]
            )
            return Encoded(inputs["input_ids"][0], **self._look(inputs, "pixel_values", "image_grid_thw"))
        if isinstance(medium, Sound):
            inputs = self._process(
                self.processor.audio_token, self.processor.audio_bos_token, self.processor.audio_eos_token, audio=[medium.samples]
            )
            return Encoded(inputs["input_ids"][0], **self._listen(inputs))
        return self._encode_clip(medium, with_sound)

    def _encode_clip(self, clip: Clip, with_sound: bool) -> Encoded:
        sound = {}
        if with_sound:
            silence = np.zeros(max(1, round(len(clip.frames) / clip.rate)) * SOUND_RATE, np.float32)
            sound = {
                "audio": [clip.sound.samples if clip.sound else silence],
                "load_audio_from_video": True,
                "audio_from_video_indices": [0],
            }
        inputs = self._process(
            self.processor.video_token,
            self.processor.vision_bos_token,
            self.processor.vision_eos_token,
            videos=[list(clip.frames)],
            videos_kwargs={"fps": clip.rate, "do_sample_frames": False, "size": self._frame_size()},
            **sound,
        )
        return Encoded(
            inputs["input_ids"][0],
            seconds_per_grid=float(inputs["video_second_per_grid"][0]),
            **self._look(inputs, "pixel_values_videos", "video_grid_thw"),
            **(self._listen(inputs) if with_sound else {}),
        )

    def _frame_size(self) -> dict[str, int]:
        """The checkpoint's own bounds of a frame: the processor class has others of its own, which it would put before them."""
        size = self.processor.video_processor.size
        return {"shortest_edge": size["shortest_edge"], "longest_edge": size["longest_edge"]}

    def _process(self, token: str, start: str, end: str, **media: object) -> dict[str, torch.Tensor]:
        # truncation: sounds longer than the extractor's chunk would be cut without a word
        return self.processor(text=[f"{start}{token}{end}"], audio_kwargs={"truncation": False}, return_tensors="pt", **media)

    def _look(self, inputs: dict[str, torch.Tensor], pixels: str, grid: str) -> dict[str, torch.Tensor]:
        return {"seen": self.stages.look(inputs[pixels], inputs[grid]), "grid": inputs[grid]}

    def _listen(self, inputs: dict[str, torch.Tensor]) -> dict[str, object]:
        frames = int(inputs["feature_attention_mask"].sum())
        return {"heard": self.stages.listen(inputs["input_features"][0, :, :frames]), "frames": frames}
