"""Quantized layers: bitsandbytes' values, the same answer on every way through a layer, and no copy of a weight left anywhere."""

from __future__ import annotations

import copy
import subprocess
import sys
import weakref
from pathlib import Path

import bitsandbytes
import pytest
import torch
import torch.nn.functional as F
from bitsandbytes import functional
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from low_vram import quantize
from low_vram.quantize import Int8Linear, NF4Linear, can_fuse, int8_bytes, nf4_bytes, replace_linears, unpacked

ROOT = Path(__file__).parents[2]
DTYPES = [torch.float32, torch.bfloat16]
# (out, in): whole blocks; several second-level blocks; blocks across rows; the last block not full; rows shorter than a block; odd rows
SHAPES = [(96, 128), (160, 192), (64, 420), (10, 100), (48, 32), (5, 63)]
FUSED_SHAPES = [(96, 128), (160, 192), (64, 448), (32, 64), (256, 1024), (2048, 128)]
# A result in bfloat16 is rounded to 2^-9 of its size, as is each weight or scale on the way to it: on the whole less than 2^-7.
# In float32 only the order of the sums differs.
TOLERANCE = {torch.float32: 1e-6, torch.bfloat16: 2**-7}


@pytest.fixture
def in_pieces(monkeypatch):
    """Layers as small as these would never be cut into pieces."""
    monkeypatch.setattr(quantize, "PIECE", 64 * 128)
    monkeypatch.setattr(quantize, "QUANTIZE_PIECE", 64 * 16)


@pytest.fixture(params=["whole", "pieces"])
def both_ways(request):
    if request.param == "pieces":
        request.getfixturevalue("in_pieces")


