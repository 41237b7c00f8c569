"""The kernels called from several threads at once, and from a forked process."""

import os
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
