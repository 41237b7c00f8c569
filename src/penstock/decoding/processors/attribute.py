"""Leads a text to an attribute by a classifier of unfinished texts (FUDGE, Yang and Klein 2021)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row


class AttributeGuide(LogitsProcessor):
    """Bayes' rule: P(next | attribute) ~ P(next) * P(attribute | text with next) ** strength.

    The classifier is a logistic regression on the tokens of the text, prompt included, so that the
    probabilities after every possible token cost one addition each. A strength below 0 leads to
    texts without the attribute.
    """

    name = "attribute"

    def is_active(self, row: Row) -> bool:
        return row.attribute is not None and row.params.attribute_strength != 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return logits + torch.stack([_raised(row, logits.shape[-1]) for row in rows]).to(
            logits.device
        )


def _raised(row: Row, vocab_size: int) -> Tensor:
    """By how much the score of each token is raised (vocab_size,); never above 0."""
    assert row.attribute is not None
    weights, strength = row.attribute.weights, row.params.attribute_strength
    so_far = row.attribute.bias + weights[list(row.token_ids)].sum()
    sign = 1 if strength > 0 else -1
    raised = abs(strength) * torch.nn.functional.logsigmoid(sign * (so_far + weights))
    return torch.nn.functional.pad(raised, (0, vocab_size - len(raised)))
