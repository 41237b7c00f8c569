"""Picks the implementation of the operations for a device, and says why that one."""

from dataclasses import dataclass
from typing import Literal

import torch

from penstock.ops.interface import Ops
from penstock.ops.kernel_library import ARM, ISAS, X86, KernelsUnavailable, load_kernels
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps

Preference = Literal["auto", "kernel", "torch"]

# How each instruction set multiplies; float32 always in vectors.
PRODUCTS = {
    "amx": "bfloat16, int8 and int4 in AMX tiles",
    "avx512_bf16": "bfloat16 in pairs, int8 and int4 with VNNI",
    "avx512_vnni": "bfloat16 widened to float32, int8 and int4 with VNNI",
    "avx512": "bfloat16 widened to float32, int8 and int4 by way of 16 bits",
    "avx2": "bfloat16 widened to float32, int8 and int4 by way of 16 bits",
    "neon_dotprod": "bfloat16 widened to float32, int8 and int4 in dot products",
    "neon": "bfloat16 widened to float32, int8 and int4 by way of 16 bits",
    "generic": "in what the compiler makes of plain C++",
}


@dataclass(frozen=True, slots=True)
class ChosenOps:
    """The operations, their name, and one sentence on why these, for `penstock doctor`."""

    ops: Ops
    reason: str
    name: str = "torch"


def choose_ops(device: str = "cpu", *, prefer: Preference = "auto", num_threads: int) -> ChosenOps:
    """The native kernels where they run, the PyTorch reference elsewhere.

    With `prefer="kernel"` their absence is an error. `num_threads` counts the calling thread and
    holds for every use of the kernels in this process. Beside the kernels torch keeps one thread.
    """
    if prefer == "torch":
        return ChosenOps(TorchOps(), "The PyTorch reference was asked for.")
    try:
        return _choose_kernels(device, num_threads)
    except KernelsUnavailable as error:
        if prefer == "kernel":
            raise
        return ChosenOps(TorchOps(), f"The PyTorch reference runs. {error}")


def _choose_kernels(device: str, num_threads: int) -> ChosenOps:
    if device != "cpu":
        raise KernelsUnavailable(
            f"The native kernels run on the CPU, not on {device!r}.", 'Use device "cpu" for them.'
        )
    kernels = load_kernels()
    kernels.library.penstock_set_num_threads(num_threads)
    torch.set_num_threads(1)  # what is left to torch is small, and its threads wait by spinning
    reason = reason_for(kernels.isa_name, num_threads=num_threads)
    return ChosenOps(KernelOps(kernels), reason, f"kernels-{kernels.isa_name}")


def reason_for(isa: str, *, num_threads: int) -> str:
    """What runs, how it multiplies each number format, and what this machine lacks for more."""
    isas = next(each for each in (ISAS, X86, ARM) if isa in each)  # this machine's first
    better = isas[: isas.index(isa)]
    lacks = f" This machine has no {better[-1]}." if better else ""
    return f"Native kernels, {isa}, {num_threads} threads: {PRODUCTS[isa]}.{lacks}"
