"""Training of the demo model: reproducible by seed, resumable after any stop."""

from __future__ import annotations

import math
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Subset
from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniProcessor

from multimodal.demo import blank
from multimodal.demo.batches import Lessons, place, sight
from multimodal.demo.eye import Eye
from multimodal.demo.recordings import make_recordings, with_features
from multimodal.demo.tutor import Tutor

PEAK_RATE = 1e-3
WARM_UP = 200
SAVE_EVERY = 250  # steps
EYE_WEIGHT = 0.3


def rate(step: int, steps: int) -> float:
    """Learning rate: a linear rise, then half a cosine."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP))))


def loss_of(model: Qwen2_5OmniForConditionalGeneration, eye: Eye, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy over the answers, computed only where there is something to learn, and what the eye makes of the pictures.

    A batch without text is for the eye alone.
    """
    seen, eye_loss = {}, torch.zeros(())
    if "pixel_values" in batch:
        seen["image"] = model.thinker.get_image_features(batch["pixel_values"], batch["image_grid_thw"], return_dict=True)
        eye_loss = eye_loss + eye.loss(torch.cat(seen["image"].pooler_output), batch["image_things"])
    if "pixel_values_videos" in batch:
        seen["video"] = model.thinker.get_video_features(batch["pixel_values_videos"], batch["video_grid_thw"], return_dict=True)
        eye_loss = eye_loss + eye.loss(torch.cat(seen["video"].pooler_output), batch["video_things"], batch["video_moves"])
    if "labels" not in batch:
        return eye_loss
    labels = batch["labels"][:, 1:]
    learned = labels != -100
    left_out = (
        "labels",
        "parts",
        "attention_mask",
        "use_audio_in_video",
        "pixel_values",
        "pixel_values_videos",
        "image_things",
        "video_things",
        "video_moves",
    )
    inputs = {key: value for key, value in batch.items() if key not in left_out}
    hidden = model.thinker.model(
        **inputs, attention_mask=sight(batch), mm_encoder_outputs=seen, position_ids=place(model, batch), use_cache=False
    ).last_hidden_state
    logits = model.thinker.lm_head(hidden[:, :-1][learned])
    return torch.nn.functional.cross_entropy(logits.float(), labels[learned]) + EYE_WEIGHT * eye_loss


def train(folder: Path, steps: int, batch: int = 16, seed: int = 0, device: str = "cpu") -> None:
    """Train for `steps` steps in all and keep the state in `folder`; an interrupted run goes on where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    processor = blank.make_processor()
    pool_file = folder / "recordings.pt"
    if not pool_file.exists():
        print("Making the recordings ...", flush=True)
        torch.save(with_features(make_recordings(f"train-{seed}"), processor.feature_extractor), pool_file)
    pool = torch.load(pool_file, weights_only=False)
    model = blank.make_model(processor.tokenizer, seed).to(device).train()
    eye = Eye(model.config.thinker_config.vision_config.out_hidden_size).to(device)
    parameters = [*model.thinker.parameters(), *eye.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.02)
    state_file, first = folder / "state.pt", 0
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        eye.load_state_dict(state["eye"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
        print(f"Going on at step {first}", flush=True)
    course = Lessons(Tutor(pool), processor, seed, batch, steps)
    loader = DataLoader(Subset(course, range(first, steps)), batch_size=None, num_workers=1, prefetch_factor=4)
    began, total, mean = time.monotonic(), 0, 0.0
    for step, tensors in enumerate(loader, first):
        tensors = {key: value.to(device) for key, value in tensors.items()}
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        with torch.autocast(device.split(":")[0], torch.bfloat16):
            loss = loss_of(model, eye, tensors)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total, mean = total + 1, mean + loss.item()
        if (step + 1) % 50 == 0:
            left = (time.monotonic() - began) / (step + 1 - first) * (steps - step - 1)
            print(f"step {step + 1:5d} of {steps}  loss {mean / total:.4f}  {left / 60:.0f} min left", flush=True)
            total, mean = 0, 0.0
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            partial = folder / "state.partial"
            torch.save(
                {"model": model.state_dict(), "eye": eye.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, partial
            )
            partial.replace(state_file)


def export(folder: Path, output: Path) -> None:
    """Write the trained model and its processor to `output` as a checkpoint that from_pretrained reads: float16 safetensors."""
    processor: Qwen2_5OmniProcessor = blank.make_processor()
    model = blank.make_model(processor.tokenizer)
    model.load_state_dict(torch.load(folder / "state.pt", weights_only=True, map_location="cpu")["model"])
    model.half().save_pretrained(output)
    processor.save_pretrained(output)
