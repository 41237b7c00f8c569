"""Mirostat: keeps the text's surprise near a target, whatever the model (Basu et al. 2021).

The state is one number per text: its surprise so far. All else follows from it, so a text that
is forked, preempted or replayed takes its state along. As llama.cpp computes both versions: what
was drawn surprises by its probability among the tokens that were left.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.ranking import remove

NUM_MEASURED = 100  # tokens by which version 1 measures how steeply probabilities fall


class Mirostat(LogitsProcessor):
    """Version 1 keeps as many tokens as its estimate of Zipf's law says; 2, all up to the limit."""

    name = "mirostat"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        surprise = -logits.log_softmax(dim=-1) / math.log(2)  # (num_rows, vocab_size), bits
        limits = [limit(row) for row in rows]
        is_removed = surprise > logits.new_tensor(limits)[:, None]
        first = [i for i, row in enumerate(rows) if row.params.mirostat == 1]
        if first:
            counts = _counts(surprise[first], [limits[i] for i in first])
            is_removed[first] = _beyond(logits[first], counts)
        return remove(logits, rows, is_removed)


def limit(row: Row) -> float:
    """μ: the most a token may surprise. Twice the target at first, then corrected by each token."""
    tau, eta = row.params.mirostat_tau, row.params.mirostat_eta
    return 2 * tau - eta * (row.total_surprise - tau * row.num_generated)


def _counts(surprise: Tensor, limits: Sequence[float]) -> list[int]:
    """How many tokens version 1 keeps of each row (algorithm 1 of the paper)."""
    vocab_size = surprise.shape[-1]
    num_measured = min(NUM_MEASURED, vocab_size)
    ranked = surprise.topk(num_measured, dim=-1, largest=False).values.double() * math.log(2)
    ranks = torch.arange(1, num_measured + 1, dtype=torch.float64, device=surprise.device)
    t = (ranks[1:] / ranks[:-1]).log()
    b = ranked.diff(dim=-1).nan_to_num(0.0, posinf=0.0)  # log(p[i] / p[i + 1])
    exponents = ((t * b).sum(dim=-1) / t.square().sum()).tolist()
    return [_count(s, mu, vocab_size) for s, mu in zip(exponents, limits, strict=True)]


def _count(exponent: float, mu: float, vocab_size: int) -> int:
    """k = (ε̂ 2^μ / (1 - N^-ε̂))^(1/ŝ), with ε̂ = ŝ - 1."""
    epsilon = exponent - 1
    if exponent <= 0:  # nothing falls, so nothing is cut
        return vocab_size
    at_zero = 1 / math.log(vocab_size)  # the limit as ε̂ goes to 0
    factor = epsilon / (1 - vocab_size**-epsilon) if epsilon else at_zero
    # In logarithms: where hardly anything falls, k itself is beyond any float.
    log_k = (math.log(factor) + mu * math.log(2)) / exponent
    return vocab_size if log_k >= math.log(vocab_size) else max(1, int(math.exp(log_k)))


def _beyond(logits: Tensor, counts: Sequence[int]) -> Tensor:
    """Which are not among the likeliest so many of their row."""
    ranked = logits.topk(max(counts), dim=-1).values
    last = torch.tensor(counts, device=logits.device)[:, None] - 1
    return logits < ranked.gather(1, last)
