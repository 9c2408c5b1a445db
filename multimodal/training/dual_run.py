"""A dual encoder trained from a data set, from the first epoch to a folder that CLIP_MODEL takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from transformers.utils.logging import disable_progress_bar

from low_vram.device import choose_device, is_there
from multimodal.errors import UserError
from multimodal.training.arguments import make_arguments
from multimodal.training.captioned import CaptionedSet
from multimodal.training.checkpoints import begin, last_checkpoint
from multimodal.training.curves import CURVES, write_curves
from multimodal.training.description import languages_of_captions
from multimodal.training.dual_encoder import DualEncoderTrainer
from multimodal.training.epochs import Epochs
from multimodal.training.examples import Collator
from multimodal.training.failures import as_sentences
from multimodal.training.measuring import Measuring
from multimodal.training.run_options import RunOptions
from multimodal.training.towers import Towers, make_towers

DECAY_PRETRAINED = 0.8  # of the learning rate from a layer to the one below, where one tower at least knows something already
FEWEST = 2  # pictures that anything can be learned from by contrast


@dataclass(frozen=True, kw_only=True)
class DualOptions(RunOptions):
    """How to train. `vision` and `text`: pretrained towers, a folder or a hub name; None begins from nothing. `embed_dim`: of the vectors.

    The pictures of a batch are set against each other, against those of all other processes, and of all batches that are accumulated;
    `piece`: captions and pictures computed at once (None: a whole batch). `layer_decay` None: 1 from nothing, else DECAY_PRETRAINED.
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-4
    warmup: int = 100
    embed_dim: int = 512
    piece: int | None = None
    layer_decay: float | None = None
    vision: str | None = None
    text: str | None = None
    size: str = "small"


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
    captions = [caption for picture in pictures for caption in picture.captions]
    languages = list(languages_of_captions(captions))
    towers = make_towers(options.vision, options.text, captions, options.embed_dim, options.seed, options.size, languages=languages)
    measuring = Measuring(judged, towers)
    if not measuring.pictures:
        raise UserError("training_no_pictures")
    processes = PartialState(cpu=device == "cpu")
    with processes.main_process_first():  # only now: what cannot be begun leaves nothing there
        last = begin(output, options.begun_with(), resume) if processes.is_main_process else last_checkpoint(output)
    disable_progress_bar()  # transformers': one for each file that is saved
    trainer = _make_trainer(towers, Epochs(pictures, towers.side, options.seed, options.augment), measuring, output, options, device)
    trainer.remove_callback(PrinterCallback)
    for callback in callbacks:
        trainer.add_callback(callback)
    out_of_memory = UserError("training_out_of_memory", batch=options.batch_size, piece=options.piece or options.batch_size)
    with as_sentences(output, out_of_memory):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        recall = measuring(trainer.model.eval())
        if trainer.is_world_process_zero():
            _write(trainer, towers, measuring, output)
    return recall


def _make_trainer(
    towers: Towers, examples: Epochs, measuring: Measuring, output: Path, options: DualOptions, device: str
) -> DualEncoderTrainer:
    decay = options.layer_decay or (DECAY_PRETRAINED if options.vision or options.text else 1.0)
    return DualEncoderTrainer(
        towers.model,
        make_arguments(output, options, len(examples), device, "recall"),
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
