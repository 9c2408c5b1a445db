"""Linear layers whose weights are kept in NF4 or INT8: bitsandbytes' arithmetic over ordinary buffers, which move like any others."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from math import ceil
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 64  # NF4: weights that share a scale
NEST = 256  # NF4: scales that share a scale of their own
OUTLIER = 6.0  # INT8: inputs of at least this size are not rounded (LLM.int8(), arXiv 2208.07339, section 3.2)
# So many weights a CPU unpacks at a time. 8 MB in bfloat16 stay in its caches, and in the allocator's hands: a larger piece is asked of
# the system anew each time, which takes five times as long as the unpacking.
PIECE = 2**22
QUANTIZE_PIECE = 2**21  # less for quantizing, which makes float32 copies
# Up to so many tokens bitsandbytes' CPU kernel is faster than unpacking a layer for one call. On two cores with AVX512-BF16, 16 tokens
# take 0.6 of the time that bfloat16 weights do, 64 the same, 256 a third more.
FUSED_TOKENS = 256


class QuantizedLinear(nn.Module):
    """y = x W^T + b as nn.Linear, for inference, its weight [out_features, in_features] kept quantized.

    `dtype` is that of inputs, bias and results, and the one that the weight is unpacked to. Everything is in buffers: a layer can be made
    on the meta device, filled later, and moved by `.to()` or by assigning its buffers.
    """

    absmax: Tensor
    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.in_features, self.out_features, self.dtype = in_features, out_features, dtype
        self.register_buffer("bias", torch.zeros(out_features, dtype=dtype) if bias else None)
        self._whole: Tensor | None = None  # the unpacked weight, inside `unpacked`; no buffer, so that nothing moves or saves it

    def fill(self, weight: Tensor, bias: Tensor | None, device: torch.device | str) -> None:
        """Quantize `weight` [out_features, in_features] on the device where it is, and keep the result on `device`.

        On a CPU this takes some 30 MB beside the result. With `bias` [out_features] None a layer's own one is kept, or is zero where
        it was on the meta device: a loader that reads tensor by tensor may assign it before or after. Raises ValueError for another shape.
        """
        if weight.shape != (self.out_features, self.in_features):
            raise ValueError(f"a weight {tuple(weight.shape)} for a layer of {(self.out_features, self.in_features)}")
        if bias is not None and (self.bias is None or bias.shape != self.bias.shape):
            raise ValueError(f"a bias {tuple(bias.shape)} for a layer with {None if self.bias is None else tuple(self.bias.shape)}")
        for name, buffer in self._quantize(weight.detach()).items():
            setattr(self, name, buffer.to(device))
        if bias is not None:
            self.bias = bias.detach().to(device, self.dtype)
        elif self.bias is not None:
            self.bias = torch.zeros_like(self.bias, device=device) if self.bias.is_meta else self.bias.to(device)

    def unpack(self, out: Tensor | None = None) -> Tensor:
        """The weight [out_features, in_features] in `dtype`; in the memory of `out`, where that is given."""
        if out is None and self.absmax.device.type != "cpu":
            return next(self._pieces())[1]  # the one piece is the whole
        if out is None:
            out = torch.empty(self.out_features, self.in_features, dtype=self.dtype, device=self.absmax.device)
        for rows, weight in self._pieces():
            out[rows] = weight
        return out

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in_features] -> [..., out_features]."""
        if self._whole is not None:
            return F.linear(x, self._whole, self.bias)
        if self._has_kernel(x.numel() // self.in_features):
            return self._multiply(x)
        if x.device.type != "cpu":
            return F.linear(x, self.unpack(), self.bias)
        # Each piece is multiplied while it is in the caches: for many tokens that is as fast as with the whole weight at hand.
        y = x.new_empty(*x.shape[:-1], self.out_features)
        for rows, weight in self._pieces():
            y[..., rows] = F.linear(x, weight, None if self.bias is None else self.bias[rows])
        return y

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, dtype={self.dtype}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantizedLinear:
        # `model.to(dtype)` says what to compute in. Scales rounded to half precision would make other weights.
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None and name != "bias"}
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            if self._buffers[name].dtype != buffer.dtype:
                self._buffers[name] = buffer.to(self._buffers[name].device)
        self.dtype = fn(torch.empty(0, dtype=self.dtype)).dtype
        return self

    def _row_pieces(self, device: torch.device) -> Iterator[slice]:
        """All rows in pieces: on a CPU of about PIECE weights, in multiples of BLOCK rows so that no block of weights is cut; else one."""
        step = max(BLOCK, PIECE // self.in_features // BLOCK * BLOCK) if device.type == "cpu" else self.out_features
        for first in range(0, self.out_features, step):
            yield slice(first, min(first + step, self.out_features))

    def _quantize(self, weight: Tensor) -> dict[str, Tensor]:
        """{name of a buffer: what it holds for `weight`}."""
        raise NotImplementedError

    def _pieces(self) -> Iterator[tuple[slice, Tensor]]:
        """(rows, their weights [rows, in_features] in `dtype`), one piece after another."""
        raise NotImplementedError

    def _has_kernel(self, tokens: int) -> bool:
        """Whether so many tokens are best multiplied with the weight as it is kept, where it is."""
        raise NotImplementedError

    def _multiply(self, x: Tensor) -> Tensor:
        """The result, by that kernel."""
        raise NotImplementedError


class NF4Linear(QuantizedLinear):
    """Weights in NF4 with double quantization (QLoRA, arXiv 2305.14314): bitsandbytes' values, and its order of bytes unless `fused`.

    `fused` is for layers that a CPU computes (see `can_fuse`): the bytes lie as bitsandbytes' CPU kernel for few tokens wants them, with
    the scales once more in bfloat16. Such a layer gives the same anywhere, but is slower on a card. Raises ValueError for a shape or a
    dtype that the kernel does not take.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype, fused: bool = False) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        if fused and not _kernel_takes(in_features, out_features, dtype):
            raise ValueError(f"no kernel for a fused layer of {in_features} to {out_features} features in {dtype}")
        self.fused = fused
        blocks = ceil(in_features * out_features / BLOCK)
        self.register_buffer("packed", torch.empty(ceil(in_features * out_features / 2), dtype=torch.uint8))
        self.register_buffer("absmax", torch.empty(blocks, dtype=torch.uint8))
        self.register_buffer("absmax_scale", torch.empty(ceil(blocks / NEST), dtype=torch.float32))
        self.register_buffer("absmax_offset", torch.empty((), dtype=torch.float32))
        # [in_features / BLOCK, out_features]: the scales as the kernel reads them
        self.register_buffer("fused_scale", torch.empty(in_features // BLOCK, out_features, dtype=torch.bfloat16) if fused else None)

    def _quantize(self, weight: Tensor) -> dict[str, Tensor]:
        packed, absmax = _quantize_nf4(weight)
        offset = absmax.mean()
        codes, nested = _functional().quantize_blockwise(absmax - offset, blocksize=NEST)
        buffers = {"packed": packed, "absmax": codes, "absmax_scale": nested.absmax, "absmax_offset": offset}
        if self.fused:
            for rows in self._row_pieces(packed.device):
                part = packed[rows.start * self.in_features // 2 : rows.stop * self.in_features // 2]
                part.copy_(_to_kernel(part, self.in_features))
            scale = _widen(codes, nested.absmax, offset).view(self.out_features, -1)
            buffers["fused_scale"] = scale.T.to(torch.bfloat16).contiguous()
        return buffers

    def _pieces(self) -> Iterator[tuple[slice, Tensor]]:
        scales = _widen(self.absmax, self.absmax_scale, self.absmax_offset)
        for rows in self._row_pieces(self.absmax.device):
            first, last = rows.start * self.in_features, rows.stop * self.in_features
            packed = self.packed[first // 2 : ceil(last / 2)]
            if self.fused:
                packed = _from_kernel(packed, self.in_features)
            # On a CPU the kernel errs where a row is shorter than a block, and there is none for rows of odd length: it is given a row
            # for each block, or, where the last block is not full, one row of even length.
            shape = [1, 2 * len(packed)] if last % BLOCK else [(last - first) // BLOCK, BLOCK]
            parts = scales[first // BLOCK : ceil(last / BLOCK)]
            weight = _ops().dequantize_4bit(packed, parts, BLOCK, "nf4", shape, self.dtype)
            yield rows, weight.view(-1)[: last - first].view(-1, self.in_features)

    def _has_kernel(self, tokens: int) -> bool:
        if self.absmax.device.type == "cpu":
            return self.fused and 0 < tokens <= FUSED_TOKENS and self.dtype == torch.bfloat16 and _functional().has_avx512bf16()
        return tokens == 1 and not self.fused and self.in_features % BLOCK == 0

    def _multiply(self, x: Tensor) -> Tensor:
        shape = [self.out_features, self.in_features]
        if x.device.type != "cpu":
            scale, code, offset = self.absmax_scale, _nested_code(x.device), self.absmax_offset
            return _ops().gemm_4bit(x, self.packed.view(-1, 1), shape, scale, BLOCK, "nf4", self.bias, self.absmax, code, offset)
        # the inputs as _to_kernel has the weights
        x_ordered = x.reshape(-1, self.in_features // BLOCK, 16, 2, 2).permute(0, 1, 4, 2, 3).flip(2).reshape(-1, self.in_features)
        y = _ops().gemv_4bit(x_ordered, self.packed, shape, self.fused_scale, _nf4_code(), BLOCK).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class Int8Linear(QuantizedLinear):
    """Weights in INT8, each row scaled by its largest one (LLM.int8(), arXiv 2208.07339).

    On a card the inputs are rounded to INT8 as well, but those of at least OUTLIER, by bitsandbytes' kernels. A CPU is not faster for
    rounding them, and keeps them as they are.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype) -> None:
        super().__init__(in_features, out_features, bias, dtype)
        self.register_buffer("rounded", torch.empty(out_features, in_features, dtype=torch.int8))
        self.register_buffer("absmax", torch.empty(out_features, dtype=torch.float32))

    def _quantize(self, weight: Tensor) -> dict[str, Tensor]:
        rounded = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
        absmax = torch.empty(self.out_features, dtype=torch.float32, device=weight.device)
        for rows in self._row_pieces(weight.device):
            rounded[rows], absmax[rows], _ = _ops().int8_vectorwise_quant(weight[rows].to(torch.float16))
        return {"rounded": rounded, "absmax": absmax}

    def _pieces(self) -> Iterator[tuple[slice, Tensor]]:
        for rows in self._row_pieces(self.absmax.device):
            yield rows, (self.rounded[rows] * (self.absmax[rows, None] / 127)).to(self.dtype)

    def _has_kernel(self, tokens: int) -> bool:
        return tokens > 0

    def _multiply(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, self.in_features)
        if x.device.type != "cpu":
            rounded, absmax, outliers = _ops().int8_vectorwise_quant(flat.to(torch.float16), OUTLIER)
            y, _ = _ops().int8_mixed_scaled_mm(flat, rounded, self.rounded, absmax, self.absmax, outliers, self.bias)
            return y.view(*x.shape[:-1], -1)
        scale = (self.absmax / 127).to(x.dtype)
        # torch's kernel reads past the end of rows that are no multiple of its step, and is slow in float32 and for many tokens.
        if len(flat) == 1 and x.dtype == torch.bfloat16 and self.in_features % 64 == 0:
            y = torch._weight_int8pack_mm(flat, self.rounded, scale).view(*x.shape[:-1], -1)
        else:
            y = x.new_empty(*x.shape[:-1], self.out_features)
            for rows in self._row_pieces(x.device):
                y[..., rows] = F.linear(x, self.rounded[rows].to(x.dtype)) * scale[rows]  # whole numbers to 127 are exact in bfloat16
        return y if self.bias is None else y + self.bias


