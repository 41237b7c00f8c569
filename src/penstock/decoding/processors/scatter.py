"""Changes to single logits of many rows, in one tensor operation."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

NEGATIVE_INFINITY = float("-inf")


def add(logits: Tensor, biases: Sequence[Mapping[int, float]]) -> Tensor:
    """Add each row's biases, given by token id."""
    where = [(i, token_id) for i, row in enumerate(biases) for token_id in row]
    if not where:
        return logits
    amounts = logits.new_tensor([amount for row in biases for amount in row.values()])
    return logits.index_put(_index(logits, where), amounts, accumulate=True)


def forbid(logits: Tensor, forbidden: Sequence[Collection[int]]) -> Tensor:
    """Leave each row's forbidden tokens no probability."""
    where = [(i, token_id) for i, token_ids in enumerate(forbidden) for token_id in token_ids]
    if not where:
        return logits
    return logits.index_put(_index(logits, where), logits.new_tensor(NEGATIVE_INFINITY))


def force(logits: Tensor, forced: Sequence[int]) -> Tensor:
    """Leave each row one token, with all the probability."""
    only = torch.full_like(logits, NEGATIVE_INFINITY)
    return only.scatter(1, torch.tensor(forced, device=logits.device)[:, None], 0.0)


def _index(logits: Tensor, where: list[tuple[int, int]]) -> tuple[Tensor, ...]:
    return torch.tensor(where, device=logits.device).unbind(1)
