"""Processors that look at the shape of the distribution to tell where its tail begins."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.ranking import column, entropy, least_kept, remove
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY

TOP_H_CANDIDATES = 100  # transformers looks no further


class TopH(LogitsProcessor):
    """Keeps the likeliest tokens whose entropy adds up to `top_h` of the whole entropy.

    Potraka et al. 2025, "Top-H decoding"; among the 100 likeliest, as transformers computes it.
    """

    name = "top_h"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        best = logits.topk(min(TOP_H_CANDIDATES, logits.shape[-1]), dim=-1)
        # rounded as transformers rounds: with top_h 1 both sides of the comparison are the same sum
        logprobs = best.values - best.values.logsumexp(dim=-1, keepdim=True)
        probs = logprobs.softmax(dim=-1)
        whole = -(logprobs * probs).nansum(dim=-1, keepdim=True)
        is_kept = -(probs * probs.log()).cumsum(dim=-1) <= whole * column(rows, "top_h", logits)
        is_kept[:, 0] = True
        keep = torch.zeros_like(logits, dtype=torch.bool).scatter(1, best.indices, is_kept)
        return logits.masked_fill(~keep, NEGATIVE_INFINITY)


class TypicalP(LogitsProcessor):
    """Keeps the tokens whose surprise is nearest to the expected one (Meister et al. 2022).

    The fewest whose probability adds up to `typical_p`, and all that tie with the last of them.
    """

    name = "typical_p"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        logprobs = logits.log_softmax(dim=-1)
        distance = (-logprobs - entropy(logits)).abs()
        ranked, order = distance.sort(dim=-1)
        mass = logits.gather(1, order).softmax(dim=-1).cumsum(dim=-1)
        last = (mass < column(rows, "typical_p", logits)).sum(dim=-1, keepdim=True)
        last = last.clamp_max(logits.shape[-1] - 1)
        is_removed = ranked > ranked.gather(1, last)
        places = torch.arange(logits.shape[-1], device=logits.device)
        is_removed &= places >= least_kept(rows, logits)
        is_removed = torch.zeros_like(is_removed).scatter(1, order, is_removed)
        return logits.masked_fill(is_removed, NEGATIVE_INFINITY)


class EpsilonCutoff(LogitsProcessor):
    """Removes what is less likely than `epsilon_cutoff` (Hewitt et al. 2022)."""

    name = "epsilon_cutoff"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        least = column(rows, "epsilon_cutoff", logits)
        return remove(logits, rows, logits.softmax(dim=-1) < least)


class EtaCutoff(LogitsProcessor):
    """As `EpsilonCutoff`, with a lower bar where the model is unsure (Hewitt et al. 2022)."""

    name = "eta_cutoff"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        epsilon = column(rows, "eta_cutoff", logits)
        least = torch.minimum(epsilon, epsilon.sqrt() * (-entropy(logits)).exp())
        return remove(logits, rows, logits.softmax(dim=-1) < least)


class TopNSigma(LogitsProcessor):
    """Removes logits more than `top_n_sigma` standard deviations below the greatest.

    Tang et al. 2024, "Top-n-sigma: not all logits are you need"; the deviation is that of the
    tokens not yet removed, as in llama.cpp.
    """

    name = "top_n_sigma"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        is_left = logits.isfinite()
        num_left = is_left.sum(dim=-1, keepdim=True).clamp_min(1)
        mean = logits.masked_fill(~is_left, 0).sum(dim=-1, keepdim=True) / num_left
        squares = (logits - mean).masked_fill(~is_left, 0).square()
        sigma = (squares.sum(dim=-1, keepdim=True) / num_left).sqrt()
        least = logits.amax(dim=-1, keepdim=True) - column(rows, "top_n_sigma", logits) * sigma
        return remove(logits, rows, logits < least)


class TopA(LogitsProcessor):
    """Removes what is less likely than `top_a` times the square of the greatest probability.

    By BlinkDL, https://github.com/BlinkDL/RWKV-LM#the-top-a-sampling-method.
    """

    name = "top_a"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        probs = logits.softmax(dim=-1)
        least = probs.amax(dim=-1, keepdim=True).square() * column(rows, "top_a", logits)
        return remove(logits, rows, probs < least)


class TailFree(LogitsProcessor):
    """Cuts where the sorted probabilities stop bending (Phénix and Egan 2019).

    Second differences, as absolute values that add up to 1, are summed from the likeliest token
    on. The first token stays, the last goes, and each between goes when the sum at it is above
    `tfs_z`.
    """

    name = "tfs_z"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        if logits.shape[-1] < 3:  # too few to bend
            return logits
        ranked, order = logits.sort(dim=-1, descending=True, stable=True)
        bends = ranked.softmax(dim=-1).diff(n=2, dim=-1).abs()
        total = bends.sum(dim=-1, keepdim=True)
        mass = (bends / total.clamp_min(1e-30)).cumsum(dim=-1)
        is_beyond = (mass > column(rows, "tfs_z", logits)) & (total > 0)
        ends = torch.zeros_like(is_beyond[:, :1])
        is_beyond = torch.cat((ends, is_beyond, total > 0), dim=1)
        places = torch.arange(logits.shape[-1], device=logits.device)
        is_beyond &= places >= least_kept(rows, logits)
        is_removed = torch.zeros_like(is_beyond).scatter(1, order, is_beyond)
        return logits.masked_fill(is_removed, NEGATIVE_INFINITY)
