"""Chooses tokens on native CPU kernels: changes of single scores, filters and draws in one call."""

import torch
from torch import Tensor

from penstock.errors import EngineFailed
from penstock.ops.choices import Choices, Chosen
from penstock.ops.kernel_library import Kernels
from penstock.ops.kernel_tensors import describe_rows

MAX_VOCAB = 2**31 - 1  # places in a row are 32-bit numbers


class KernelChooser:
    """`Chooser` on native kernels: a row's answers are the same in any batch."""

    def __init__(self, kernels: Kernels) -> None:
        self._isa = kernels.isa
        self._choose = kernels.library.penstock_choose

    def can_read(self, logits: Tensor) -> bool:
        return (
            logits.dtype is torch.float32
            and logits.is_cpu
            and logits.dim() == 2
            and logits.stride(1) == 1
            and not (logits.requires_grad and torch.is_grad_enabled())
            and 0 < logits.shape[1] <= MAX_VOCAB
        )

    def choose(self, logits: Tensor, choices: Choices) -> Chosen:
        width = logits.shape[1]
        _, stride = describe_rows(logits, width)
        if choices.num_rows > logits.shape[0]:
            raise EngineFailed(
                f"Row {choices.num_rows - 1} is chosen from, of {logits.shape[0]}.",
                "This is a defect of the sampler; please report it.",
            )
        count = len(choices.rows)
        token_ids = torch.empty(choices.num_answers, dtype=torch.int64)
        values = torch.empty(choices.num_answers)
        wholes = torch.empty(count)
        statuses = torch.empty(count, dtype=torch.int32)
        self._choose(
            self._isa,
            logits.data_ptr(),
            stride,
            width,
            b"".join(choices.rows),
            count,
            choices.tokens.buffer_info()[0],
            choices.edited.buffer_info()[0],
            choices.amounts.buffer_info()[0],
            choices.uniforms.buffer_info()[0],
            token_ids.data_ptr(),
            values.data_ptr(),
            wholes.data_ptr(),
            statuses.data_ptr(),
        )
        return Chosen(
            counts=choices.counts,
            token_ids=token_ids.tolist(),
            values=values.tolist(),
            wholes=wholes.tolist(),
            is_answered=[status == 0 for status in statuses.tolist()],
        )
