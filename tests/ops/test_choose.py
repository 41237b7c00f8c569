"""Which implementation of the operations is chosen, and what is said about it."""

from pathlib import Path

import pytest

from penstock.ops.choose import choose_ops
from penstock.ops.kernel_library import KernelsUnavailable, load_kernels
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps


def test_the_kernels_are_chosen_where_they_run(ops: KernelOps) -> None:
    chosen = choose_ops(num_threads=2)

    assert isinstance(chosen.ops, KernelOps)
    best = load_kernels().isa_name
    assert chosen.reason == f"Native kernels, {best}, 2 threads."


def test_the_reference_is_chosen_when_asked_for() -> None:
    chosen = choose_ops(prefer="torch", num_threads=1)

    assert isinstance(chosen.ops, TorchOps)
    assert chosen.reason == "The PyTorch reference was asked for."


def test_other_devices_get_the_reference_and_the_reason() -> None:
    chosen = choose_ops("cuda", num_threads=1)

    assert isinstance(chosen.ops, TorchOps)
    assert chosen.reason == (
        "The PyTorch reference runs. The native kernels run on the CPU, not on 'cuda'. "
        'Use device "cpu" for them.'
    )


def test_insisting_on_kernels_elsewhere_is_an_error() -> None:
    with pytest.raises(KernelsUnavailable, match="not on 'cuda'"):
        choose_ops("cuda", prefer="kernel", num_threads=1)


def test_a_library_that_was_not_built_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(KernelsUnavailable, match=r"not built. Install a C\+\+17 compiler"):
        load_kernels(path=tmp_path / "libpenstock_kernels.so")


def test_a_broken_library_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "libpenstock_kernels.so"
    broken.write_bytes(b"no library")

    with pytest.raises(KernelsUnavailable, match="do not load"):
        load_kernels(path=broken)


def test_an_unknown_instruction_set_is_refused(ops: KernelOps) -> None:
    with pytest.raises(KernelsUnavailable, match="no instruction set 'mmx'"):
        load_kernels("mmx")