def make_weight(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Weights as in a model: their sizes differ from row to row, and one row is zero."""
    generator = torch.Generator().manual_seed(rows * columns)
    weight = torch.randn(rows, columns, generator=generator) * torch.rand(rows, 1, generator=generator) * 0.1
    weight[1] = 0
    return weight.to(dtype)


def make_input(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def filled(kind: type, weight: torch.Tensor, bias: bool = True, **options: bool) -> NF4Linear | Int8Linear:
    rows, columns = weight.shape
    layer = kind(columns, rows, bias, weight.dtype, **options)
    layer.fill(weight, make_input(rows, dtype=weight.dtype) if bias else None, "cpu")
    return layer


def kinds(dtype: torch.dtype) -> list:
    return [(NF4Linear, {}), (Int8Linear, {}), *([(NF4Linear, {"fused": True})] if dtype == torch.bfloat16 else [])]


KINDS = [
    pytest.param(kind, options, dtype, id=f"{kind.__name__}{'-fused' * bool(options)}-{dtype}")
    for dtype in DTYPES
    for kind, options in kinds(dtype)
]


def distance(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """The size of the difference, relative to the size of what is wanted."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    return float((got.double() - wanted.double()).norm() / wanted.double().norm())


def theirs(weight: torch.Tensor) -> tuple[torch.Tensor, functional.QuantState]:
    """bitsandbytes' own packed weight and its state."""
    return functional.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")


# --- the values


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_nf4_buffers_are_those_of_bitsandbytes(shape, dtype):
    weight = make_weight(*shape, dtype)
    layer = filled(NF4Linear, weight)
    packed, state = theirs(weight)
    assert torch.equal(layer.packed, packed.view(-1))
    assert torch.equal(layer.absmax, state.absmax)
    assert torch.equal(layer.absmax_scale, state.state2.absmax)
    assert torch.equal(layer.absmax_offset, state.offset)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_nf4_unpacks_to_the_values_of_bitsandbytes(shape, dtype):
    weight = make_weight(*shape, dtype)
    packed, state = theirs(weight)
    codes = torch.stack([packed.view(-1) >> 4, packed.view(-1) & 15], 1).view(-1)[: weight.numel()]
    scales = (functional.dequantize_blockwise(state.absmax, state.state2) + state.offset).repeat_interleave(64)[: weight.numel()]
    wanted = (state.code[codes.int()] * scales).to(dtype).view(shape)
    assert torch.equal(filled(NF4Linear, weight).unpack(), wanted)
    if shape[1] >= 64 and shape[1] % 2 == 0:  # its CPU kernel errs in shorter rows, and has odd ones compiled
        assert torch.equal(functional.dequantize_4bit(packed, state), wanted)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("shape", FUSED_SHAPES)
def test_the_order_of_the_fused_kernel_keeps_every_weight(shape):
    weight = make_weight(*shape, torch.bfloat16)
    fused, plain = filled(NF4Linear, weight, fused=True), filled(NF4Linear, weight)
    assert not torch.equal(fused.packed, plain.packed)
    assert torch.equal(fused.unpack(), plain.unpack())


@pytest.mark.parametrize("shape", SHAPES)
def test_nf4_is_as_near_as_its_table_allows(shape):
    weight = make_weight(*shape)
    layer = filled(NF4Linear, weight)
    sizes = F.pad(weight.view(-1), (0, -weight.numel() % 64)).view(-1, 64).abs().amax(1)
    # A weight is at most half the widest gap of the table from its value; a scale is off by half the widest gap of its own table.
    half_gap = float((functional.get_4bit_type("nf4", "cpu").diff().max()) / 2)
    half_nested = float(functional.create_dynamic_map().diff().max() / 2) * layer.absmax_scale.repeat_interleave(256)[: len(sizes)]
    bound = (half_gap * sizes + half_nested).repeat_interleave(64)[: weight.numel()].view(shape)
    assert bool(((layer.unpack() - weight).abs() <= bound * (1 + 1e-5)).all())
    assert distance(layer.unpack(), weight) < 0.11  # normal weights in blocks of 64: about 0.09


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_int8_buffers_are_those_of_bitsandbytes(shape, dtype):
    weight = make_weight(*shape, dtype)
    layer = filled(Int8Linear, weight)
    rounded, absmax, _ = functional.int8_vectorwise_quant(weight.half())
    assert torch.equal(layer.rounded, rounded)
    assert torch.equal(layer.absmax, absmax)
    wanted = functional.int8_vectorwise_dequant(rounded, absmax).to(dtype)
    assert distance(layer.unpack(), wanted) < TOLERANCE[dtype]
    step = weight.float().abs().amax(1, keepdim=True) / 127
    # half a step of INT8; in bfloat16 the unpacked weight is rounded once more
    assert bool(((layer.unpack().float() - weight.float()).abs() <= step * 0.51 + weight.float().abs() * 2**-8).all())


# --- the results


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
@pytest.mark.parametrize("shape", [(1, 7, 128), (3, 2, 128), (5, 128), (128,), (1, 1, 128), (0, 128)])
def test_inputs_of_any_shape_meet_weight_and_bias(kind, options, dtype, shape):
    layer = filled(kind, make_weight(96, 128, dtype), **options)
    x = make_input(*shape, dtype=dtype)
    wanted = F.linear(x, layer.unpack(), layer.bias)
    if not x.numel():
        assert layer(x).shape == wanted.shape
    else:
        assert distance(layer(x), wanted) < TOLERANCE[dtype]
        assert distance(filled(kind, make_weight(96, 128, dtype), bias=False, **options)(x), F.linear(x, layer.unpack())) < TOLERANCE[dtype]


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [NF4Linear, Int8Linear])
@pytest.mark.parametrize("shape", SHAPES)
def test_layers_of_any_size_compute(kind, dtype, shape):
    layer = filled(kind, make_weight(*shape, dtype))
    x = make_input(4, shape[1], dtype=dtype)
    wanted = F.linear(x, layer.unpack(), layer.bias)
    assert distance(layer(x), wanted) < TOLERANCE[dtype]
    assert distance(layer(x[:1]), wanted[:1]) < TOLERANCE[dtype]


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
def test_one_token_has_the_result_that_it_has_among_many(kind, options, dtype):
    layer = filled(kind, make_weight(160, 192, dtype), **options)
    x = make_input(1, 9, 192, dtype=dtype)
    alone = torch.cat([layer(x[:, place : place + 1]) for place in range(9)], 1)
    assert distance(alone, layer(x)) < TOLERANCE[dtype]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("tokens", [1, 6])
def test_nf4_gives_what_their_layer_gives(fused, tokens):
    for dtype in DTYPES:
        weight, x = make_weight(160, 192, dtype), make_input(1, tokens, 192, dtype=dtype)
        ours = filled(NF4Linear, weight, fused=fused and dtype == torch.bfloat16)
        layer = bitsandbytes.nn.Linear4bit(192, 160, compress_statistics=True, quant_type="nf4", compute_dtype=dtype)
        layer.weight = bitsandbytes.nn.Params4bit(weight.clone(), quant_type="nf4", compress_statistics=True, module=layer)
        layer.bias = nn.Parameter(ours.bias.clone(), requires_grad=False)
        # In eval mode their layer computes in bfloat16 whatever the dtype; in float32 the other mode is compared.
        layer = layer.to("cpu").train(dtype == torch.float32)
        assert distance(ours(x), layer(x)) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [1, 6])
