"""Features of media that were encoded before, handed to `generate` in place of pixels and mel frames."""

from __future__ import annotations

import torch
from transformers import Qwen2_5OmniThinkerForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling


class Features:
    """Lets `generate` take what was encoded before: it is given numbers where it expects pixels and mel frames, and the thinker looks the
    features up by them.

    transformers has `mm_encoder_outputs` for pictures and videos, but not for sounds, and speech reads the raw inputs' names.
    """

    def __init__(self, thinker: Qwen2_5OmniThinkerForConditionalGeneration):
        self._held: dict[str, list[torch.Tensor]] = {}
        thinker.model.get_image_features = self._pictures
        thinker.model.get_video_features = self._clips
        thinker.model.get_audio_features = self._sounds

    def hold(self, kind: str, features: list[torch.Tensor]) -> torch.Tensor:
        """Keep `features` ('pictures', 'clips' or 'sounds') for the coming answer; the result stands in for the raw input."""
        self._held[kind] = features
        return torch.arange(len(features))

    def drop(self) -> None:
        """Forget what is held."""
        self._held.clear()

    # `generate` chooses what to hand over by the names of these parameters.
    def _pictures(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor | None = None, **_: object) -> BaseModelOutputWithPooling:
        return self._given("pictures", pixel_values)

    def _clips(
        self, pixel_values_videos: torch.Tensor, video_grid_thw: torch.Tensor | None = None, **_: object
    ) -> BaseModelOutputWithPooling:
        return self._given("clips", pixel_values_videos)

    def _sounds(
        self,
        input_features: torch.Tensor,
        feature_attention_mask: torch.Tensor | None = None,
        audio_feature_lengths: torch.Tensor | None = None,
        **_: object,
    ) -> BaseModelOutputWithPooling:
        return self._given("sounds", input_features)

    def _given(self, kind: str, numbers: torch.Tensor) -> BaseModelOutputWithPooling:
        chosen = [self._held[kind][number] for number in numbers.tolist()]
        return BaseModelOutputWithPooling(last_hidden_state=torch.cat(chosen), pooler_output=tuple(chosen))
