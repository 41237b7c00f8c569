"""Processors that decide how a text may begin and when it may end."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import forbid, force


class MinLength(LogitsProcessor):
    """Forbids the end of the text until it has enough tokens, those of the prompt included."""

    name = "min_length"

    def is_active(self, row: Row) -> bool:
        return len(row.token_ids) < row.params.min_length

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(logits, [row.eos_token_ids for row in rows])


class MinNewTokens(LogitsProcessor):
    """Forbids the end of the text until enough tokens have been generated."""

    name = "min_new_tokens"

    def is_active(self, row: Row) -> bool:
        return row.num_generated < row.min_new_tokens

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(logits, [row.eos_token_ids for row in rows])


class ForcedBos(LogitsProcessor):
    """Forces the first token that is generated.

    transformers forces it after a sequence of one token, which in an encoder-decoder model is
    the same moment; after a longer prompt it would drop the wish in silence.
    """

    name = "forced_bos_token_id"

    def is_active(self, row: Row) -> bool:
        return row.num_generated == 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return force(logits, [row.params.forced_bos_token_id or 0 for row in rows])


class ForcedEos(LogitsProcessor):
    """Forces the last token that may be generated."""

    name = "forced_eos_token_id"

    def is_active(self, row: Row) -> bool:
        return row.max_new_tokens is not None and row.num_generated == row.max_new_tokens - 1

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return force(logits, [row.params.forced_eos_token_id or 0 for row in rows])


class ExponentialDecayLengthPenalty(LogitsProcessor):
    """Raises the end's logit, more with every token after so many: by |logit| · (factor^n - 1)."""

    name = "exponential_decay_length_penalty"

    def is_active(self, row: Row) -> bool:
        return _num_beyond(row) > 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        where = [(i, token_id) for i, row in enumerate(rows) for token_id in row.eos_token_ids]
        if not where:
            return logits
        growth = [_growth(rows[i]) for i, _ in where]
        index = torch.tensor(where, device=logits.device).unbind(1)
        raised = logits[index].abs() * logits.new_tensor(growth)
        raised = raised.masked_fill(~logits[index].isfinite(), 0.0)
        return logits.index_put(index, raised, accumulate=True)


def _num_beyond(row: Row) -> int:
    """How many tokens were generated after the penalty began."""
    penalty = row.params.exponential_decay_length_penalty
    return 0 if penalty is None else row.num_generated - penalty[0]


def _growth(row: Row) -> float:
    penalty = row.params.exponential_decay_length_penalty
    return 0.0 if penalty is None else min(penalty[1] ** _num_beyond(row) - 1, 1e30)