KINDS: dict[str, type[QuantizedLinear]] = {"nf4": NF4Linear, "int8": Int8Linear}


def nf4_bytes(out_features: int, in_features: int, fused: bool = False) -> int:
    """Bytes of an NF4Linear without its bias: half a byte a weight, one a block, four for 256 blocks, and two a block where `fused`."""
    blocks = ceil(out_features * in_features / BLOCK)
    return ceil(out_features * in_features / 2) + blocks + 4 * ceil(blocks / NEST) + 4 + (2 * blocks if fused else 0)


def int8_bytes(out_features: int, in_features: int) -> int:
    """Bytes of an Int8Linear without its bias: one a weight, four a row."""
    return out_features * in_features + 4 * out_features


def can_fuse(in_features: int, out_features: int, dtype: torch.dtype) -> bool:
    """Whether this processor has a kernel for NF4 layers of this kind: one token takes a fifth of the time that bfloat16 weights do."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16")) and _kernel_takes(in_features, out_features, dtype)


def replace_linears(module: nn.Module, kind: str, skip: Collection[str] = (), on_cpu: bool = False) -> list[str]:
    """Put an empty quantized layer (`kind`: 'nf4' or 'int8') in the place of every nn.Linear under `module`; their names.

    `skip` names the parts that stay as they are, with all that is under them. `on_cpu` says that a CPU will compute the layers, not just
    store them: NF4 is then fused where that is possible. Each layer is made on the device of the one it replaces, so a module on the meta
    device takes no memory. Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
    names = [name for name, layer in module.named_modules() if type(layer) is nn.Linear]
    names = [name for name in names if not any(f"{name}.".startswith(f"{part}.") for part in skip)]
    for name in names:
        old = module.get_submodule(name)
        size = (old.in_features, old.out_features, old.bias is not None, old.weight.dtype)
        with torch.device(old.weight.device):
            if kind == "nf4":
                new = NF4Linear(*size, fused=on_cpu and can_fuse(old.in_features, old.out_features, old.weight.dtype))
            else:
                new = Int8Linear(*size)
        module.set_submodule(name, new.train(old.training))
    return names


