"""How likely a model finds given tokens. Knows rows of logits, not requests or sequences."""

from collections.abc import Sequence

from torch import Tensor

from penstock.decoding.greatest import check_numbers
from penstock.decoding.sampler import Report, named_pairs


def score(
    logits: Tensor, token_ids: Sequence[int], num_top: int, named: Sequence[int] = ()
) -> list[Report]:
    """The log-probability of one token per row of logits (num_rows, vocab_size), and the best.

    Those of the tokens `named` are reported in every row.
    """
    logprobs = logits.log_softmax(dim=-1)
    check_numbers(logprobs.amax(dim=-1))
    top = logprobs.topk(min(num_top, logprobs.shape[-1]), dim=-1)
    chosen = logprobs[range(len(token_ids)), list(token_ids)].tolist()
    rows = zip(chosen, top.indices.tolist(), top.values.tolist(), strict=True)
    return [
        Report(
            (logprob,),
            tuple(zip(best_ids, best, strict=True)),
            named=named_pairs(logprobs[row], named),
        )
        for row, (logprob, best_ids, best) in enumerate(rows)
    ]
