"""InfoNCE with several positives, or none; and which pairs are positives."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from multimodal.training.contrastive import LEFT_OUT, contrastive_loss, info_nce, same_key_or_caption


def test_the_loss_of_one_positive_a_row_is_cross_entropy():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0)) * 4
    expected = (cross_entropy(logits, torch.arange(6)) + cross_entropy(logits.T, torch.arange(6))) / 2
    torch.testing.assert_close(contrastive_loss(logits, torch.eye(6, dtype=torch.int64)), expected)


def test_positives_do_not_compete_and_what_is_left_out_teaches_nothing():
    logits = torch.tensor([[2.0, 1.0, 0.0, 3.0]], requires_grad=True)
    loss = info_nce(logits, torch.tensor([[1, 1, 0, LEFT_OUT]]))
    expected = [cross_entropy(torch.tensor([[positive, 0.0]]), torch.tensor([0])) for positive in (2.0, 1.0)]
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    loss.backward()
    assert logits.grad[0, 3] == 0
    assert (logits.grad[0, :2] < 0).all()


def test_a_row_without_positives_is_pushed_under_the_threshold():
    logits = torch.tensor([[2.0, -1.0]], requires_grad=True)
    none = torch.zeros(1, 2, dtype=torch.int64)
    assert info_nce(logits, none) == 0
    loss = info_nce(logits, none, torch.tensor(0.5))
    torch.testing.assert_close(loss, cross_entropy(torch.tensor([[0.5, 2.0, -1.0]]), torch.tensor([0])))
    loss.backward()
    assert (logits.grad > 0).all()


def test_equal_captions_and_keys_are_no_negatives():
    keys, owners = torch.tensor([1, 2, 1]), torch.tensor([0, 0, 1, 1, 2])
    texts = torch.tensor([10, 11, 11, 12, 13])
    assert same_key_or_caption(keys, texts, owners).tolist() == [[1, 0, 1], [1, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1]]