@contextmanager
def unpacked(module: nn.Module, room: dict | None = None, tokens: int | None = None) -> Iterator[None]:
    """Inside it every NF4Linear under `module` has its weight unpacked, so that many calls share the work; then the copies are dropped.

    For a prefill that takes all chunks of a prompt through one layer of the model after another; layers for which that is not worth it
    with so many `tokens` at once (None: very many) stay as they are. `room`, empty at first and handed in again for each layer, keeps the
    memory of the copies for the next one of the same shapes until the caller drops it: on a CPU, asking the system for that memory takes
    longer than unpacking.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, NF4Linear) and layer._whole is None}
    layers = {name: layer for name, layer in layers.items() if tokens is None or not layer._has_kernel(tokens)}
    try:
        for name, layer in layers.items():
            place = (name, layer.out_features, layer.in_features, layer.dtype, layer.absmax.device)
            layer._whole = layer.unpack(None if room is None else room.get(place))
            if room is not None:
                room[place] = layer._whole
        yield
    finally:
        for layer in layers.values():
            layer._whole = None


@functools.cache
def _functional() -> ModuleType:
    """bitsandbytes.functional, imported when it is needed: it takes three seconds, most of them for torch's compiler."""
    # It warns of kernels that it would rather have from the network.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    import bitsandbytes.functional

    return bitsandbytes.functional


