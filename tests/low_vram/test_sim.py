"""The simulated card: it computes as the CPU does, keeps its tensors to its side, and counts their bytes."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoProcessor, DynamicCache, Qwen2_5OmniForConditionalGeneration

from low_vram import sim
from tests.conftest import ROOT
from tests.tiny import write_tiny_omni

CARD = sim.DEVICE
MB = 2**20


@pytest.fixture(autouse=True, scope="module")
def _card() -> None:
    sim.install()


@pytest.fixture
def base() -> Iterator[int]:
    """The bytes alive before the test, from which its peak begins. The garbage collector is off: bytes are to go by themselves."""
    gc.collect()
    gc.disable()
    sim.reset_peak()
    yield sim.memory_allocated()
    gc.enable()


def on(device: str, value: Any) -> Any:
    """`value`, its tensors on `device`."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(on(device, each) for each in value)
    return {key: on(device, each) for key, each in value.items()} if isinstance(value, dict) else value


def flat(value: Any) -> list[Any]:
    return [leaf for each in value for leaf in flat(each)] if isinstance(value, list | tuple) else [value]


def assert_same(on_card: Any, on_host: Any) -> None:
    """To the last bit, in the same layout, and each on its side."""
    assert len(flat(on_card)) == len(flat(on_host)) > 0
    for ours, theirs in zip(flat(on_card), flat(on_host), strict=True):
        assert type(ours) is type(theirs)
        if isinstance(theirs, Tensor):
            assert (ours.device, theirs.device) == (torch.device(CARD), torch.device("cpu"))
            assert (ours.dtype, ours.shape, ours.stride()) == (theirs.dtype, theirs.shape, theirs.stride())
            assert torch.equal(ours.cpu(), theirs)
        else:
            assert ours == theirs


def inputs(device: str) -> SimpleNamespace:
    """The same tensors on any device: x, y [4, 6], square [6, 6], wave [2, 6, 20], picture [2, 3, 8, 8], and what indexes them."""
    random = torch.Generator().manual_seed(0)
    named = {
        "x": torch.randn(4, 6, generator=random),
        "y": torch.randn(4, 6, generator=random),
        "square": torch.randn(6, 6, generator=random),
        "bias": torch.randn(6, generator=random),
        "wave": torch.randn(2, 6, 20, generator=random),
        "filter": torch.randn(6, 6, 3, generator=random),
        "picture": torch.randn(2, 3, 8, 8, generator=random),
        "patch": torch.randn(5, 3, 2, 2, generator=random),
        "heads": torch.randn(3, 1, 4, 5, 8, generator=random),
        "rows": torch.tensor([2, 0, 3]),
        "columns": torch.tensor([[0, 5, 1, 1, 2, 4]]),
        "counts": torch.tensor([1, 0, 3, 2]),
        "mask": torch.randn(4, 6, generator=random) > 0,
        "complex": torch.randn(5, dtype=torch.complex64, generator=random),
    }
    return SimpleNamespace(**on(device, named), device=device)


