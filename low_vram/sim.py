"""A simulated graphics card, 'sim:0', made of host memory: its tensors keep to their side, and its bytes are counted and can be capped."""

from __future__ import annotations

import threading
import types
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import psutil
import torch
from torch import Tensor, UntypedStorage
from torch._C import DispatchKey
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

DEVICE = "sim:0"

# One kernel each on a GPU, with no tensors of their own, but composed of other operators elsewhere: they are run as a whole.
ONE_KERNEL = (
    "aten::scaled_dot_product_attention",
    "bitsandbytes::int8_mm_dequant",
    "bitsandbytes::int8_vectorwise_quant",
    "bitsandbytes::quantize_4bit",
)
GENERIC = ("CompositeExplicitAutograd", "CompositeImplicitAutograd", "CompositeExplicitAutogradNonFunctional")


class _Card:
    """The counts of the one card, and the registrations that make torch know it (they last as long as they are held)."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.live = self.peak = self.allocations = 0
        self.cap: int | None = None
        self.fails_at: int | None = None
        self.libraries: dict[str, torch.library.Library] = {}

    def take(self, size: int) -> None:
        """Count an allocation of `size` bytes. Raises torch.OutOfMemoryError."""
        with self.lock:
            self.allocations += 1
            if self.allocations == self.fails_at or (self.cap is not None and self.live + size > self.cap):
                free, total = self.memory()
                raise torch.OutOfMemoryError(
                    f"{DEVICE} out of memory. Tried to allocate {_words(size)}. The card has a total capacity of {_words(total)} "
                    f"of which {_words(free)} is free."
                )
            self.live += size
            self.peak = max(self.peak, self.live)

    def give(self, size: int) -> None:
        with self.lock:
            self.live -= size

    def memory(self) -> tuple[int, int]:
        """(free, total) in bytes."""
        if self.cap is None:
            host = psutil.virtual_memory()
            return host.available, host.total
        return max(0, self.cap - self.live), self.cap


def _words(size: int) -> str:
    for unit, width in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= width:
            return f"{size / width:.2f} {unit}"
    return f"{size} bytes"


_card = _Card()


class _Block:
    """Host bytes that count as the card's while a storage on the card holds this object."""

    __slots__ = ("host", "size")

    def __init__(self, host: UntypedStorage) -> None:
        self.host = host
        self.size = 0
        self.measure()

    def measure(self) -> None:
        """Count the host storage, which is new or was resized. As on a card, the new bytes are there before the old ones go."""
        new = self.host.nbytes()
        if new:
            _card.take(new)
        _card.give(self.size)
        self.size = new

    def __del__(self) -> None:
        _card.give(self.size)


def _storage(block: _Block) -> UntypedStorage:
    """A storage on the card over the bytes of `block`, which it keeps alive."""
    storage = torch._C._construct_storage_from_data_pointer(block.host.data_ptr(), torch.device(DEVICE), block.host.nbytes())
    # Held by the storage, not by a tensor: views, detach() and Parameter make new tensors over the same storage.
    storage.block = block
    storage.clone = lambda: _storage(_Block(block.host.clone()))  # for deepcopy: torch has no allocator for the card
    block.host.on_card = weakref.ref(storage)
    return storage


def _place(tensor: Tensor, storage: UntypedStorage, like: Tensor) -> Tensor:
    """`tensor` of the card, made to lie in `storage` as `like` lies in its own."""
    # The kernel for the CPU writes sizes, strides and offset only, so it may be given a tensor of the card.
    set_ = torch.ops.aten.set_.source_Storage_storage_offset
    return set_._op_dk(DispatchKey.CPU, tensor, storage, like.storage_offset(), like.shape, like.stride())


def _lift(raw: Tensor) -> Tensor:
    """A tensor on the card over the bytes of the host tensor `raw`. Bytes that are on the card keep their storage: `raw` is a view."""
    host = raw.untyped_storage()
    known = getattr(host, "on_card", None)
    storage = (known and known()) or _storage(_Block(host))
    return _place(torch._C._acc.create_empty_tensor((0,), raw.dtype), storage, raw)


def _lower(tensor: Tensor) -> Tensor:
    """The host tensor over the bytes of `tensor`, which is on the card."""
    host = tensor.untyped_storage().block.host
    raw = torch.empty(0, dtype=tensor.dtype, device="cpu").set_(host, tensor.storage_offset(), tensor.shape, tensor.stride())
    if tensor.is_conj():
        raw = raw.conj()
    return torch._neg_view(raw) if tensor.is_neg() else raw


def _follow(tensor: Tensor, raw: Tensor) -> None:
    """After an operator wrote to `raw`, give `tensor` its shape: `out=` tensors grow from nothing."""
    if raw.shape == tensor.shape and raw.stride() == tensor.stride():
        return
    storage = tensor.untyped_storage()
    if storage.nbytes() != storage.block.host.nbytes():
        storage.block.measure()
        storage = _storage(storage.block)
    _place(tensor, storage, raw)


