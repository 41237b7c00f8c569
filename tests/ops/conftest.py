"""The native kernels once per instruction set that this machine can run."""

from collections.abc import Callable

import pytest

from penstock.ops.kernel_library import Kernels, KernelsUnavailable, load_kernels
from penstock.ops.kernel_ops import KernelOps
from tests.conftest import missing

ISAS = ("avx512", "avx2", "generic")


def _load(isa: str) -> Kernels:
    try:
        return load_kernels(isa)
    except KernelsUnavailable as error:
        missing("kernels", str(error))
        raise


@pytest.fixture(scope="session", params=ISAS)
def ops(request: pytest.FixtureRequest) -> KernelOps:
    """The kernels of one instruction set, on two threads."""
    kernels = _load(request.param)
    kernels.library.penstock_set_num_threads(2)
    return KernelOps(kernels)


@pytest.fixture(scope="session")
def set_num_threads() -> Callable[[int], None]:
    """Changes the number of threads of the whole process."""
    return _load("best").library.penstock_set_num_threads  # type: ignore[no-any-return]
