"""One process, or several that torchrun started and that compute the rows of each batch together.

Every process draws the same batch and takes its own rows; gradients are added up. So a recipe means
the same, however many processes carry it out. Knows nothing of recipes.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number among all of them."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def add_up(self, params: Iterable[nn.Parameter], extra: Tensor) -> Tensor:
        """Add the gradients of all processes in place, and return the sum of `extra` (n,)."""
        if self.size == 1:
            return extra
        params = [p for p in params if p.requires_grad]
        for param in params:
            if param.grad is None:
                param.grad = torch.zeros_like(param)
        gradients = [p.grad for p in params if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), extra.float()])
        distributed.all_reduce(flat)
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return flat[start:]

    def total(self, numbers: Tensor) -> Tensor:
        """Add up numbers of all processes."""
        if self.size > 1:
            distributed.all_reduce(numbers)
        return numbers

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            distributed.barrier()


def join_processes(environ: Mapping[str, str] = os.environ) -> Processes:
    """Join the processes that torchrun or accelerate started, if they did."""
    size = int(environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Processes()
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")
    return Processes(distributed.get_rank(), size)


def leave_processes(processes: Processes) -> None:
    """End what `join_processes` began."""
    if processes.size > 1:
        distributed.destroy_process_group()


def is_first_process(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is alone or the first, before it has joined the others."""
    return environ.get("RANK", "0") == "0"