def _is_here(tensor: Tensor) -> bool:
    return tensor.device.type == "sim"


class _Operator:
    """One of torch's operators on the card: its arguments are lowered, the CPU runs it, its results are lifted.

    Raises RuntimeError where host and card meet, as a GPU does, and torch.OutOfMemoryError where a result does not fit.
    """

    def __init__(self, op: torch._ops.OpOverload) -> None:
        self.op = op
        self.takes_numbers = torch._C._should_allow_numbers_as_tensors(op._schema.name.partition("::")[2])
        # An argument is known by its position, or by its name where it can only be given so.
        arguments = {a.name if a.kwarg_only else i: a for i, a in enumerate(op._schema.arguments)}
        self.tensors = [key for key, a in arguments.items() if "Tensor" in str(a.type)]
        self.written = {key: a.alias_info.before_set for key, a in arguments.items() if key in self.tensors and a.is_write}
        # x[...] may have its indices on the host, on a GPU too.
        self.anywhere = [key for key, a in arguments.items() if a.name == "indices" and "List" in str(a.type)]
        # For each result, the argument that it is, or None.
        aliases = [result.alias_info.before_set if result.alias_info else None for result in op._schema.returns]
        self.results = [next((key for key, written in self.written.items() if written == alias), None) for alias in aliases]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = dict(enumerate(args), **kwargs)
        raw = dict(given)
        devices: set[torch.device] = set()
        for key in self.tensors:
            value = given.get(key)
            if isinstance(value, Tensor):
                raw[key] = self._enter(key, value, devices)
            elif isinstance(value, list | tuple):
                raw[key] = [each if each is None else self._enter(key, each, devices) for each in value]
            elif value is not None and not self.takes_numbers:
                raw[key] = self._number(value, given)
        if len(devices) > 1:
            found = " and ".join(sorted(map(str, devices)))
            raise RuntimeError(f"Expected all tensors to be on the same device, but found {found} (in {self.op._schema.name})")
        if "device" in raw:
            raw["device"] = torch.device("cpu")
        try:
            out = self.op(*[raw[i] for i in range(len(args))], **{name: raw[name] for name in kwargs})
        except RuntimeError as error:
            if "DefaultCPUAllocator" not in str(error):
                raise
            raise torch.OutOfMemoryError(f"{DEVICE} out of memory: the host has no more. {error}") from error
        for key in self.written:
            if isinstance(given.get(key), Tensor):
                _follow(given[key], raw[key])
        if len(self.results) == 1:
            return self._leave(self.results[0], out, given)
        return tuple(self._leave(key, each, given) for key, each in zip(self.results, out, strict=True)) if self.results else None

    def _enter(self, key: int | str, value: Tensor, devices: set[torch.device]) -> Tensor:
        """The host tensor for an argument; its device goes into `devices`, but for a number without dimensions that is only read."""
        if _is_here(value):
            devices.add(value.device)
            return _lower(value)
        if (value.dim() or key in self.written) and key not in self.anywhere:
            devices.add(value.device)
        return value

    def _number(self, number: complex, given: dict[int | str, Any]) -> Tensor:
        """The host tensor for a number where the operator wants a tensor. It leaves the result's dtype as the number would."""
        beside = [given[key] for key in self.tensors if isinstance(given.get(key), Tensor)][-1]
        dtype = torch.result_type(beside, number)
        if beside.dim() and dtype == beside.dtype:  # no say in the dtype, so it may stay exact
            dtype = torch.float64 if isinstance(number, float) else None
        return torch.tensor(number, dtype=dtype, device="cpu")

    def _leave(self, key: int | str | None, out: Any, given: dict[int | str, Any]) -> Any:
        """A result: the argument that was written to, or what the CPU made, lifted."""
        if key is not None:
            return given[key]
        if isinstance(out, list | tuple):
            return [_lift(each) for each in out]
        return _lift(out) if isinstance(out, Tensor) else out


_operator = cache(_Operator)


