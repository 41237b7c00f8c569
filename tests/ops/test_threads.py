"""The kernels called from several threads at once, and from a forked process."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from penstock.ops.kernel_ops import KernelOps


def test_threads_that_call_at_once_each_get_their_own_result(ops: KernelOps) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = ops.pack_linear(torch.randn(600, 64, generator=generator), None, torch.float32)
    inputs = [torch.randn(20, 64, generator=generator) for _ in range(24)]
    expected = [ops.linear(x, weight) for x in inputs]

    with ThreadPoolExecutor(max_workers=4) as callers:
        results = list(callers.map(lambda x: ops.linear(x, weight), inputs * 4))

    assert all(torch.equal(a, b) for a, b in zip(results, expected * 4, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system cannot fork.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_computes_without_its_parents_threads(ops: KernelOps) -> None:
    x = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    weight = ops.pack_linear(torch.ones(600, 64), None, torch.float32)
    expected = ops.linear(x, weight)

    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(ops.linear(x, weight), expected) else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_threads_that_wait_take_no_processor_time(
    ops: KernelOps, set_num_threads: Callable[[int], None]
) -> None:
    weight = ops.pack_linear(torch.ones(600, 64), None, torch.float32)
    set_num_threads(4)
    ops.linear(torch.ones(20, 64), weight)
    time.sleep(0.05)  # they spin for 50 microseconds, then sleep

    before = time.process_time()
    time.sleep(0.3)
    waited = time.process_time() - before
    set_num_threads(2)

    assert waited < 0.15


def test_more_threads_than_cores_waste_little(
    ops: KernelOps, set_num_threads: Callable[[int], None]
) -> None:
    """In processor time, which what else runs on the machine does not change much."""
    weight = ops.pack_linear(torch.ones(3000, 768), None, torch.float32)
    x = torch.ones(16, 768)

    spent = {}
    for num_threads in (1, 16):
        set_num_threads(num_threads)
        ops.linear(x, weight)
        before = time.process_time()
        for _ in range(10):
            ops.linear(x, weight)
        spent[num_threads] = time.process_time() - before
    set_num_threads(2)

    assert spent[16] < 4 * spent[1] + 0.1
