"""A dual encoder trained from a data set, from the first epoch to a folder that CLIP_MODEL takes."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback, TrainingArguments
from transformers.integrations import is_tensorboard_available
from transformers.trainer_utils import SaveStrategy
from transformers.utils.logging import disable_progress_bar

from low_vram.device import choose_device, is_there
from low_vram.memory import ran_out
from multimodal.errors import UserError
from multimodal.training.captioned import CaptionedSet
from multimodal.training.checkpoints import FOLDER, begin, last_checkpoint
from multimodal.training.curves import write_curves
from multimodal.training.description import languages_of_captions
from multimodal.training.dual_encoder import DualEncoderTrainer
from multimodal.training.epochs import Epochs
from multimodal.training.examples import Collator
from multimodal.training.measuring import Measuring
from multimodal.training.towers import Towers, make_towers

log = logging.getLogger(__name__)

DECAY_PRETRAINED = 0.8  # of the learning rate from a layer to the one below, where one tower at least knows something already
ANYWHERE = ("device", "workers")  # options that may change where a training goes on
FEWEST = 2  # pictures that anything can be learned from by contrast
CURVES = "curves.png"


@dataclass(frozen=True)
class DualOptions:
    """How to train. `vision` and `text`: pretrained towers, a folder or a hub name; None begins from nothing.

    `batch_size`: pictures of a process at once, set against each other and against those of all other processes; `accumulate` as many of
    these before each step, which are set against each other as well; `piece`: captions and pictures computed at once (None: a whole batch).
    `lr`: the highest rate; `layer_decay` None: 1 from nothing, else DECAY_PRETRAINED. `warmup`: steps. `patience`: epochs without a better
    recall before the end; 0 never ends early. `precision`: 'auto', 'float32', 'bfloat16' or 'float16'.
    """

    epochs: int = 20
    batch_size: int = 64
    accumulate: int = 1
    piece: int | None = None
    lr: float = 1e-4
    layer_decay: float | None = None
    warmup: int = 100
    weight_decay: float = 0.05
    embed_dim: int = 512
    vision: str | None = None
    text: str | None = None
    augment: bool = True
    patience: int = 5
    device: str = "auto"
    precision: str = "auto"
    workers: int = 2
    seed: int = 0
    deepspeed: str | None = None


def train_dual(
    data: CaptionedSet, output: Path, options: DualOptions, resume: bool = False, callbacks: Sequence[TrainerCallback] = ()
) -> dict[str, float]:
    """Train on the data's 'train', choose the best epoch by its 'val' ('test' where there is none), and write what was learned to `output`.

    Returns the Recall@K of the best epoch. With `resume`, goes on from the last whole checkpoint below `output`. Raises UserError; what was
    saved stays.
    """
    device = choose_device(options.device)
    if not is_there(device):
        raise UserError("no_device", device=device)
    pictures, judged = data.of("train"), data.of("val") or data.of("test") or data.of("train")
    if len(pictures) < FEWEST:
        raise UserError("training_too_few", count=len(pictures), least=FEWEST)
    processes = PartialState(cpu=device == "cpu")
    with processes.main_process_first():
        begun_with = {name: value for name, value in asdict(options).items() if name not in ANYWHERE}
        last = begin(output, begun_with, resume) if processes.is_main_process else last_checkpoint(output)
    captions = [caption for picture in pictures for caption in picture.captions]
    languages = list(languages_of_captions(captions))
    towers = make_towers(options.vision, options.text, captions, options.embed_dim, options.seed, languages=languages)
    measuring = Measuring(judged, towers)
    if not measuring.pictures:
        raise UserError("training_no_pictures")
    disable_progress_bar()  # transformers': one for each file that is saved
    trainer = _make_trainer(towers, Epochs(pictures, towers.side, options.seed, options.augment), measuring, output, options, device)
    trainer.remove_callback(PrinterCallback)
    for callback in callbacks:
        trainer.add_callback(callback)
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        recall = measuring(trainer.model.eval())
        if trainer.is_world_process_zero():
            _write(trainer, towers, measuring, output)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise UserError("training_disk", path=str(output), reason=error.strerror or type(error).__name__) from error
        raise
    except (RuntimeError, MemoryError) as error:
        if ran_out(error):
            raise UserError("training_out_of_memory", batch=options.batch_size, piece=options.piece or options.batch_size) from error
        if "enforce fail" in str(error) and "inline_container" in str(error):  # torch's words for a disk that takes no more
            raise UserError("training_disk", path=str(output), reason=str(error).splitlines()[0][:200]) from error
        raise
    return recall


def _make_trainer(
    towers: Towers, examples: Epochs, measuring: Measuring, output: Path, options: DualOptions, device: str
) -> DualEncoderTrainer:
    precision = options.precision if options.precision != "auto" else _precision(device)
    batch = min(options.batch_size, len(examples))
    decay = options.layer_decay or (DECAY_PRETRAINED if options.vision or options.text else 1.0)
    arguments = TrainingArguments(
        output_dir=str(output / FOLDER),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=options.accumulate,
        learning_rate=options.lr,
        lr_scheduler_type="cosine",
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        bf16=precision == "bfloat16",
        fp16=precision == "float16",
        use_cpu=device == "cpu",
        remove_unused_columns=False,
        dataloader_num_workers=options.workers,
        dataloader_drop_last=True,
        logging_strategy="steps",
        logging_steps=10,
        logging_nan_inf_filter=False,
        eval_strategy="epoch",
        save_strategy=SaveStrategy.EPOCH,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_recall",
        greater_is_better=True,
        report_to="tensorboard" if is_tensorboard_available() else "none",
        disable_tqdm=True,
        deepspeed=options.deepspeed,
        seed=options.seed,
    )
    if device != "cpu":
        arguments._n_gpu = 1  # several cards are for several processes: one batch is not divided behind the loss's back
    return DualEncoderTrainer(
        towers.model,
        arguments,
        data_collator=Collator(towers.tokenizer, towers.image_processor, towers.longest),
        train_dataset=examples,
        eval_dataset=measuring.pictures,
        piece=options.piece,
        layer_decay=decay,
        measure=measuring,
        callbacks=[EarlyStoppingCallback(options.patience)] if options.patience else [],
    )


def _write(trainer: DualEncoderTrainer, towers: Towers, measuring: Measuring, output: Path) -> None:
    """What CLIP_MODEL takes, with the cosines from which on something matches; and the curves."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    for name, cosine in measuring.calibrate(model).items():
        setattr(model.config, name, round(cosine, 4))
    towers.tokenizer.save_pretrained(output)
    towers.image_processor.save_pretrained(output)
    model.save_pretrained(output)
    write_curves(trainer.state.log_history, output / CURVES)


def _precision(device: str) -> str:
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