def test_int8_is_nearer_than_their_layer_which_rounds_inputs_too(dtype, tokens):
    weight, x = make_weight(160, 192, dtype), make_input(1, tokens, 192, dtype=dtype)
    x[..., 7] = 20  # an input that LLM.int8() keeps as it is
    ours = filled(Int8Linear, weight)
    layer = bitsandbytes.nn.Linear8bitLt(192, 160, has_fp16_weights=False, threshold=6.0)
    layer.weight = bitsandbytes.nn.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
    layer.bias = nn.Parameter(ours.bias.clone(), requires_grad=False)
    layer = layer.to("cpu").eval()
    exact = F.linear(x.double(), weight.double(), ours.bias.double()).to(dtype)
    # 127 steps for the largest input of a token: an error of about 1 % of a typical one
    assert distance(ours(x), layer(x)) < 0.02
    assert distance(ours(x), exact) < distance(layer(x), exact) < 0.02


@pytest.mark.skipif(not can_fuse(64, 32, torch.bfloat16), reason="this processor has no such kernel")
def test_the_fused_kernel_is_used_for_few_tokens_alone(monkeypatch):
    layer = filled(NF4Linear, make_weight(96, 128, torch.bfloat16), fused=True)
    unpackings = count(monkeypatch, NF4Linear, "_pieces")
    layer(make_input(1, 1, 128, dtype=torch.bfloat16))
    few = layer(make_input(1, quantize.FUSED_TOKENS, 128, dtype=torch.bfloat16))
    with unpacked(layer, tokens=quantize.FUSED_TOKENS):
        layer(make_input(1, 9, 128, dtype=torch.bfloat16))
    assert unpackings == []
    with unpacked(layer, tokens=quantize.FUSED_TOKENS + 1):
        assert len(unpackings) == 1
    unpackings.clear()
    many = layer(make_input(1, quantize.FUSED_TOKENS + 1, 128, dtype=torch.bfloat16))
    assert len(unpackings) == 1
    assert distance(few, many[:, : quantize.FUSED_TOKENS]) < TOLERANCE[torch.bfloat16]


def test_without_the_kernel_a_fused_layer_computes_all_the_same(monkeypatch):
    weight, x = make_weight(96, 128, torch.bfloat16), make_input(1, 1, 128, dtype=torch.bfloat16)
    monkeypatch.setattr(functional, "has_avx512bf16", lambda: False)
    assert torch.equal(filled(NF4Linear, weight, fused=True)(x), filled(NF4Linear, weight)(x))


@pytest.mark.parametrize(("columns", "rows", "dtype"), [(100, 64, torch.bfloat16), (128, 40, torch.bfloat16), (128, 64, torch.float32)])
def test_a_layer_that_the_kernel_does_not_take_is_not_fused(columns, rows, dtype):
    assert not can_fuse(columns, rows, dtype)
    with pytest.raises(ValueError, match=str(columns)):
        NF4Linear(columns, rows, False, dtype, fused=True)


# --- memory and moving