def _fall_back(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
    return _operator(op)(*args, **kwargs)


def _copy(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """From the host to the card, back, or on the card. It is over when it returns, as every operator is: there is one stream."""
    (_lower(target) if _is_here(target) else target).copy_(_lower(source) if _is_here(source) else source)
    return target


def _convert(tensor: Tensor, non_blocking: bool = False, **how: Any) -> Tensor:
    """torch's own conversion, but one that waits: the other kind makes pinned host memory, which there is none of."""
    return torch.ops.aten._to_copy.default._op_dk(DispatchKey.CompositeExplicitAutograd, tensor, **how)


def _may_hold(tensor: Tensor, data: Tensor) -> bool:
    """Whether `tensor.data = data` is allowed, as it is between host and GPU. nn.Module.to() asks, and bitsandbytes assigns."""
    return all(each.layout == torch.strided and each.device.type in ("sim", "cpu") for each in (tensor, data))


def _cover() -> None:
    """Register the operators that would not come to the fallback: those with a generic version beside the one for the CPU."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    for name in {*torch._C._dispatch_get_registrations_for_dispatch_key("CPU"), *ONE_KERNEL}:
        namespace, _, rest = name.partition("::")
        packet, _, overload = rest.partition(".")
        op = getattr(getattr(getattr(torch.ops, namespace), packet, None), overload or "default", None)
        if op is None or has(name, "PrivateUse1"):
            continue
        if namespace not in _card.libraries:
            _card.libraries[namespace] = torch.library.Library(namespace, "IMPL")
        views = any(result.alias_info and not result.alias_info.is_write for result in op._schema.returns)
        if views or packet == "set_":  # touches sizes and strides only: may be given tensors of the card
            _card.libraries[namespace].impl(rest, partial(op._op_dk, DispatchKey.CPU), "PrivateUse1")
        elif name in ONE_KERNEL or any(has(name, key) for key in GENERIC):
            _card.libraries[namespace].impl(rest, _Operator(op), "PrivateUse1")


def _module() -> types.ModuleType:
    """torch.sim: what torch asks of a device's module, and the common names of torch.cuda."""
    module = types.ModuleType("torch.sim")
    module.__dict__.update(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda device: None,
        get_device_name=lambda device=None: "simulated card",
        synchronize=lambda device=None: None,
        empty_cache=lambda: None,
        memory_allocated=lambda device=None: memory_allocated(),
        memory_reserved=lambda device=None: memory_allocated(),
        max_memory_allocated=lambda device=None: max_memory_allocated(),
        reset_peak_memory_stats=lambda device=None: reset_peak(),
        mem_get_info=lambda device=None: _card.memory(),
        is_bf16_supported=lambda including_emulation=True: True,
        get_amp_supported_dtype=lambda: [torch.float16, torch.bfloat16],
        manual_seed_all=lambda seed: None,  # random numbers are the host's, which torch seeds itself
        _is_in_bad_fork=lambda: False,
    )
    return module


def install() -> None:
    """Make 'sim:0' a device of torch, once for this process; later calls only take in operators that were defined since.

    It takes torch's one place for a device from outside, and with it torch.accelerator; raises RuntimeError where another has it.
    nn.Module.to() and `.data =` cross as with a GPU: a parameter stays the same object. Streams do nothing, as every operator has
    ended when it returns. A seed means what it means on the CPU. There are no generators, pinned memory or autocast of the card's.
    What is counted is tensors: not a kernel's workspace, and not what an allocator rounds up or leaves between them.
    """
    with suppress(ImportError):  # its operators are only there to be covered once it is imported
        import bitsandbytes  # noqa: F401
    if not _card.libraries:
        _setup_privateuseone_for_python_backend(rename="sim", backend_module=_module())
        rest = _card.libraries["_"] = torch.library.Library("_", "IMPL")
        rest.fallback(_fall_back, "PrivateUse1")
        aten = _card.libraries["aten"] = torch.library.Library("aten", "IMPL")
        aten.impl("_copy_from", _copy, "PrivateUse1")
        for bit in ("Conjugate", "Negative"):  # to resolve such a bit torch copies, so the copy itself must take it as it is
            aten.impl("_copy_from", torch.library.fallthrough_kernel, bit)
        aten.impl("_to_copy", _convert, "PrivateUse1")
        aten.impl("_has_compatible_shallow_copy_type", _may_hold, "PrivateUse1")
        aten.impl("convolution_overrideable", _Operator(torch.ops.aten.convolution.default), "PrivateUse1")
    _cover()


def memory_allocated() -> int:
    """The bytes of all tensors alive on the card. Views share their bytes."""
    return _card.live


def max_memory_allocated() -> int:
    """The most bytes that were alive at once since the last reset."""
    return _card.peak


def reset_peak() -> None:
    """Start max_memory_allocated() anew from what is alive."""
    _card.peak = _card.live


def allocations() -> int:
    """How many allocations were asked for since the process began, refused ones too."""
    return _card.allocations


def set_cap(bytes: int | None) -> None:
    """Limit the card to `bytes`, what is alive included; None is the host's memory. Beyond it operators raise torch.OutOfMemoryError."""
    _card.cap = bytes


@contextmanager
def cap(bytes: int | None) -> Iterator[None]:
    """Limit the card to `bytes` for a while, the peak beginning anew; then the limit before it holds again."""
    before = _card.cap
    set_cap(bytes)
    reset_peak()
    try:
        yield
    finally:
        set_cap(before)


@contextmanager
def fail_at(allocation: int) -> Iterator[None]:
    """Let the allocation of that number from now on, counted from 1, raise torch.OutOfMemoryError; the ones after it succeed."""
    before = _card.fails_at
    _card.fails_at = _card.allocations + allocation
    try:
        yield
    finally:
        _card.fails_at = before
