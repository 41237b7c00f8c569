"""Processors that shape what is drawn from: temperature, and the filters everybody knows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.ranking import (
    column,
    descending,
    entropy,
    is_beyond,
    least_kept,
    remove,
)
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY

COLDEST = 1e-6  # as good as greedy, and can be divided by


class Temperature(LogitsProcessor):
    """Divides logits by the temperature. Temperature 0 is greedy and not drawn at all."""

    name = "temperature"

    def is_active(self, row: Row) -> bool:
        return row.params.temperature > 0 and row.params.dynatemp_range == 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return logits / column(rows, "temperature", logits).clamp_min(COLDEST)


class DynamicTemperature(LogitsProcessor):
    """Takes the temperature from how unsure the model is, as llama.cpp's `temp_ext` sampler does.

    From `temperature - dynatemp_range` where one token has all the probability to `temperature +
    dynatemp_range` where all that are left have the same; between them by the entropy's share of
    its maximum to the power of `dynatemp_exponent`.
    """

    name = "dynatemp_range"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        middle = column(rows, "temperature", logits)
        reach = column(rows, "dynatemp_range", logits)
        coldest, hottest = (middle - reach).clamp_min(0), middle + reach
        num_left = logits.isfinite().sum(dim=-1, keepdim=True)
        share = entropy(logits) / num_left.clamp_min(2).log()  # one token left has no entropy
        power = share.clamp(0, 1) ** column(rows, "dynatemp_exponent", logits)
        return logits / (coldest + (hottest - coldest) * power).clamp_min(COLDEST)


class TopK(LogitsProcessor):
    """Keeps the `top_k` likeliest tokens, and all that tie with the last of them."""

    name = "top_k"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        counts = [min(max(row.params.top_k, row.min_kept), logits.shape[-1]) for row in rows]
        ranked = logits.topk(max(counts), dim=-1).values
        last = torch.tensor(counts, device=logits.device)[:, None] - 1
        return logits.masked_fill(logits < ranked.gather(1, last), NEGATIVE_INFINITY)


class TopP(LogitsProcessor):
    """Keeps the fewest tokens whose probability adds up to `top_p` (Holtzman et al. 2020)."""

    name = "top_p"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        ranked = descending(logits)
        probs = ranked.softmax(dim=-1)
        is_kept = probs.cumsum(dim=-1) - probs < column(rows, "top_p", logits)
        num_kept = is_kept.sum(dim=-1, keepdim=True)
        num_kept = torch.maximum(num_kept, least_kept(rows, logits))
        last = ranked.gather(1, num_kept - 1)
        return logits.masked_fill(is_beyond(logits, last, num_kept), NEGATIVE_INFINITY)


class MinP(LogitsProcessor):
    """Removes what is less likely than `min_p` times the likeliest token (Nguyen et al. 2024)."""

    name = "min_p"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        probs = logits.softmax(dim=-1)
        least = probs.amax(dim=-1, keepdim=True) * column(rows, "min_p", logits)
        return remove(logits, rows, probs < least)