class Made(TorchDispatchMode):
    """The memory that operations ask for: the bytes of the largest piece, and those of all that is still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.largest, self._made = 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        for storage in (leaf.untyped_storage() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)):
            if storage.data_ptr() not in given:
                self.largest = max(self.largest, storage.nbytes())
                self._made[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        return out

    @property
    def alive(self) -> int:
        return sum(size for storage, size in self._made.values() if not storage.expired())


def count(monkeypatch, kind: type, method: str) -> list:
    """One entry for each call of the method from now on."""
    calls, stock = [], getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda self, *arguments: calls.append(self) or stock(self, *arguments))
    return calls


@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
@pytest.mark.parametrize("place", range(len(SHAPES)))
def test_the_bytes_are_known_from_the_shape_alone(kind, options, dtype, place):
    rows, columns = (FUSED_SHAPES if options else SHAPES)[place]
    with torch.device("meta"):
        empty = kind(columns, rows, True, dtype, **options)
    layer = filled(kind, make_weight(rows, columns, dtype), **options)
    known = nf4_bytes(rows, columns, **options) if kind is NF4Linear else int8_bytes(rows, columns)
    for either in (empty, layer):
        assert sum(buffer.nbytes for name, buffer in either.named_buffers() if name != "bias") == known
        assert either.bias.nbytes == rows * dtype.itemsize
        assert not list(either.parameters())
    assert sum(buffer.untyped_storage().nbytes() for buffer in layer.buffers()) == known + layer.bias.nbytes  # nor hidden behind a view


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
def test_filling_and_computing_take_a_piece_at_a_time(kind, options, dtype):
    weight = make_weight(1024, 128, dtype)
    result = nf4_bytes(1024, 128) if kind is NF4Linear else int8_bytes(1024, 128)
    with Made() as made:
        layer = filled(kind, weight, **options)
    assert made.largest <= result < weight.nbytes
    x = make_input(1, 3, 128, dtype=dtype)
    with Made() as made:
        layer(x)
    assert made.largest <= 64 * 128 * 4


def test_a_layer_is_made_on_the_meta_device_and_filled_there_and_then():
    weight, bias = make_weight(96, 128), make_input(96, dtype=torch.float32)
    for kind in (NF4Linear, Int8Linear):
        with torch.device("meta"):
            layer = kind(128, 96, True, torch.float32)
        assert all(buffer.is_meta for buffer in layer.buffers())
        layer.fill(weight, bias, "cpu")
        assert not any(buffer.is_meta for buffer in layer.buffers())
        assert distance(layer(bias[None, :96].repeat(1, 2)[:, :128]), F.linear(bias.repeat(2)[None, :128], layer.unpack(), bias)) < 1e-6


@pytest.mark.parametrize("first", ["weight", "bias"])
def test_weight_and_bias_may_come_one_after_the_other(first):
    weight, bias = make_weight(96, 128), make_input(96, dtype=torch.float32)
    with torch.device("meta"):
        layer = NF4Linear(128, 96, True, torch.float32)
    if first == "bias":
        layer.bias = bias
    layer.fill(weight, None, "cpu")
    if first == "weight":
        assert not layer.bias.any()
        layer.bias = bias
    assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize("kind", [NF4Linear, Int8Linear])
def test_a_wrong_shape_is_refused(kind):
    layer = kind(128, 96, True, torch.float32)
    with pytest.raises(ValueError, match="weight"):
        layer.fill(make_weight(128, 96), None, "cpu")
    with pytest.raises(ValueError, match="bias"):
        layer.fill(make_weight(96, 128), torch.zeros(128), "cpu")
    with pytest.raises(ValueError, match="bias"):
        kind(128, 96, False, torch.float32).fill(make_weight(96, 128), torch.zeros(96), "cpu")


@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
def test_everything_moves_with_the_buffers(kind, options, dtype):
    layer, x = filled(kind, make_weight(160, 192, dtype), **options), make_input(1, 1, 192, dtype=dtype)
    wanted = layer(x)
    # by hand, one buffer after another
    with torch.device("meta"):
        other = kind(192, 160, True, dtype, **options)
    for name, buffer in layer.named_buffers():
        setattr(other, name, buffer.clone())
    assert torch.equal(other(x), wanted)
    # through a file
    with torch.device("meta"):
        other = kind(192, 160, True, dtype, **options)
    other.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(other(x), wanted)
    assert torch.equal(copy.deepcopy(layer)(x), wanted)
    # .to() takes all of it: nothing stays behind
    layer.to("meta")
    assert all(buffer.is_meta for buffer in layer.buffers())
    assert not [value for value in vars(layer).values() if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize(("kind", "options", "dtype"), KINDS)
def test_a_cast_changes_what_is_computed_in_and_not_the_weights(kind, options, dtype):
    layer = filled(kind, make_weight(160, 192, dtype), **options)
    other = torch.float32 if dtype == torch.bfloat16 else torch.bfloat16
    before = {name: buffer.clone() for name, buffer in layer.named_buffers() if name != "bias"}
    wanted = layer.unpack()
    nn.Sequential(layer).to(other)
    assert all(torch.equal(layer.get_buffer(name), buffer) for name, buffer in before.items())
    assert layer.bias.dtype == layer.dtype == other
    assert distance(layer.unpack().to(dtype), wanted) < TOLERANCE[torch.bfloat16]
    x = make_input(1, 1, 192, dtype=other)
    assert distance(layer(x), F.linear(x, layer.unpack(), layer.bias)) < TOLERANCE[other]


def test_importing_costs_no_bitsandbytes():
    """It takes seconds, and a plan or a model in full precision needs none."""
    code = "import sys, low_vram.quantize as q; q.nf4_bytes(64, 64); print('bitsandbytes' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# --- a model's layers


class Block(nn.Module):
    """As a decoder layer: some NF4, and what is not."""

    def __init__(self, dtype: torch.dtype, seed: int = 0, fused: bool = False):
        super().__init__()
        weight = make_weight(128, 128, dtype) + seed
        self.up, self.down = filled(NF4Linear, weight, fused=fused), filled(NF4Linear, weight * 0.5, fused=fused)
        self.other, self.norm = filled(Int8Linear, weight), nn.LayerNorm(128, dtype=dtype).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.other(self.down(F.silu(self.up(x)))))


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(("dtype", "fused"), [(torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True)])
def test_unpacked_gives_the_same_and_leaves_no_copy(dtype, fused, monkeypatch):
    block, x = Block(dtype, fused=fused), make_input(1, 6, 128, dtype=dtype)
    wanted = block(x)
    unpackings = count(monkeypatch, NF4Linear, "_pieces")
    with Made() as made:
        with unpacked(block):
            assert made.alive >= 2 * 128 * 128 * dtype.itemsize
            assert distance(block(x), wanted) < TOLERANCE[dtype]
            assert distance(torch.cat([block(x[:, :4]), block(x[:, 4:])], 1), wanted) < TOLERANCE[dtype]
            assert len(unpackings) == 2  # one for each layer, for all of it
        assert made.alive == 0
    assert torch.equal(block(x), wanted)


def test_the_copies_are_dropped_where_something_fails_inside():
    block = Block(torch.float32)
    with Made() as made:
        with pytest.raises(ZeroDivisionError), unpacked(block):
            raise ZeroDivisionError
        assert made.largest >= 128 * 128 * 4
        assert made.alive == 0


def test_the_copies_are_dropped_where_memory_runs_out_on_the_way(monkeypatch):
    block, stock = Block(torch.float32), NF4Linear.unpack

    def unpack(layer, *arguments):
        if layer is block.down:
            raise torch.OutOfMemoryError
        return stock(layer, *arguments)

    monkeypatch.setattr(NF4Linear, "unpack", unpack)
    with Made() as made:
        with pytest.raises(torch.OutOfMemoryError), unpacked(block):
            pass
        assert made.largest >= 128 * 128 * 4
        assert made.alive == 0


def test_a_second_unpacking_inside_the_first_ends_without_it():
    block = Block(torch.float32)
    with unpacked(block):
        copy_of_up = weakref.ref(block.up._whole)
        with unpacked(block.up):
            assert block.up._whole is copy_of_up()
        assert block.up._whole is copy_of_up() is not None
    assert copy_of_up() is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_unpack_into_the_room_of_those_before(dtype):
    blocks, x, room = [Block(dtype, seed) for seed in range(3)], make_input(1, 6, 128, dtype=dtype), {}
    places = set()
    for block in blocks:
        wanted = block(x)
        with unpacked(block, room):
            assert distance(block(x), wanted) < TOLERANCE[dtype]
            places.add((block.up._whole.data_ptr(), block.down._whole.data_ptr()))
        assert block.up._whole is None
    assert len(places) == 1
    assert sum(tensor.nbytes for tensor in room.values()) == 2 * 128 * 128 * dtype.itemsize


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(128, 64)
        self.o_proj = nn.Linear(100, 64, bias=False)
        self.attention = nn.MultiheadAttention(64, 2)  # reads the weight of its linear layer itself


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Inner(), Inner()])
        self.head = nn.Linear(64, 10)
        self.header = nn.Linear(64, 10)


@pytest.mark.parametrize(("kind", "made"), [("nf4", NF4Linear), ("int8", Int8Linear)])
def test_linear_layers_are_replaced_in_a_tree_without_weights(kind, made):
    with torch.device("meta"):
        model = Outer().to(torch.bfloat16).eval()
    replaced = replace_linears(model, kind, skip=("head", "layers.1"))
    assert replaced == ["layers.0.q_proj", "layers.0.o_proj", "header"]
    assert {name for name, layer in model.named_modules() if type(layer) is made} == set(replaced)
    layer = model.layers[0].q_proj
    assert (layer.in_features, layer.out_features, layer.dtype, layer.training) == (128, 64, torch.bfloat16, False)
    assert layer.bias is not None
    assert model.layers[0].o_proj.bias is None
    assert all(buffer.is_meta for buffer in model.buffers())


def test_only_what_a_cpu_computes_is_fused():
    with torch.device("meta"):
        stored, computed = Outer().to(torch.bfloat16), Outer().to(torch.bfloat16)
    replace_linears(stored, "nf4")
    replace_linears(computed, "nf4", on_cpu=True)
    assert not stored.layers[0].q_proj.fused
    assert computed.layers[0].q_proj.fused == can_fuse(128, 64, torch.bfloat16)
    assert not computed.layers[0].o_proj.fused


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="nf4, int8"):
        replace_linears(Outer(), "fp4")
