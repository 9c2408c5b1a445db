"""A cross encoder trained from a data set, from the first epoch to a folder that CROSS_MODEL takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import PartialState
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from transformers.utils.logging import disable_progress_bar

from low_vram.device import choose_device, is_there
from multimodal.errors import UserError
from multimodal.retrieval.encoder import load_encoder
from multimodal.training.arguments import make_arguments
from multimodal.training.captioned import Captioned, CaptionedSet
from multimodal.training.checkpoints import begin, last_checkpoint
from multimodal.training.cross_encoder import CrossEncoderTrainer
from multimodal.training.cross_measuring import Accuracy, Reranking
from multimodal.training.curves import CURVES, write_curves
from multimodal.training.description import languages_of_captions
from multimodal.training.encoding import Watch, encoded
from multimodal.training.failures import as_sentences
from multimodal.training.fitting import Fitting
from multimodal.training.matcher import Matcher, make_matcher
from multimodal.training.negatives import AnyNegatives, HardNegatives, Negatives
from multimodal.training.run_options import RunOptions
from multimodal.training.triple_epochs import TripleEpochs
from multimodal.training.triples import TripleCollator

FEWEST = 2  # pictures that anything can be wrong for


@dataclass(frozen=True, kw_only=True)
class CrossOptions(RunOptions):
    """How to train. `model`: a pretrained BlipForImageTextRetrieval, a folder or a hub name; None begins from nothing, with towers that are
    `embed_dim` wide. Pairs are judged each by itself: `accumulate` moves nothing but memory and time."""

    epochs: int = 15
    batch_size: int = 48
    lr: float = 2e-5
    warmup: int = 500
    embed_dim: int = 768
    model: str | None = None


def train_cross(
    data: CaptionedSet,
    dual: str | None,
    output: Path,
    options: CrossOptions,
    resume: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    watch: Watch = iter,
) -> dict[str, float]:
    """Train on the data's 'train', choose the best epoch by its 'val' ('test' where there is none), and write what was learned to `output`.

    `dual`: folder or hub name of a dual encoder, whose best wrong answers are learned from, and whose best answers on 'val' are put in
    order; None takes wrong answers by chance, and judges by the share of pairs told apart. `watch`: given the pictures that the dual
    encoder sees beforehand, gives them back one by one.

    Returns what was measured of the best epoch. With `resume`, goes on from the last whole checkpoint below `output`. Raises UserError;
    what was saved stays.
    """
    device = choose_device(options.device)
    if not is_there(device):
        raise UserError("no_device", device=device)
    pictures, judged_on = data.of("train"), data.of("val") or data.of("test") or data.of("train")
    fitting = _fitting(pictures)
    processes = PartialState(cpu=device == "cpu")
    encoder = load_encoder(dual, device) if dual else None
    languages = list(languages_of_captions(fitting.captions))
    matcher = make_matcher(options.model, fitting.captions, options.embed_dim, options.seed, languages=languages)
    with processes.main_process_first():
        begun_with = options.begun_with() | {"trains": "cross", "dual": encoder.space if encoder else None}
        last = begin(output, begun_with, resume) if processes.is_main_process else last_checkpoint(output)
    with as_sentences(output, UserError("training_batch_too_large", batch=options.batch_size)):
        if encoder:
            kept, vectors = encoded(encoder, watch(pictures))
            fitting = _fitting(kept)
            negatives: Negatives = HardNegatives(fitting, encoder.encode_texts(fitting.captions), vectors)
            measure: Reranking | Accuracy = Reranking(judged_on, matcher, encoder)
            encoder.close()
        else:
            negatives, measure = AnyNegatives(fitting), Accuracy(judged_on, matcher, options.seed)
        triples = TripleEpochs(fitting, negatives, matcher.side, options.seed, options.augment)
        _ = triples[0]  # here, as a process that reads pictures could not tell that none can be opened
        disable_progress_bar()  # transformers': one for each file that is saved
        trainer = CrossEncoderTrainer(
            matcher.model,
            make_arguments(output, options, len(fitting.pictures), device, measure.best),
            data_collator=TripleCollator(matcher.tokenizer, matcher.image_processor, matcher.longest),
            train_dataset=triples,
            eval_dataset=measure.fitting.pictures,
            measure=measure,
            callbacks=[EarlyStoppingCallback(options.patience)] if options.patience else [],
        )
        trainer.remove_callback(PrinterCallback)
        for callback in callbacks:
            trainer.add_callback(callback)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        found = measure(trainer.model.eval())
        if trainer.is_world_process_zero():
            _write(trainer, matcher, output)
    return found


def _fitting(pictures: Sequence[Captioned]) -> Fitting:
    if len(pictures) < FEWEST:
        raise UserError("training_too_few", count=len(pictures), least=FEWEST)
    fitting = Fitting(pictures)
    if fitting.all_alike():
        raise UserError("training_all_alike")
    return fitting


def _write(trainer: CrossEncoderTrainer, matcher: Matcher, output: Path) -> None:
    """What CROSS_MODEL takes; and the curves."""
    matcher.tokenizer.save_pretrained(output)
    matcher.image_processor.save_pretrained(output)
    trainer.accelerator.unwrap_model(trainer.model).blip.save_pretrained(output)
    write_curves(trainer.state.log_history, output / CURVES)