def empty(t: SimpleNamespace, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(0, dtype=dtype, device=t.device)


def assign(t: SimpleNamespace) -> Tensor:
    t.x[t.mask] = 2.0
    t.x[0, :2] = t.bias[:2]
    t.x[t.rows, -1] = t.bias[:3]
    t.x[:, 2] += 1
    return t.x


def write_through_views(t: SimpleNamespace) -> Tensor:
    t.x[1:].mul_(2)
    t.x.view(-1)[:3].fill_(9)
    t.x.detach().t()[3].zero_()
    return t.x


OPERATORS: dict[str, Callable[[SimpleNamespace], Any]] = {
    "matmul": lambda t: (t.x @ t.square, t.square @ t.x[0], t.wave @ t.wave.mT, torch.addmm(t.bias, t.x, t.square)),
    "linear": lambda t: F.linear(t.wave.mT, t.square, t.bias),
    "softmax": lambda t: (t.x.softmax(-1), t.x.log_softmax(0), t.x.half().softmax(-1, dtype=torch.float32)),
    "norms": lambda t: (F.layer_norm(t.x, (6,), t.bias, t.bias), F.group_norm(t.wave, 3, t.bias, t.bias), F.rms_norm(t.x, (6,), t.bias)),
    "conv1d": lambda t: (F.conv1d(t.wave, t.filter, t.bias, padding=1), F.conv1d(t.wave, t.filter[:, :1], groups=6, dilation=2)),
    "conv2d": lambda t: F.conv2d(t.picture, t.patch, stride=2),
    "conv3d": lambda t: F.conv3d(t.picture[:, :, None], t.patch[:, :, None], stride=(1, 2, 2)),
    "conv_transpose1d": lambda t: F.conv_transpose1d(t.wave, t.filter, t.bias, stride=2, padding=1, output_padding=1),
    "pad": lambda t: (F.pad(t.wave, (2, 1)), F.pad(t.wave, (2, 1), mode="replicate"), F.pad(t.wave, (2, 1), mode="reflect")),
    "pool": lambda t: (F.avg_pool1d(t.wave, 2), F.max_pool1d(t.wave, 3), F.interpolate(t.wave, scale_factor=2)),
    "embedding": lambda t: F.embedding(t.rows, t.x),
    "index": lambda t: (t.x[t.rows], t.x[:, t.rows], t.x[t.mask], t.x[t.rows, 1], t.x[..., None, 1:4:2], t.x.index_select(1, t.rows)),
    "index_put": lambda t: (
        t.x.index_put((t.rows,), t.y[:3]),
        t.x.clone().index_put_((t.rows,), t.y[:3], accumulate=True),
        t.x.index_add(0, t.rows, t.y[:3]),
    ),
    "assign": assign,
    "scatter": lambda t: (t.x.scatter(0, t.columns % 4, t.y), t.x.scatter_add(0, t.columns % 4, t.y), t.x.scatter(1, t.columns, 7.0)),
    "gather": lambda t: (t.x.gather(1, t.columns), t.x.take_along_dim(t.columns, 1)),
    "masked": lambda t: (t.x.masked_scatter(t.mask, t.y), t.x.masked_fill(t.mask, -1e9), t.x.masked_select(t.mask)),
    "where": lambda t: (torch.where(t.mask, t.x, t.y), torch.where(t.mask, t.x.half(), 0.5), torch.where(t.mask, 1, 2)),
    "cumsum": lambda t: (t.x.cumsum(1), t.mask.cumsum(0), t.x.cumprod(0)),
    "topk": lambda t: tuple(t.x.topk(3)),
    "sort": lambda t: (*t.x.sort(descending=True), *t.columns.sort(stable=True), t.x.argsort(0)),
    "arg": lambda t: (t.x.argmax(), t.x.argmax(1), t.x.argmin(0, keepdim=True)),
    "reduce": lambda t: (
        t.x.sum(),
        t.x.mean(1),
        t.x.amax(0),
        *t.x.max(1),
        t.x.var(0),
        t.x.std(),
        t.x.norm(),
        t.counts.prod(),
        t.x.logsumexp(1),
    ),
    "decide": lambda t: (t.mask.any(), t.mask.all(1), torch.equal(t.x, t.y), torch.isin(t.columns, t.rows), t.x.isfinite(), t.x.isnan()),
    "arithmetic": lambda t: (
        t.x + 1,
        2 - t.x,
        t.x * 0.1,
        t.x / 3,
        2**t.x,
        t.x**2,
        t.x % 0.7,
        t.columns // 2,
        -t.x,
        t.x.abs(),
        t.x.round(),
        t.x.frac(),
    ),
    "functions": lambda t: (t.x.exp(), t.x.abs().log10(), t.x.sin(), t.x.cos(), t.x.abs().rsqrt(), t.x.sigmoid(), t.x.tanh(), t.x.erf()),
    "activations": lambda t: (
        F.gelu(t.x),
        F.gelu(t.x, approximate="tanh"),
        F.silu(t.x),
        F.relu(t.x),
        F.leaky_relu(t.x),
        F.glu(t.x),
        F.mish(t.x),
    ),
    "compare": lambda t: (t.x > t.y, t.x <= 0, t.columns == 1, t.mask & ~t.mask, t.mask | t.mask, t.columns & 2, torch.maximum(t.x, t.y)),
    "clamp": lambda t: (t.x.clamp(-0.5, 0.5), t.x.clamp(min=t.bias), t.x.clamp_(max=1)),
    "number types": lambda t: (
        t.x.half() * 0.1,
        t.x.sum().half() * 0.1,
        t.x.sum().half() % 0.3,
        t.columns % 2.5,
        t.counts.to(torch.int8) % 300,
    ),
    "out": lambda t: (
        torch.add(t.x, t.y, out=empty(t)),
        torch.mm(t.x, t.square, out=torch.empty(4, 6, device=t.device)),
        *torch.max(t.x, 1, out=(empty(t), empty(t, torch.int64))),
        torch.cat([t.x, t.y], out=empty(t)),
        torch.arange(7, out=empty(t)),
    ),
    "in place": lambda t: (
        t.x.clone().add_(1).mul_(t.y).zero_(),
        t.x.clone().t_(),
        t.x.clone().unsqueeze_(0),
        t.x.clone().resize_(2, 3),
        t.y.copy_(t.x),
    ),
    "cat": lambda t: (torch.cat([t.x, t.y], 1), torch.stack([t.x, t.y]), *t.x.split(3, 1), *t.x.chunk(2), torch.hstack([t.x, t.y])),
    "shapes": lambda t: (
        t.x.view(-1),
        t.x.reshape(3, 8),
        t.x.t(),
        t.x.flatten(),
        t.x[None].expand(2, 4, 6),
        t.wave.permute(2, 0, 1),
        t.wave.unfold(2, 4, 2),
    ),
    "views": lambda t: (
        t.x.roll(1, 0),
        t.x.flip(1),
        t.x.repeat(2, 1),
        t.x.diagonal(),
        t.x.as_strided((2, 2), (1, 6), 3),
        t.x.narrow(1, 2, 3),
        t.x.view(torch.int32),
    ),
    "triangles": lambda t: (t.square.tril(), t.square.triu(1), torch.tril_indices(3, 3, device=t.device)),
    "repeat_interleave": lambda t: (t.x.repeat_interleave(2, 1), t.x.repeat_interleave(t.counts, 0)),
    "nonzero": lambda t: (t.mask.nonzero(), *t.mask.nonzero(as_tuple=True), t.mask.count_nonzero()),
    "unique": lambda t: (*t.columns.unique(return_inverse=True, return_counts=True), *t.columns.unique_consecutive(return_counts=True)),
    "bincount": lambda t: (t.counts.bincount(), torch.bucketize(t.x, t.bias.sort()[0]), torch.histc(t.x, 4)),
    "attention": lambda t: F.scaled_dot_product_attention(*t.heads),
    "attention, causal": lambda t: F.scaled_dot_product_attention(*t.heads, is_causal=True),
    "attention, masked": lambda t: F.scaled_dot_product_attention(
        *t.heads, attn_mask=torch.ones(5, 5, dtype=torch.bool, device=t.device).tril()
    ),
    "attention, biased": lambda t: F.scaled_dot_product_attention(*t.heads, attn_mask=t.square[:5, :5], scale=0.1),
    "attention, shared heads": lambda t: F.scaled_dot_product_attention(t.heads[0], t.heads[1][:, :2], t.heads[2][:, :2], enable_gqa=True),
    "einsum": lambda t: (torch.einsum("ij,kj->ik", t.x, t.y), torch.outer(t.bias, t.bias), torch.bmm(t.wave, t.wave.mT)),
    "made here": lambda t: (
        torch.zeros(2, 3, device=t.device),
        torch.full((2,), 7, device=t.device),
        torch.arange(1, 9, 2, device=t.device),
    ),
    "made alike": lambda t: (torch.zeros_like(t.x), t.x.new_ones(2), torch.full_like(t.columns, 3), t.x.new_tensor([1, 2])),
    "made from data": lambda t: (
        torch.tensor([[1, 2], [3, 4]], device=t.device),
        torch.linspace(0, 1, 5, device=t.device),
        torch.eye(3, device=t.device),
    ),
    "dtypes": lambda t: (t.x.half(), t.x.to(torch.bfloat16), t.x.double(), t.x.int(), t.x.bool(), t.columns.float(), t.x.to(torch.int8)),
    "numbers": lambda t: (t.x.sum().item(), t.x.tolist(), bool(t.mask.any()), int(t.columns.max()), len(t.x), float(t.x[0, 0])),
    "complex": lambda t: (
        t.complex.conj() * t.complex,
        t.complex.abs(),
        t.complex.conj().imag + 1,
        torch.polar(t.x.abs(), t.y),
        torch.view_as_real(t.complex),
    ),
    "resolved": lambda t: (t.complex.conj().resolve_conj(), t.complex.conj().imag.resolve_neg()),
    "stft": lambda t: (torch.fft.rfft(t.wave), torch.stft(t.wave[0], 8, window=torch.hann_window(8, device=t.device), return_complex=True)),
    "many at once": lambda t: (torch._foreach_add([t.x, t.y], 1.0), torch._foreach_mul_([t.x, t.y], 2.0), t.x, t.y),
    "written through views": write_through_views,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_what_the_cpu_gives(name):
    assert_same(OPERATORS[name](inputs(CARD)), OPERATORS[name](inputs("cpu")))


def test_a_difference_would_be_seen():
    with pytest.raises(AssertionError):
        assert_same(torch.ones(2, device=CARD), torch.tensor([1.0, 1.1]))
    with pytest.raises(AssertionError):
        assert_same(torch.ones(2), torch.ones(2))


@pytest.mark.parametrize("name", ["normal", "uniform", "choice", "permutation", "dropout", "exponential"])
def test_random_numbers_follow_the_seed_as_on_the_cpu(name):
    draw = {
        "normal": lambda device: (torch.randn(5, device=device), torch.empty(3, device=device).normal_(2, 3)),
        "uniform": lambda device: (torch.rand(5, device=device), torch.randint(0, 9, (5,), device=device)),
        "choice": lambda device: torch.multinomial(torch.arange(1.0, 9, device=device).softmax(0), 6),
        "permutation": lambda device: torch.randperm(9, device=device),
        "dropout": lambda device: F.dropout(torch.ones(20, device=device)),
        "exponential": lambda device: torch.empty(5, device=device).exponential_(),
    }[name]
    drawn = {}
    for device in (CARD, "cpu"):
        torch.manual_seed(3)
        drawn[device] = draw(device)
    assert_same(drawn[CARD], drawn["cpu"])


MIXED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "add": lambda card, host: card + host,
    "add, the other way": lambda card, host: host + card,
    "in place": lambda card, host: card.add_(host),
    "in place on the host": lambda card, host: host.add_(card),
    "in place on the host, a number": lambda card, host: host[0, 0].clone().add_(card[0, 0]),
    "out": lambda card, host: torch.add(card, card, out=torch.empty(3, 3)),
    "matmul": lambda card, host: card @ host,
    "cat": lambda card, host: torch.cat([card, host]),
    "where": lambda card, host: torch.where(card > 0, card, host),
    "embedding": lambda card, host: F.embedding(host.long(), card),
    "a host tensor's index": lambda card, host: host[card.long()],
    "values to put": lambda card, host: card.index_put_((torch.tensor([0]),), host[:1]),
    "layer_norm": lambda card, host: F.layer_norm(card, (3,), host[0]),
    "conv1d": lambda card, host: F.conv1d(card[None], host[None]),
    "attention": lambda card, host: F.scaled_dot_product_attention(card[None], host[None], card[None]),
    "linear": lambda card, host: nn.Linear(3, 3)(card),
    "meta": lambda card, host: card + host.to("meta"),
}


@pytest.mark.parametrize("name", MIXED)
def test_host_and_card_do_not_mix(name):
    card, host = torch.ones(3, 3, device=CARD), torch.ones(3, 3)
    with pytest.raises(RuntimeError, match=r"same device|expected device"):
        MIXED[name](card, host)
    assert card.cpu().tolist() == host.tolist() == torch.ones(3, 3).tolist()


def test_numbers_and_indices_may_come_from_the_host():
    card, host = torch.arange(6.0, device=CARD), torch.arange(6.0)
    number, index = torch.tensor(2.0), torch.tensor([4, 1])
    assert_same((card + number, number * card, card[index]), (host + number, number * host, host[index]))
    assert_same(card.masked_fill(card > 3, number), host.masked_fill(host > 3, number))
    assert_same(torch.where(card > 3, card, number), torch.where(host > 3, host, number))
    card[index] = number
    host[index] = number
    assert_same(card, host)


def test_a_tensor_of_the_card_is_not_an_array():
    with pytest.raises(TypeError, match="host memory"):
        torch.ones(2, device=CARD).numpy()


@pytest.mark.parametrize("non_blocking", [False, True])
def test_copies_go_both_ways(non_blocking):
    host = torch.arange(6.0).view(2, 3)
    card = host.to(CARD, non_blocking=non_blocking)
    assert card.device == torch.device(CARD)
    assert card.to("cpu", non_blocking=non_blocking).tolist() == host.tolist()
    assert card.to("cpu", torch.float64, non_blocking=non_blocking).dtype == torch.float64
    assert card.to("cpu", copy=True).data_ptr() != card.data_ptr()
    assert card.to(CARD) is card
    target = torch.zeros(3, 2).t()
    assert target.copy_(card, non_blocking=non_blocking) is target
    assert target.tolist() == host.tolist()
    assert card.zero_().copy_(host[1], non_blocking=non_blocking).cpu().tolist() == [[3, 4, 5]] * 2


def test_a_copy_is_a_copy():
    host = torch.zeros(3)
    card = host.to(CARD)
    back = card.cpu()
    card.add_(1)
    assert host.tolist() == back.tolist() == [0, 0, 0]


def test_deep_copies(base):
    whole = torch.arange(6.0, device=CARD).view(2, 3)
    twin, part = copy.deepcopy([whole, whole[1]])
    whole.zero_()
    assert part.cpu().tolist() == [3, 4, 5]
    assert twin[1].data_ptr() == part.data_ptr()
    assert sim.memory_allocated() == base + 48
    layer = copy.deepcopy(nn.Linear(2, 2).to(CARD))
    assert {parameter.device.type for parameter in layer.parameters()} == {"sim"}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_modes_of_inference(mode):
    layer = nn.Linear(3, 3).to(CARD)
    with mode():
        made = layer(torch.ones(2, 3, device=CARD))
        made[0].add_(1)
        made[:, 0] = 2
        joined = torch.cat([made.view(-1), made.t().reshape(-1)])
    assert not joined.requires_grad
    assert {made.is_inference(), made[0].is_inference(), joined.is_inference()} == {mode is torch.inference_mode}


def test_live_bytes_and_their_peak_are_exact(base):
    a = torch.empty(1000, device=CARD)
    b = torch.ones(10, 10, dtype=torch.float64, device=CARD)
    assert sim.memory_allocated() == base + 4000 + 800
    c = a + a
    assert sim.memory_allocated() == base + 4000 + 800 + 4000
    del a
    assert sim.memory_allocated() == base + 800 + 4000
    b = b.half()
    assert sim.memory_allocated() == base + 200 + 4000
    c.mul_(2)
    c = c[:10]
    assert sim.memory_allocated() == base + 200 + 4000
    c = c.clone()
    assert sim.memory_allocated() == base + 200 + 40
    del b, c
    assert sim.memory_allocated() == base
    assert sim.max_memory_allocated() == base + 4000 + 800 + 4000
    sim.reset_peak()
    assert sim.max_memory_allocated() == base


def test_views_and_parameters_share_their_bytes(base):
    whole = torch.zeros(100, 10, device=CARD)
    shared = [
        whole.view(-1),
        whole[3],
        whole.t(),
        whole.detach(),
        nn.Parameter(whole),
        whole.expand(2, 100, 10),
        whole.data,
        whole.view(torch.int32),
    ]
    shared += [*whole.split(30), *whole.unbind(1), whole.contiguous(), whole.reshape(10, 100), torch.view_as_complex(whole.view(-1, 2))]
    assert sim.memory_allocated() == base + 4000
    assert {each.untyped_storage().data_ptr() for each in shared} == {whole.data_ptr()}
    whole.add_(1)
    assert all(each.float().min() == 1 for each in shared[:7])
    del whole
    assert sim.memory_allocated() == base + 4000
    shared.clear()
    assert sim.memory_allocated() == base


def test_what_was_made_in_between_is_freed_at_once(base):
    x = torch.ones(1000, device=CARD)
    for _ in range(5):
        x = ((x * 2 + 1).softmax(0).view(10, 100).t() @ torch.ones(10, 10, device=CARD)).flatten()[:1000].clone()
    assert sim.memory_allocated() == base + 4000


def test_a_leak_of_a_megabyte_is_seen(base):
    kept = []

    def work(forgetful: bool) -> None:
        made = torch.zeros(MB, dtype=torch.uint8, device=CARD)
        if not forgetful:
            kept.append(made[:1])

    work(forgetful=True)
    assert sim.memory_allocated() == base
    work(forgetful=False)
    assert sim.memory_allocated() == base + MB


def test_a_tensor_that_grows_counts_what_it_became(base):
    out = torch.empty(0, device=CARD)
    torch.add(torch.ones(100, device=CARD), 1, out=out)
    assert sim.memory_allocated() == base + 400
    out.resize_(1000)
    assert sim.memory_allocated() == base + 4000
    assert sim.max_memory_allocated() == base + 4400  # new and old at once
    del out
    assert sim.memory_allocated() == base


def test_a_tensor_leaves_the_card_with_its_data(base):
    parameter = nn.Parameter(torch.ones(100, device=CARD), requires_grad=False)
    parameter.data = torch.zeros(3)
    assert parameter.device.type == "cpu"
    assert sim.memory_allocated() == base
    parameter.data = torch.ones(50, device=CARD)
    assert (parameter + 1).device.type == "sim"
    assert sim.memory_allocated() == base + 200


def test_the_module_of_the_device_knows_its_memory(base):
    kept = torch.empty(1000, device=CARD)
    module = torch.get_device_module(CARD)
    assert module is torch.sim
    assert torch.sim.memory_allocated(CARD) == torch.sim.memory_reserved() == base + kept.nbytes
    assert torch.sim.max_memory_allocated() == base + 4000
    torch.sim.empty_cache()
    torch.sim.synchronize()
    assert torch.sim.memory_allocated() == base + 4000
    free, total = torch.sim.mem_get_info(CARD)
    assert 0 < free < total
    with sim.cap(base + 10_000):
        assert torch.sim.mem_get_info() == (6000, base + 10_000)
    with sim.cap(1):
        assert torch.sim.mem_get_info() == (0, 1)
    del kept
    torch.sim.reset_peak_memory_stats()
    assert torch.sim.max_memory_allocated() == base
    assert torch.sim.is_available()
    assert torch.sim.device_count() == 1


# --- running out


def test_beyond_the_cap_the_card_is_out_of_memory(base):
    with sim.cap(base + 3 * MB):
        kept = torch.zeros(2 * MB, dtype=torch.uint8, device=CARD)
        with pytest.raises(
            torch.OutOfMemoryError, match=r"Tried to allocate 2\.00 MiB.* capacity of \d+\.\d\d MiB of which 1\.00 MiB is free"
        ):
            kept + 1
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(MB + 1, dtype=torch.uint8, device=CARD)
        assert sim.memory_allocated() == base + 2 * MB
        fits = torch.empty(MB, dtype=torch.uint8, device=CARD)
        assert sim.max_memory_allocated() == base + 3 * MB
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(1, dtype=torch.uint8, device=CARD)
        del fits
        assert kept.add_(1).sum().item() == 2 * MB
    assert (kept + 1).sum().item() == 4 * MB


def test_caps_nest_and_begin_a_new_peak(base):
    _, unlimited = torch.sim.mem_get_info()
    with sim.cap(base + 10 * MB):
        torch.empty(MB, device=CARD)
        peak = sim.max_memory_allocated()
        with sim.cap(0):
            assert sim.max_memory_allocated() == sim.memory_allocated() == peak - 4 * MB
            with pytest.raises(torch.OutOfMemoryError):
                torch.empty(1, device=CARD)
            with sim.cap(None):
                torch.empty(20 * MB, dtype=torch.uint8, device=CARD)
            with pytest.raises(torch.OutOfMemoryError):
                torch.empty(1, device=CARD)
        torch.empty(MB, device=CARD)
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(10 * MB, device=CARD)
        with pytest.raises(ZeroDivisionError), sim.cap(1):
            raise ZeroDivisionError
        torch.empty(MB, device=CARD)
    assert torch.sim.mem_get_info()[1] == unlimited
    sim.set_cap(0)
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(1, device=CARD)
    sim.set_cap(None)
    torch.empty(1, device=CARD)


def test_a_host_without_memory_is_a_card_without(base):
    with pytest.raises(torch.OutOfMemoryError, match=CARD):
        torch.empty(2**60, dtype=torch.uint8, device=CARD)
    assert sim.memory_allocated() == base


def test_allocations_are_counted():
    before = sim.allocations()
    x = torch.zeros(3, device=CARD)
    y = x + 1
    x.add_(1).view(3, 1)
    y.cpu()
    torch.empty(0, device=CARD)
    assert sim.allocations() == before + 2


def test_the_chosen_allocation_fails_once(base):
    with sim.fail_at(2):
        first = torch.zeros(3, device=CARD)
        with pytest.raises(torch.OutOfMemoryError, match="12 bytes"):
            first + 1
        assert sim.memory_allocated() == base + 12
        assert (first + 1).cpu().tolist() == [1, 1, 1]
    with sim.fail_at(1):
        pass
    torch.zeros(3, device=CARD)


# --- modules


def test_a_module_moves_and_its_parameters_stay_the_same_objects(base):
    layers = nn.Sequential(nn.Linear(10, 10), nn.BatchNorm1d(10), nn.Linear(10, 10)).eval()
    layers[2].weight = layers[0].weight  # tied
    asked, before = torch.ones(2, 10), dict(layers.named_parameters())
    answer = layers(asked)
    layers.to(CARD)
    size = 4 * (100 + 10 + 2 * 10 + 2 * 10 + 10) + 8
    assert sim.memory_allocated() == base + size
    assert layers[2].weight is layers[0].weight is before["0.weight"]
    assert {each.device.type for each in (*layers.parameters(), *layers.buffers())} == {"sim"}
    assert torch.equal(layers(asked.to(CARD)).cpu(), answer)
    layers.half()
    assert sim.memory_allocated() == base + (size - 8) // 2 + 8
    layers.float().to("cpu")
    assert sim.memory_allocated() == base
    assert layers[2].weight is layers[0].weight is before["0.weight"]
    assert layers(asked).shape == answer.shape


def test_a_state_can_be_loaded_from_the_host():
    source, target = nn.Linear(3, 3), nn.Linear(3, 3).to(CARD)
    target.load_state_dict(source.state_dict())
    assert_same(list(target.state_dict().values()), list(source.state_dict().values()))
    with torch.device(CARD):
        made = nn.Linear(3, 3)
    made.load_state_dict(source.state_dict(), assign=True)
    assert made.weight.device.type == "cpu"


# --- a whole model


@pytest.fixture(scope="module")
def omni(tmp_path_factory) -> SimpleNamespace:
    """A tiny model in `folder`, loaded on the host, its prompt, and its answer there (greedy)."""
    folder = write_tiny_omni(tmp_path_factory.mktemp("omni"))
    model = Qwen2_5OmniForConditionalGeneration.from_pretrained(folder).eval()
    prompt = AutoProcessor.from_pretrained(folder)(text="Who is there?", return_tensors="pt")
    omni = SimpleNamespace(folder=folder, model=model, prompt=dict(prompt), text=model.config.thinker_config.text_config)
    omni.answer = answer_of(omni, "cpu")
    return omni


def answer_of(omni: SimpleNamespace, device: str = CARD, model: nn.Module | None = None, **options: object) -> list[int]:
    thinker = (model or omni.model).thinker
    return thinker.generate(**on(device, omni.prompt), max_new_tokens=8, do_sample=False, **options)[0].tolist()


def speech_of(omni: SimpleNamespace, device: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    said, samples = omni.model.generate(**on(device, omni.prompt), speaker="Chelsie", thinker_max_new_tokens=4, talker_max_new_tokens=16)
    return said.cpu(), samples.cpu()


@pytest.fixture
def moved(omni) -> Iterator[SimpleNamespace]:
    omni.model.to(CARD)
    yield omni
    omni.model.to("cpu")


def test_a_model_answers_on_the_card_as_on_the_cpu(moved):
    assert {each.device.type for each in (*moved.model.parameters(), *moved.model.buffers())} == {"sim"}
    assert answer_of(moved) == moved.answer
    assert answer_of(moved, past_key_values=DynamicCache(config=moved.text)) == moved.answer


def test_a_model_speaks_on_the_card_as_on_the_cpu(omni):
    (said, samples) = speech_of(omni, "cpu")
    omni.model.to(CARD)
    ours = speech_of(omni, CARD)
    omni.model.to("cpu")
    assert torch.equal(ours[0], said)
    assert ours[1].shape == samples.shape
    assert samples.abs().max() > 0
    assert torch.allclose(ours[1], samples, atol=1e-5)


def test_a_model_comes_and_goes_with_all_its_bytes(omni, base):
    weights = sum(each.nbytes for each in (*omni.model.parameters(), *omni.model.buffers()))
    omni.model.to(CARD)
    assert sim.memory_allocated() == base + weights
    omni.model.to("cpu")
    assert sim.memory_allocated() == base


def test_a_model_is_loaded_onto_the_card_with_its_towers_on_the_host(omni):
    kept = {"thinker.model.visual": "cpu", "thinker.model.audio_tower": "cpu"}
    places = dict.fromkeys(("thinker.model.language_model", "thinker.lm_head", "talker", "token2wav"), CARD) | kept
    model = Qwen2_5OmniForConditionalGeneration.from_pretrained(omni.folder, device_map=places).eval()
    assert {each.device.type for each in model.thinker.model.language_model.parameters()} == {"sim"}
    assert {each.device.type for each in model.thinker.model.visual.parameters()}.isdisjoint({"sim"})
    assert answer_of(omni, model=model) == omni.answer


def test_a_model_survives_running_out_anywhere(moved, base):
    answer_of(moved)
    before = sim.allocations()
    answer_of(moved)
    needed = sim.allocations() - before
    kept = sim.memory_allocated()
    for place in torch.randint(1, needed + 1, (5,), generator=torch.Generator().manual_seed(0)).tolist():
        with sim.fail_at(place):
            assert ran_out(lambda: answer_of(moved))
        assert sim.memory_allocated() == kept
    assert answer_of(moved) == moved.answer


def ran_out(work: Callable[[], object]) -> bool:
    """Whether the card ran out of memory; the error, which holds tensors, is gone afterwards."""
    try:
        work()
    except torch.OutOfMemoryError:
        return True
    return False


def test_a_cache_that_is_kept_on_the_host(moved, monkeypatch):
    # The one thing in the way: transformers asks CUDA for the stream of any card.
    monkeypatch.setattr(torch.cuda, "default_stream", torch.Stream)
    held = {}
    for offloading in (False, True):
        cache = DynamicCache(config=moved.text, offloading=offloading)
        assert answer_of(moved, past_key_values=cache) == moved.answer
        held[offloading] = [layer.keys.device.type for layer in cache.layers]
    assert held == {False: ["sim"] * 3, True: ["sim", "cpu", "cpu"]}


# --- bitsandbytes


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_four_bits(nested, dtype):
    bnb = pytest.importorskip("bitsandbytes").functional
    weight, x = inputs("cpu").square.repeat(32, 64).to(dtype), torch.ones(1, 384, dtype=dtype)

    def compute(device: str) -> list[Tensor]:
        packed, state = bnb.quantize_4bit(weight.to(device), quant_type="nf4", compress_statistics=nested)
        return [packed, state.absmax, bnb.dequantize_4bit(packed, state), bnb.gemv_4bit(x.to(device), packed.t(), state=state)]

    assert_same(compute(CARD), compute("cpu"))


def test_quantizing_makes_no_tensors_in_between(base):
    bnb = pytest.importorskip("bitsandbytes").functional
    weight = torch.ones(256, 256, dtype=torch.bfloat16, device=CARD)
    packed, state = bnb.quantize_4bit(weight, quant_type="nf4", compress_statistics=False)
    made = packed.nbytes + state.absmax.nbytes + state.code.nbytes
    assert sim.memory_allocated() == base + weight.nbytes + made
    assert sim.max_memory_allocated() <= base + weight.nbytes + made + 512


def test_eight_bits():
    bnb = pytest.importorskip("bitsandbytes").functional
    ops = torch.ops.bitsandbytes
    weight, x = inputs("cpu").square.repeat(32, 64).half(), torch.randn(3, 384, generator=torch.Generator().manual_seed(0))
    x[:, 7] *= 20  # a column of outliers

    def compute(device: str) -> list[Tensor]:
        rows = x.to(device, torch.float16)
        a, a_scale, outliers = bnb.int8_vectorwise_quant(rows, threshold=6.0)
        b, b_scale, _ = bnb.int8_vectorwise_quant(weight.to(device))
        product = bnb.int8_linear_matmul(a, b)
        mixed, columns = ops.int8_mixed_scaled_mm(rows, a, b, a_scale, b_scale, outliers)
        scaled = ops.int8_scaled_mm(a, b, a_scale, b_scale, None, torch.bfloat16)
        return [a, a_scale, outliers, b, b_scale, product, bnb.int8_mm_dequant(product, a_scale, b_scale), mixed, columns, scaled]

    assert_same(compute(CARD), compute("cpu"))


def test_every_operator_of_bitsandbytes_for_the_cpu_is_there():
    pytest.importorskip("bitsandbytes")
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    names = [name for name in torch._C._dispatch_get_registrations_for_dispatch_key("CPU") if name.startswith("bitsandbytes::")]
    assert len(names) >= 4
    generic = [name for name in names if has(name, "CompositeExplicitAutograd")]
    assert all(has(name, "PrivateUse1") for name in generic)  # the others come to the fallback


def test_quantized_layers_move_by_themselves(base):
    bnb = pytest.importorskip("bitsandbytes")
    four = bnb.nn.Linear4bit(384, 128, compute_dtype=torch.float32, quant_type="nf4").to("cpu")
    eight = bnb.nn.Linear8bitLt(384, 128, has_fp16_weights=False).to("cpu")
    x = torch.randn(3, 384, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = [layer(x) for layer in (four, eight)]
        for layer, answer, tolerance in zip((four, eight), answers, (1e-6, 0.05), strict=True):
            # in eight bits the CPU is given widened weights, a card computes in integers
            layer.to(CARD)
            assert layer.weight.device.type == "sim"
            assert torch.allclose(layer(x.to(CARD)).cpu(), answer, atol=tolerance)
            layer.to("cpu")
            assert torch.allclose(layer(x), answer, atol=1e-6)
    fresh = bnb.nn.Linear4bit(384, 128, compute_dtype=torch.float32, quant_type="nf4").to(CARD)  # quantized by the card
    assert fresh.weight.dtype == torch.uint8
    assert fresh(x.to(CARD)).device.type == "sim"


# --- the device itself


WITHOUT_BITSANDBYTES = """
import sys
sys.modules["bitsandbytes"] = None  # an import of it fails
import torch
from low_vram import sim
assert torch._C._get_privateuse1_backend_name() == "privateuseone", "importing installed it"
sim.install()
sim.install()
x = torch.ones(3, device="sim:0")
assert (x + x).cpu().tolist() == [2, 2, 2] and sim.memory_allocated() == 12
try:
    torch.utils.rename_privateuse1_backend("other")
except RuntimeError:
    print("done")
"""


def test_it_works_without_bitsandbytes_and_only_where_it_is_installed():
    run = subprocess.run([sys.executable, "-c", WITHOUT_BITSANDBYTES], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stderr


def test_an_operator_that_is_defined_later_runs_too(base):
    library = torch.library.Library("desk", "FRAGMENT")
    library.define("rest(Tensor(a) x) -> Tensor(a)")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("rest", lambda x: x[1:], "CPU")
    library.impl("twice", lambda x: x * 2, "CPU")
    library.impl("twice", lambda x: x * 3, "CompositeExplicitAutograd")
    x = torch.ones(10, device=CARD)
    rest = torch.ops.desk.rest(x)
    rest.zero_()
    assert sim.memory_allocated() == base + 40  # a view
    assert x.cpu().tolist() == [1] + [0] * 9
    sim.install()
    assert torch.ops.desk.twice(x)[0].item() == 2


def test_installing_again_changes_nothing():
    x = torch.ones(3, device=CARD)
    sim.install()
    assert (x + 1).cpu().tolist() == [2, 2, 2]


def test_a_printed_tensor_says_where_it_is():
    assert repr(torch.ones(2, device=CARD)) == "tensor([1., 1.], device='sim:0')"
