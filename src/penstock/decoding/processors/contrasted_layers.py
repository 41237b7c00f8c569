"""Decoding by contrasting layers (DoLa, Chuang et al. 2023, arXiv 2309.03883)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY

LEAST_SHARE = 0.1  # of the greatest probability; less likely tokens are not considered


class ContrastedLayers(LogitsProcessor):
    """How much likelier the last layer finds each token than an early layer does.

    The early layer is the one whose distribution differs most from the last. As in transformers'
    former `_dola_select_contrast`, which follows the authors' code: the divergences are those of
    the mean distribution from the two.
    """

    name = "dola_layers"

    def is_active(self, row: Row) -> bool:
        return row.early is not None

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        is_possible = logits > NEGATIVE_INFINITY
        last = logits.log_softmax(dim=-1)
        early = _stacked([row.early for row in rows if row.early is not None]).to(logits.device)
        early = early.masked_fill(~is_possible[:, None], NEGATIVE_INFINITY).log_softmax(dim=-1)
        chosen = _divergence(last[:, None], early).argmax(dim=-1)
        base = early[torch.arange(len(early)), chosen]
        is_likely = last >= last.amax(dim=-1, keepdim=True) + math.log(LEAST_SHARE)
        return torch.where(is_likely, last - base, NEGATIVE_INFINITY)


def _divergence(last: Tensor, early: Tensor) -> Tensor:
    """How far log-probabilities (num_rows, num_layers, vocab_size) differ over the vocabulary."""
    mean = (last.exp() + early.exp()) / 2
    both = mean * (2 * mean.log() - last - early)  # nan where neither has a probability
    return both.nan_to_num(0.0).mean(dim=-1) / 2


def _stacked(early: Sequence[Tensor]) -> Tensor:
    """(num_rows, most_layers, vocab_size); a row with fewer layers has its first again."""
    most = max(map(len, early))
    return torch.stack([torch.cat((e, e[:1].expand(most - len(e), -1))) for e in early])