def _ops() -> ModuleType:
    _functional()  # defines them
    return torch.ops.bitsandbytes


@functools.cache
def _nested_code(device: torch.device) -> Tensor:
    """The 256 values [256] that scales are rounded to."""
    return _functional().create_dynamic_map().to(device)


@functools.cache
def _nf4_code() -> Tensor:
    """The 16 values [16] that weights are rounded to, on the CPU."""
    return _functional().get_4bit_type("nf4", device="cpu")


def _widen(codes: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """The scales of all blocks [blocks] in float32, from their doubly quantized form."""
    return _ops().dequantize_blockwise(codes, scale, _nested_code(codes.device), NEST, torch.float32) + offset


def _quantize_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(two weights a byte, the first in its high half; the largest size in each block, in float32), as bitsandbytes' quantize_4bit."""
    if weight.device.type != "cpu":
        packed, absmax = _ops().quantize_4bit(weight.contiguous(), BLOCK, "nf4", torch.uint8)
        return packed.view(-1), absmax
    # bitsandbytes' operation has no kernel for a CPU: this takes a quarter of the time, and not several copies in float32.
    code = _nf4_code()
    bounds = ((code[1:] + code[:-1]) / 2).tolist()
    weights = weight.reshape(-1)
    packed = torch.empty(ceil(len(weights) / 2), dtype=torch.uint8, device=weight.device)
    absmax = torch.empty(ceil(len(weights) / BLOCK), dtype=torch.float32, device=weight.device)
    for first in range(0, len(weights), QUANTIZE_PIECE):
        part = weights[first : first + QUANTIZE_PIECE].float()
        blocks = F.pad(part, (0, -len(part) % BLOCK)).view(-1, BLOCK)
        largest = blocks.abs().amax(1)
        scaled = blocks * (1 / largest.clamp(min=1e-38))[:, None]
        codes = torch.zeros_like(scaled, dtype=torch.uint8)
        for bound in bounds:
            codes += scaled > bound
        codes = codes.view(-1)
        absmax[first // BLOCK : first // BLOCK + len(largest)] = largest
        packed[first // 2 : (first + QUANTIZE_PIECE) // 2] = (codes[::2] << 4 | codes[1::2])[: ceil(len(part) / 2)]
    return packed, absmax


def _kernel_takes(in_features: int, out_features: int, dtype: torch.dtype) -> bool:
    return dtype == torch.bfloat16 and in_features % BLOCK == 0 and out_features % 32 == 0


def _to_kernel(packed: Tensor, in_features: int) -> Tensor:
    """`packed` in the order of bitsandbytes' CPU kernel; `in_features` as `_kernel_takes` wants them.

    For 32 rows and two inputs the kernel reads 32 bytes: bytes 2r and 2r + 1 have row r in their low halves and row r + 16 in their high
    ones. Within a block the inputs may come in any order, as they share a scale: here first the odd ones, then the even ones. So rows are
    only transposed in pieces of 16 bits (four weights), and half bytes exchanged between two rows.
    """
    planes = packed.view(torch.int16).view(-1, 2, 16, in_features // BLOCK, 16).permute(0, 3, 1, 4, 2).contiguous()
    _exchange(planes[:, :, 0], planes[:, :, 1])
    return planes.view(-1).view(torch.uint8)


def _from_kernel(packed: Tensor, in_features: int) -> Tensor:
    """`packed`, in the order of `_to_kernel`, in bitsandbytes' own."""
    rows = packed.view(torch.int16).view(-1, in_features // BLOCK, 2, 16, 16).permute(0, 2, 4, 1, 3).contiguous()
    _exchange(rows[:, 0], rows[:, 1])
    return rows.view(-1).view(torch.uint8)


def _exchange(one: Tensor, other: Tensor) -> None:
    """Exchange the high halves of the bytes of `one` (int16) with the low halves of those of `other`, in place."""
    differing = (one >> 4).bitwise_xor_(other).bitwise_and_(0x0F0F)
    other ^= differing
    one ^= differing << 4
