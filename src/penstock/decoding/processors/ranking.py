"""What the filters have in common: order, entropy, and how much they must leave."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from penstock.decoding.processors.interface import Row
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY


def column(rows: Sequence[Row], name: str, like: Tensor) -> Tensor:
    """A parameter of every row as a column (num_rows, 1)."""
    return like.new_tensor([getattr(row.params, name) for row in rows])[:, None]


def descending(logits: Tensor) -> Tensor:
    """Each row's values, greatest first; NumPy sorts values many times faster than torch."""
    if not logits.is_cpu:
        return logits.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(-logits.numpy(), axis=-1)).neg_()


def is_beyond(logits: Tensor, last: Tensor, num_kept: Tensor) -> Tensor:
    """Which are less than the last that is kept, or equal to it but later than all that fit."""
    is_less = logits < last
    num_beyond = logits.shape[-1] - num_kept
    if is_less.sum(dim=-1, keepdim=True).equal(num_beyond):
        return is_less
    is_last = logits == last
    num_greater = (logits > last).sum(dim=-1, keepdim=True)
    return is_less | (is_last & (is_last.cumsum(dim=-1) > num_kept - num_greater))


def entropy(logits: Tensor) -> Tensor:
    """Each row's entropy in nats (num_rows, 1)."""
    logprobs = logits.log_softmax(dim=-1)
    return -(logprobs * logprobs.exp()).nansum(dim=-1, keepdim=True)


def least_kept(rows: Sequence[Row], logits: Tensor) -> Tensor:
    """How many tokens each row must be left, (num_rows, 1)."""
    counts = [min(row.min_kept, logits.shape[-1]) for row in rows]
    return torch.tensor(counts, device=logits.device)[:, None]


def remove(logits: Tensor, rows: Sequence[Row], is_removed: Tensor) -> Tensor:
    """Logits without what is removed, but never without each row's likeliest."""
    counts = least_kept(rows, logits)
    best = logits.topk(int(counts.max()), dim=-1).values.gather(1, counts - 1)
    return logits.masked_fill(is_removed & (logits < best), NEGATIVE_INFINITY)
