"""Keeps a row to the tokens that its constraint allows, whatever the other processors do."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY


class Constraint(LogitsProcessor):
    """Leaves the tokens that a constraint does not allow no probability. Always the first step."""

    name = "constraint"

    def is_active(self, row: Row) -> bool:
        return row.allowed is not None

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        allowed = torch.stack([row.allowed for row in rows if row.allowed is not None])
        return logits.masked_fill(~allowed.to(logits.device), NEGATIVE_INFINITY)


def stay_within(before: Tensor, after: Tensor, allowed: Sequence[Tensor]) -> Tensor:
    """What a later step made of rows (num_rows, vocab_size), kept inside their constraints.

    A step that would leave a row nothing that its constraint allows is passed over in that row: a
    form that was asked for wins over forbidden, forced and wanted tokens.
    """
    forbidden = ~torch.stack(list(allowed)).to(after.device)
    kept = after.masked_fill(forbidden, NEGATIVE_INFINITY)
    is_dead = kept.amax(dim=-1, keepdim=True) == NEGATIVE_INFINITY
    return torch.where(is_dead, before, kept)
