"""How likely a model finds given tokens. Knows rows of logits, not requests or sequences."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.greatest import check_numbers
from penstock.decoding.questions import Report


def score(
    logits: Tensor, token_ids: Sequence[int], num_top: int, named: Sequence[int] = ()
) -> list[Report]:
    """The log-probability of one token per row of logits (num_rows, vocab_size), and the best.

    Those of the tokens `named` are reported in every row. Added up in double precision: over a
    long text, the rounding of single precision is seen in the perplexity.
    """
    best = logits.amax(dim=-1, keepdim=True)
    check_numbers(best)
    whole = best.double() + (logits - best).exp().sum(-1, keepdim=True, dtype=torch.float64).log()
    top = logits.topk(min(num_top, logits.shape[-1]), dim=-1)
    top_logprobs = (top.values - whole).tolist()
    chosen = (logits[range(len(token_ids)), list(token_ids)] - whole[:, 0]).tolist()
    named_logprobs = (logits[:, list(named)] - whole).tolist()
    rows = zip(chosen, top.indices.tolist(), top_logprobs, named_logprobs, strict=True)
    return [
        Report(
            (logprob,),
            tuple(zip(best_ids, best_logprobs, strict=True)),
            named=tuple(zip(named, of_named, strict=True)),
        )
        for logprob, best_ids, best_logprobs, of_named in rows
    ]
