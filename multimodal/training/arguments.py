"""What transformers' Trainer is told, whatever is trained."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments
from transformers.integrations import is_tensorboard_available
from transformers.trainer_utils import SaveStrategy

from multimodal.training.checkpoints import FOLDER
from multimodal.training.run_options import RunOptions


def make_arguments(output: Path, options: RunOptions, count: int, device: str, best: str) -> TrainingArguments:
    """For `count` pictures on `device`. `best`: the measure by which the best epoch is chosen, the higher the better."""
    precision = options.precision if options.precision != "auto" else _precision(device)
    arguments = TrainingArguments(
        output_dir=str(output / FOLDER),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=min(options.batch_size, count),
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
        metric_for_best_model=f"eval_{best}",
        greater_is_better=True,
        report_to="tensorboard" if is_tensorboard_available() else "none",
        disable_tqdm=True,
        deepspeed=options.deepspeed,
        seed=options.seed,
    )
    if device != "cpu":
        arguments._n_gpu = 1  # several cards are for several processes: one batch is not divided behind the loss's back
    return arguments


def _precision(device: str) -> str:
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
