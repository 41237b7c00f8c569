"""Which implementation of the operations is chosen, and what is said about it."""

from pathlib import Path

import pytest

from penstock.ops.choose import PRODUCTS, choose_ops, reason_for
from penstock.ops.kernel_library import ARM, X86, KernelsUnavailable, load_kernels
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps


def test_the_kernels_are_chosen_where_they_run(ops: KernelOps) -> None:
    chosen = choose_ops(num_threads=2)

    assert isinstance(chosen.ops, KernelOps)
    best = load_kernels().isa_name
    assert chosen.reason.startswith(f"Native kernels, {best}, 2 threads: ")
    assert chosen.name == f"kernels-{best}"


@pytest.mark.parametrize(
    ("isa", "reason"),
    [
        ("amx", "Native kernels, amx, 3 threads: bfloat16, int8 and int4 in AMX tiles."),
        (
            "avx512_vnni",
            "Native kernels, avx512_vnni, 3 threads: bfloat16 widened to float32, "
            "int8 and int4 with VNNI. This machine has no avx512_bf16.",
        ),
        (
            "neon",
            "Native kernels, neon, 3 threads: bfloat16 widened to float32, "
            "int8 and int4 by way of 16 bits. This machine has no neon_dotprod.",
        ),
    ],
)
def test_the_reason_says_how_is_multiplied_and_what_is_missing(isa: str, reason: str) -> None:
    assert reason_for(isa, num_threads=3) == reason


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


def test_every_instruction_set_says_how_it_multiplies() -> None:
    assert set(PRODUCTS) == {*X86, *ARM}
