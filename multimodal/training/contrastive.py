"""InfoNCE between captions and pictures, where a caption can fit several pictures, and the other way round."""

from __future__ import annotations

import torch
from torch.nn.functional import softplus

LEFT_OUT = -1


def same_key_or_caption(keys: torch.Tensor, texts: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Which caption fits which picture, int64 [captions, pictures].

    `keys` int64 [pictures]: pictures with one key show the same. `texts` int64 [captions]: captions with one number read the same. `owners`
    int64 [captions]: the picture that each was written for. 1 where the keys agree, or the picture has a caption that reads the same, else
    0.
    """
    own = keys[owners][:, None] == keys
    said = texts[:, None] == texts  # of the captions, in pairs
    of = torch.nn.functional.one_hot(owners, len(keys)) > 0
    return (own | (said.float() @ of.float() > 0)).long()


def info_nce(logits: torch.Tensor, matches: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
    """InfoNCE over the rows (van den Oord et al. 2018, eq. 4), for rows with several positives, or none.

    `logits` [rows, columns]; `matches` the same shape: 1 positive, 0 negative, LEFT_OUT neither. Each positive is set against the row's
    negatives, and not against other positives; a row's loss is the mean over its positives.
    `threshold`, the logit from which a pair is a match, is one more candidate: a negative in rows with positives, the positive in rows
    without any. Where it is None such rows have no loss.
    """
    positive = matches == 1
    counts = positive.sum(1)
    smallest = torch.finfo(logits.dtype).min / 2
    against = logits.masked_fill(matches != 0, smallest).logsumexp(1)
    without = softplus(against - threshold) if threshold is not None else torch.zeros_like(against)
    if threshold is not None:
        against = torch.logaddexp(against, threshold.expand_as(against))
    # -log(e^p / (e^p + sum e^n)) = softplus(log sum e^n - p)
    fitted = (softplus(against[:, None] - logits) * positive).sum(1) / counts.clamp(min=1)
    rows = torch.where(counts > 0, fitted, without)
    used = len(rows) if threshold is not None else int((counts > 0).sum())
    return rows.sum() / max(1, used)


def contrastive_loss(logits: torch.Tensor, matches: torch.Tensor, threshold: torch.Tensor | None = None) -> torch.Tensor:
    """The mean of InfoNCE from words to pictures and back. `logits` and `matches` are [captions, pictures]; see info_nce."""
    return (info_nce(logits, matches, threshold) + info_nce(logits.T, matches.T, threshold)) / 2
