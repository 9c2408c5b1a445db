"""The stages of an answer on a loaded model: look, listen, think, talk, sound. Each has its parts at work, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import Qwen2_5OmniForConditionalGeneration

from low_vram import towers
from low_vram.arrangement import AUDIO, HOST, LAYERS, SOUND, TALKER, THINKING, VISION, Arrangement
from low_vram.cache import make_cache
from low_vram.features import Features
from low_vram.ladder import Step, next_live
from low_vram.memory import release
from low_vram.parts import Parts
from low_vram.speech import Said, keep_mask, make_codes, make_sound, slim
from low_vram.text_model import Heard, LeanForward


@dataclass(frozen=True)
class Prompt:
    """What the thinker is asked. `ids` [1, tokens]. Features [tokens, hidden] of media in host memory, in the order of the prompt, with
    what their places are computed from: `grids` [n, 3] count patches, `clip_seconds` [n] are a pair of frames', `mel` [n] frames of sounds.
    """

    ids: torch.Tensor
    pictures: tuple[torch.Tensor, ...] = ()
    picture_grids: torch.Tensor | None = None
    clips: tuple[torch.Tensor, ...] = ()
    clip_grids: torch.Tensor | None = None
    clip_seconds: torch.Tensor | None = None
    sounds: tuple[torch.Tensor, ...] = ()
    mel: torch.Tensor | None = None
    sound_in_clips: bool = False

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return self.ids.shape[1]


class Stages:
    """A model as it is arranged. Knows one answer at a time: the caller holds the lock."""

    def __init__(self, model: Qwen2_5OmniForConditionalGeneration, device: str, arrangement: Arrangement):
        self.model, self.device, self.arrangement = model, device, arrangement
        self.parts = Parts(model, device, arrangement.places)
        self.features = Features(model.thinker)
        self.thinker = LeanForward(model.thinker.model.language_model, arrangement.chunk)
        self.talker = LeanForward(model.talker.model, arrangement.chunk) if model.has_talker else None
        if model.has_talker:
            keep_mask(model.talker)
            slim(model.token2wav)

    def arrange(self, arrangement: Arrangement) -> None:
        """Change what can be changed while the model is loaded."""
        self.arrangement = arrangement
        self.parts.settle(arrangement.places)
        for lean in filter(None, (self.thinker, self.talker)):
            lean.chunk = arrangement.chunk

    def give_up(self) -> Step | None:
        """Take the next step down the ladder, and say which; None at its end."""
        found = next_live(self.arrangement, self.device == "cpu")
        if found is None:
            return None
        step, arrangement = found
        self.arrange(arrangement)
        return step

    def look(self, pixels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Features [tokens, hidden] of `pixels` [patches, values] on the host, for `grid` [images, 3]."""
        with self.parts.at_work(VISION) as device:
            return towers.look(self.model.thinker.model.visual, pixels, grid, device, self.arrangement.patches)

    def listen(self, mel: torch.Tensor) -> torch.Tensor:
        """Features [tokens, hidden] of `mel` [bins, frames] on the host."""
        with self.parts.at_work(AUDIO) as device:
            return towers.listen(self.model.thinker.model.audio_tower, mel, device, self.arrangement.windows)

    def think(
        self, prompt: Prompt, said: list[int], say: Callable[[int], None], most: int, heard: bool = False, least: int = 0, **how: object
    ) -> Said:
        """Continue the answer to `prompt` after the tokens `said`, to which each new one is added, and `say` is told of it.

        `most` and `least` count the tokens of the whole answer. `how` goes to `generate` (sampling, stopping). With `heard`, what the
        talker is to hear is kept.
        """
        before = len(said)
        # memory can run out after the last token: it is then computed once more, for what the talker hears of it, and not said again
        last = said.pop() if said and (len(said) >= most or said[-1] in self._ends()) else None
        asked = torch.cat([prompt.ids, prompt.ids.new_tensor([said])], dim=1) if said else prompt.ids

        class Streamer:
            """Passes on each token, not the prompt that `generate` begins with."""

            begun = False

            def put(self, tokens: torch.Tensor) -> None:
                if self.begun:
                    said.append(int(tokens[0]) if last is None else last)
                    if last is None:
                        say(said[-1])
                self.begun = True

            def end(self) -> None:
                pass

        self.thinker.heard = Heard(_is_media(asked[0], self.model.config.thinker_config)) if heard else None
        try:
            with self.parts.at_work(*THINKING):
                device = self.parts[LAYERS].computes_on
                cache = make_cache(self.model.thinker.model.language_model.config, self.arrangement.cache == HOST and device != "cpu")
                self.model.thinker.generate(
                    input_ids=asked,
                    attention_mask=torch.ones_like(asked),
                    past_key_values=cache,
                    streamer=Streamer(),
                    max_new_tokens=most - len(said) if last is None else 1,
                    min_new_tokens=max(0, least - len(said)) or None,
                    **self._media(prompt),
                    **how,
                )
            return Said(prompt.ids, prompt.ids.new_tensor([said]), self.thinker.heard.sums if heard else None)
        finally:
            if len(said) < before:
                said.append(last)
            self.thinker.heard = None
            self.features.drop()
            release(self.device)

    def _ends(self) -> list[int]:
        """The tokens that end an answer."""
        ends = self.model.thinker.generation_config.eos_token_id
        return [] if ends is None else ends if isinstance(ends, list) else [ends]

    def talk(self, prompt: Prompt, said: Said, voice: dict, most: int) -> torch.Tensor:
        """Codes [1, codes] on the host of what was said, in `voice`."""
        positions = {key: value for key, value in self._media(prompt).items() if key not in RAW}
        if prompt.mel is not None:
            positions["audio_feature_lengths"] = prompt.mel
        positions.pop("feature_attention_mask", None)
        with self.parts.at_work(TALKER) as device:
            return make_codes(self.model, said, voice, most, device, positions).cpu()

    def sound(self, codes: torch.Tensor, voice: dict) -> torch.Tensor:
        """Samples [n] of `codes` [1, codes] on the host."""
        with self.parts.at_work(SOUND) as device:
            return make_sound(self.model, codes, voice, device)

    def _media(self, prompt: Prompt) -> dict[str, object]:
        """The keywords of `generate` for the media: handles to the features in place of raw inputs."""
        given: dict[str, object] = {"use_audio_in_video": prompt.sound_in_clips}
        if prompt.pictures:
            given["pixel_values"] = self.features.hold("pictures", list(prompt.pictures))
            given["image_grid_thw"] = prompt.picture_grids
        if prompt.clips:
            given["pixel_values_videos"] = self.features.hold("clips", list(prompt.clips))
            given["video_grid_thw"] = prompt.clip_grids
            given["video_second_per_grid"] = prompt.clip_seconds
        if prompt.sounds:
            given["input_features"] = self.features.hold("sounds", list(prompt.sounds))
            given["feature_attention_mask"] = (torch.arange(int(prompt.mel.max())) < prompt.mel[:, None]).long()
        return given


RAW = ("pixel_values", "pixel_values_videos", "input_features")


def _is_media(ids: torch.Tensor, config: object) -> torch.Tensor:
    """Which of `ids` [tokens] stand for media."""
    return torch.isin(ids.cpu(), torch.tensor([config.image_token_id, config.video_token_id, config.audio_token_id]))
