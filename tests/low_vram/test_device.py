"""Which device, which precision, how much memory."""

from __future__ import annotations

import pytest
import torch

from low_vram import sim
from low_vram.budget import BadBudget, read_bytes
from low_vram.device import choose_device, choose_dtype
from low_vram.memory import free_on, ran_out, read_memory, total_of


def test_a_device_that_is_named_is_kept():
    assert choose_device("cpu") == "cpu"


def test_half_precision_is_widened_where_a_processor_is_slow_in_it():
    assert choose_dtype(torch.float16, "cpu") == torch.float32
    assert choose_dtype(torch.bfloat16, "cpu") == torch.bfloat16


def test_the_hosts_memory_is_read():
    memory = read_memory("cpu")
    assert 0 < memory.host_used < memory.host_total
    assert 0 < free_on("cpu") <= memory.host_total
    assert memory.device_total is None
    assert total_of("cpu") is None


def test_a_cards_memory_is_read():
    sim.install()
    with sim.cap(sim.memory_allocated() + 1000):
        held = torch.empty(600, dtype=torch.uint8, device=sim.DEVICE)
        assert free_on(sim.DEVICE) == 400
        assert read_memory(sim.DEVICE).device_used == total_of(sim.DEVICE) - 400
        del held
        assert free_on(sim.DEVICE) == 1000


def test_running_out_is_told_from_other_errors():
    with sim.cap(sim.memory_allocated() + 10), pytest.raises(RuntimeError) as error:
        torch.empty(100, device=sim.DEVICE)
    assert ran_out(error.value)
    assert ran_out(MemoryError())
    assert ran_out(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not ran_out(RuntimeError("size mismatch"))


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 * 2**30), ("6 gb", 6 * 10**9), ("512MiB", 2**29), ("8", 8 * 2**30), ("1.5g", 3 * 2**29)]
)
def test_an_amount_of_memory_is_read(text, size):
    assert read_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GiB", "0", "8TiB", "8 GiB of it"])
def test_what_is_no_amount_is_a_sentence(text):
    with pytest.raises(BadBudget, match="8GiB"):
        read_bytes(text)
