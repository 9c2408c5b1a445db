"""What looking closer adds to a dual encoder's answers, and what it costs: its best K put in order by a cross encoder, for several K."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.retrieval.encoder import Encoder
from multimodal.retrieval.reranker import Reranker
from multimodal.training.captioned import Captioned
from multimodal.training.encoding import Watch
from multimodal.training.epochs import read_image
from multimodal.training.evaluation import Evaluation, evaluate
from multimodal.training.recall import Recall, recall_of
from multimodal.training.reranking import judged, shortlist

TIMED = 4  # queries of each way whose time is taken, for each K


@dataclass(frozen=True)
class Reranked:
    """With the best `k` put in order; 0: the dual encoder alone. `recall` and `seconds` by way, "t2i" and "i2t" as in an Evaluation.

    `seconds`: of one query: the dual encoder's, the comparison with all answers, and the judgement of `k`; in t2i with the opening of their
    pictures, in i2t with that of the one that is asked with.
    """

    k: int
    recall: dict[str, Recall]
    seconds: dict[str, float]


@dataclass(frozen=True)
class CrossEvaluation:
    """`alone`: of the dual encoder. `sweep`: the dual encoder alone, then each K, the smallest first."""

    alone: Evaluation
    sweep: tuple[Reranked, ...]


def evaluate_cross(
    reranker: Reranker, encoder: Encoder, pictures: Sequence[Captioned], ks: Iterable[int], encoding: Watch = iter, judging: Watch = iter
) -> CrossEvaluation:
    """On all of `pictures`, but for those that cannot be opened. `encoding` and `judging`: given the pictures, give them back one by one,
    as they are encoded and judged. Raises UserError where no picture can be opened."""
    alone = evaluate(encoder, encoding(pictures))
    wanted, rows = sorted(set(ks)), np.arange(len(alone.pictures))
    t2i = shortlist(alone.caption_vectors, alone.picture_vectors, alone.owners, rows, wanted[-1])
    i2t = shortlist(alone.picture_vectors, alone.caption_vectors, rows, alone.owners, wanted[-1])
    coming = iter(judging(alone.pictures))

    def judge(_: int, captions: Sequence[int]) -> np.ndarray:
        prepared = reranker.prepare(read_image(next(coming), reranker.side))  # they are asked for in their order
        return reranker.scores([alone.captions[number] for number in captions], [prepared])[:, 0]

    scores = judged(t2i, i2t, np.arange(len(alone.captions)), judge)
    next(coming, None)  # so that it is known to have come to its end
    sweep = [Reranked(0, alone.recall, _seconds(alone, reranker, encoder, 0))]
    for k in wanted:
        ways = zip(("t2i", "i2t"), (t2i, i2t), scores, strict=True)
        recall = {way: recall_of(found.ranks_after(score, k)) for way, found, score in ways}
        sweep.append(Reranked(k, recall, _seconds(alone, reranker, encoder, k)))
    return CrossEvaluation(alone, tuple(sweep))


def _seconds(alone: Evaluation, reranker: Reranker, encoder: Encoder, k: int) -> dict[str, float]:
    """Of one query a way, with `k` answers judged; the mean of TIMED queries, spread over all."""

    def words_to_pictures(caption: str) -> None:
        best = np.argsort(-(encoder.encode_texts([caption]) @ alone.picture_vectors.T)[0])[:k]
        if k:
            images = [read_image(alone.pictures[row], reranker.side) for row in best.tolist()]
            np.argsort(-reranker.scores([caption], [reranker.prepare(image) for image in images])[0])

    def picture_to_captions(picture: Captioned) -> None:
        image = read_image(picture, max(encoder.side, reranker.side if k else 0))
        best = np.argsort(-(encoder.encode_pictures([image]) @ alone.caption_vectors.T)[0])[:k]
        if k:
            np.argsort(-reranker.scores([alone.captions[number] for number in best.tolist()], [reranker.prepare(image)])[:, 0])

    return {"t2i": _mean(words_to_pictures, alone.captions), "i2t": _mean(picture_to_captions, alone.pictures)}


def _mean(ask: Callable[..., None], queries: Sequence[object]) -> float:
    chosen = np.unique(np.linspace(0, len(queries) - 1, TIMED).round().astype(int)).tolist()
    began = time.perf_counter()
    for place in chosen:
        ask(queries[place])
    return (time.perf_counter() - began) / len(chosen)
