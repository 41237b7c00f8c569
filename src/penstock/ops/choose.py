"""Picks the implementation of the operations for a device, and says why that one."""

from dataclasses import dataclass
from typing import Literal

import torch

from penstock.ops.interface import Ops
from penstock.ops.kernel_library import KernelsUnavailable, load_kernels
from penstock.ops.kernel_ops import KernelOps
from penstock.ops.torch_ops import TorchOps

Preference = Literal["auto", "kernel", "torch"]


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
    reason = f"Native kernels, {kernels.isa_name}, {num_threads} threads."
    return ChosenOps(KernelOps(kernels), reason, f"kernels-{kernels.isa_name}")
