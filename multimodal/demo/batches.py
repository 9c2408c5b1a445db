"""Lessons into tensors, laid out exactly as the processor lays out a conversation."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniProcessor

from multimodal.demo.blank import FRAME_PIXELS, FRAMES_PER_SECOND
from multimodal.demo.eye import motion_cells, scene_cells
from multimodal.demo.lessons import Exchange, Film, Lesson, Painting, Recording
from multimodal.demo.tutor import Tutor
from multimodal.demo.words import ANSWERS

# First the vision tower looks by itself; then comes the wide course; the rest is the seeing course.
LOOKING_STEPS = 1800
WIDE_STEPS = 2250
SECONDS_PER_GRID = 2 / FRAMES_PER_SECOND  # two frames make one step of the vision tower
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer briefly.",
    "你是一个有用的助手。",
    "Answer in one sentence.",
)


def audio_tokens(frames: int) -> int:
    """How many tokens the audio tower makes of so many mel frames (two halvings)."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


class Lessons(Dataset):
    """Batch `step` of the course; the same for the same seed, whatever came before."""

    def __init__(self, tutor: Tutor, processor: Qwen2_5OmniProcessor, seed: int, batch: int, steps: int):
        self.tutor, self.processor, self.seed, self.batch, self.steps = tutor, processor, seed, batch, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        torch.set_num_threads(1)
        random = Random(f"lessons-{self.seed}-{step}")
        if step < LOOKING_STEPS:
            pictures = [exchange.media[0] for _ in range(self.batch) for exchange in self.tutor.picture(random, 1, 0.0)]
            films = [self.tutor.film(random, 1, FRAMES_PER_SECOND)[0].media[0] for _ in range(self.batch // 6)]
            return look(pictures, films, self.processor)
        course = "wide" if step < LOOKING_STEPS + WIDE_STEPS else "seeing"
        lessons = [self.tutor.lesson(random, FRAMES_PER_SECOND, course) for _ in range(self.batch)]
        # One batch has one way of laying out videos: with their sound woven in, or without.
        with_sound = random.random() < 0.75
        if not with_sound:
            lessons = [replace(lesson, exchanges=tuple(map(unheard, lesson.exchanges))) for lesson in lessons]
        systems = [random.choice(SYSTEM_PROMPTS) if random.random() < 0.15 else "" for _ in lessons]
        return collate(lessons, systems, self.processor, with_sound)


def unheard(exchange: Exchange) -> Exchange:
    """The exchange as it must be where a video's sound is left out."""
    return replace(exchange, answer=ANSWERS["no sound"][exchange.language]) if exchange.kind == "video said" else exchange


def collate(lessons: list[Lesson], systems: list[str], processor: Qwen2_5OmniProcessor, with_sound: bool) -> dict[str, torch.Tensor]:
    """input_ids, labels, parts [batch, tokens], and the media of the whole batch.

    Only answers are learned (elsewhere a label is -100). A token's part is 0, or the number of the question it belongs to in a lesson whose
    questions are asked apart.
    """
    pictures: list[Painting] = []
    films: list[Film] = []
    sounds: list[Recording] = []
    rows = []
    for lesson, system in zip(lessons, systems, strict=True):
        row: list[tuple[str, bool, int]] = []
        if system:
            row.append((f"<|im_start|>system\n{system}<|im_end|>\n", False, 0))
        for number, exchange in enumerate(lesson.exchanges, 1):
            part = number if lesson.apart else 0
            if part < 2:
                row.append(("<|im_start|>user\n", False, 0))
            for order, medium in enumerate(exchange.media):
                where = 0 if number == 1 and order == 0 else part
                if isinstance(medium, Film):
                    films.append(medium)
                    row.append(("film", False, where))
                    if with_sound:
                        sounds.append(medium.sound)
                elif isinstance(medium, Recording):
                    sounds.append(medium)
                    row.append((f"<|audio_bos|>{'<|AUDIO|>' * audio_tokens(medium.features.shape[1])}<|audio_eos|>", False, where))
                else:
                    pictures.append(medium)
                    row.append(("picture", False, where))
            row.append((f"{exchange.question}<|im_end|>\n<|im_start|>assistant\n", False, part))
            row.append((f"{exchange.answer}<|im_end|>", True, part))
            row.append(("\n", False, part))
        rows.append(row)

    batch = look(pictures, films, processor)
    picture_texts = iter(
        [f"<|vision_bos|>{'<|IMAGE|>' * (int(grid.prod()) // 4)}<|vision_eos|>" for grid in batch.get("image_grid_thw", ())]
    )
    film_texts = iter(
        [
            f"<|vision_bos|>{_film_text(film, grid, processor, with_sound)}<|vision_eos|>"
            for film, grid in zip(films, batch.get("video_grid_thw", ()), strict=True)
        ]
    )
    if sounds:
        longest = max(sound.features.shape[1] for sound in sounds)
        features = np.zeros((len(sounds), 128, longest), np.float32)
        mask = np.zeros((len(sounds), longest), np.int64)
        for place, sound in enumerate(sounds):
            features[place, :, : sound.features.shape[1]] = sound.features
            mask[place, : sound.features.shape[1]] = 1
        batch["input_features"], batch["feature_attention_mask"] = torch.from_numpy(features), torch.from_numpy(mask)

    ids, labels, parts = [], [], []
    for row in rows:
        row_ids, row_labels, row_parts = [], [], []
        for text, learned, part in row:
            text = next(picture_texts) if text == "picture" else next(film_texts) if text == "film" else text
            piece = processor.tokenizer(text).input_ids
            row_ids += piece
            row_labels += piece if learned else [-100] * len(piece)
            row_parts += [part] * len(piece)
        ids.append(torch.tensor(row_ids))
        labels.append(torch.tensor(row_labels))
        parts.append(torch.tensor(row_parts))
    pad = torch.nn.utils.rnn.pad_sequence
    batch["input_ids"] = pad(ids, batch_first=True, padding_value=processor.tokenizer.pad_token_id)
    batch["labels"] = pad(labels, batch_first=True, padding_value=-100)
    batch["parts"] = pad(parts, batch_first=True)
    batch["attention_mask"] = pad([torch.ones_like(row) for row in ids], batch_first=True)
    batch["use_audio_in_video"] = torch.tensor(with_sound and bool(films))
    return batch


def look(pictures: list[Painting], films: list[Film], processor: Qwen2_5OmniProcessor) -> dict[str, torch.Tensor]:
    """Pixels and grids of pictures and films as the processor makes them, and what each of their tokens shows."""
    batch: dict[str, torch.Tensor] = {}
    if pictures:
        seen = processor.image_processor([painting.image for painting in pictures], return_tensors="pt")
        batch["pixel_values"], batch["image_grid_thw"] = seen["pixel_values"], seen["image_grid_thw"]
        grids = [(grid // 2).tolist() for grid in seen["image_grid_thw"]]
        batch["image_things"] = torch.cat([scene_cells(p.scene, g[1], g[2]) for p, g in zip(pictures, grids, strict=True)])
    if films:
        frames = [list(film.frames) for film in films]
        seen = processor.video_processor(frames, size=FRAME_PIXELS, do_sample_frames=False, return_tensors="pt")
        batch["pixel_values_videos"], batch["video_grid_thw"] = seen["pixel_values_videos"], seen["video_grid_thw"]
        batch["video_second_per_grid"] = torch.full((len(films),), SECONDS_PER_GRID)
        cells = [motion_cells(film, *grid.tolist()) for film, grid in zip(films, seen["video_grid_thw"], strict=True)]
        batch["video_things"] = torch.cat([things for things, _ in cells])
        batch["video_moves"] = torch.cat([moves for _, moves in cells])
    return batch


def _film_text(film: Film, grid: torch.Tensor, processor: Qwen2_5OmniProcessor, with_sound: bool) -> str:
    if not with_sound:
        return "<|VIDEO|>" * (int(grid.prod()) // 4)
    sound = {"num_audio_tokens": [audio_tokens(film.sound.features.shape[1])]}
    video = {"video_grid_thw": [grid], "video_second_per_grid": [SECONDS_PER_GRID]}
    return processor.replace_video_with_audio_token(video, 0, sound, 0, position_id_per_seconds=25, seconds_per_chunk=2.0)


def place(model: Qwen2_5OmniForConditionalGeneration, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Three-dimensional position ids [3, batch, tokens] from the model's own rule; questions asked apart all begin at the same place."""
    lengths = batch["feature_attention_mask"].sum(-1) if "feature_attention_mask" in batch else None
    positions, _ = model.thinker.model.get_rope_index(
        batch["input_ids"],
        image_grid_thw=batch.get("image_grid_thw"),
        video_grid_thw=batch.get("video_grid_thw"),
        attention_mask=batch["attention_mask"],
        use_audio_in_video=bool(batch["use_audio_in_video"]),
        audio_seqlens=lengths,
        second_per_grids=batch.get("video_second_per_grid"),
    )
    for row, parts in enumerate(batch["parts"]):
        starts = [int((parts == part).nonzero()[0]) for part in range(1, int(parts.max()) + 1)]
        for part, start in enumerate(starts[1:], 2):
            positions[:, row, parts == part] -= positions[0, row, start] - positions[0, row, starts[0]]
    return positions


def sight(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Which token attends to which [batch, 1, tokens, tokens]: to those before it that are shared or of its own part."""
    parts = batch["parts"]
    earlier = torch.ones(parts.shape[1], parts.shape[1], dtype=torch.bool, device=parts.device).tril()
    return (earlier & ((parts[:, None, :] == 0) | (parts[:, None, :] == parts[:, :, None])))[:, None]
