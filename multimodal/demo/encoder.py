"""The bundled demo encoder: a small dual encoder that learns scenes of the toy world and what is said of them in both languages."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch
from transformers import (
    BertConfig,
    ConvNextConfig,
    PreTrainedTokenizerFast,
    TrainingArguments,
    VisionTextDualEncoderModel,
    ViTImageProcessor,
)
from transformers.trainer_utils import get_last_checkpoint

from multimodal.demo import world
from multimodal.demo.captions import corpus
from multimodal.demo.claims import draw_part_claim, whole
from multimodal.demo.lessons import LANGUAGES
from multimodal.demo.recall import calibrate
from multimodal.demo.scenery import Scenes, judge
from multimodal.retrieval.encoder import load_encoder
from multimodal.training import tokenizer
from multimodal.training.dual_encoder import DualEncoderTrainer, make_dual_encoder
from multimodal.training.examples import Collator

SIDE = 64  # pixels; any picture is brought to a square of this side
LONGEST = 32  # tokens
VOCABULARY = 704
DIMENSION = 128
THRESHOLD = 0.3  # the cosine from which words and a picture are to match
PEAK_RATE = 1.5e-3
STEPS = 5000
SAVE_EVERY = 250  # steps


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Made from what is said of some thousands of scenes, in both languages."""
    random = Random("corpus")
    scenes = [world.draw_scene(random) for _ in range(4000)]
    claims = [claim for scene in scenes for claim in (whole(scene), draw_part_claim(random, scene))]
    return tokenizer.make_tokenizer(corpus(random, claims), VOCABULARY, LONGEST)


def make_image_processor() -> ViTImageProcessor:
    """The whole picture on a square, whatever its sides."""
    return ViTImageProcessor(size={"height": SIDE, "width": SIDE})


def make_model(seed: int = 0) -> VisionTextDualEncoderModel:
    """About one million parameters, random, float32."""
    torch.manual_seed(seed)
    widths = [24, 48, 120, 144]
    vision = ConvNextConfig(
        hidden_sizes=widths,
        depths=[1, 1, 3, 1],
        image_size=SIDE,
        layer_scale_init_value=0.5,
        initializer_range=0.05,
        hidden_size=widths[-1],  # ConvNext has no such setting; the dual encoder asks for it
    )
    text = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LONGEST,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        initializer_range=0.05,
    )
    return make_dual_encoder(vision, text, DIMENSION, languages=list(LANGUAGES))


def train(folder: Path, steps: int = STEPS, batch: int = 64, seed: int = 0, device: str = "cpu") -> None:
    """Train for `steps` steps in all and keep the state in `folder`; an interrupted run goes on where it stopped."""
    collator = Collator(make_tokenizer(), make_image_processor(), LONGEST, judge)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=PEAK_RATE,
        lr_scheduler_type="cosine",
        warmup_steps=min(200, steps // 10),
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        bf16=True,
        use_cpu=device == "cpu",
        train_sampling_strategy="sequential",  # a changed scene meets the one that it was made from
        remove_unused_columns=False,
        dataloader_num_workers=1,
        dataloader_prefetch_factor=4,
        logging_steps=50,
        save_steps=SAVE_EVERY,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    model = make_model(seed)
    model.vision_model.to(memory_format=torch.channels_last)  # a third faster on a CPU
    trainer = DualEncoderTrainer(
        model,
        arguments,
        data_collator=collator,
        train_dataset=Scenes(seed, steps * batch),
        threshold=THRESHOLD,
    )
    last = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=last)


def export(folder: Path, output: Path) -> None:
    """Write the trained model to `output` as a checkpoint that from_pretrained reads: float16 safetensors, with its calibrated cosines.

    Raises FileNotFoundError where `folder` holds no trained state.
    """
    last = get_last_checkpoint(str(folder))
    if last is None:
        raise FileNotFoundError(f"{folder} holds no trained state")
    model = VisionTextDualEncoderModel.from_pretrained(last).half()
    make_tokenizer().save_pretrained(output)
    make_image_processor().save_pretrained(output)
    model.save_pretrained(output)
    for name, cosine in calibrate(load_encoder(output)).items():
        setattr(model.config, name, round(cosine, 4))
    model.config.save_pretrained(output)
