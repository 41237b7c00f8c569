"""The native kernels once per instruction set that this machine can run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.ops.kernel_library import (
    ISAS,
    LIBRARY_PATH,
    Kernels,
    KernelsUnavailable,
    load_kernels,
)
from penstock.ops.kernel_ops import KernelOps
from tests.conftest import missing

# A build of the kernels to test in place of the installed one; see `make sanitize`.
LIBRARY = Path(os.environ.get("PENSTOCK_TEST_KERNELS", LIBRARY_PATH))
# What the wider sets have of their own is products; of the rest these have one each.
WITH_ALL_KERNELS = [isa for isa in ISAS if isa in {"avx512", "avx2", "neon", "generic"}]


def _load(isa: str) -> Kernels:
    try:
        return load_kernels(isa, LIBRARY)
    except KernelsUnavailable as error:
        missing("kernels", str(error))
        raise


@pytest.fixture(scope="session", params=WITH_ALL_KERNELS)
def ops(request: pytest.FixtureRequest) -> KernelOps:
    """The kernels of one instruction set, on two threads."""
    return _on_two_threads(request.param)


@pytest.fixture(scope="session", params=ISAS)
def linear_ops(request: pytest.FixtureRequest) -> KernelOps:
    """The same, of every instruction set that multiplies in its own way."""
    return _on_two_threads(request.param)


def _on_two_threads(isa: str) -> KernelOps:
    kernels = _load(isa)
    kernels.library.penstock_set_num_threads(2)
    return KernelOps(kernels)


@pytest.fixture(scope="session")
def set_num_threads() -> Callable[[int], None]:
    """Changes the number of threads of the whole process."""
    return _load("best").library.penstock_set_num_threads  # type: ignore[no-any-return]
