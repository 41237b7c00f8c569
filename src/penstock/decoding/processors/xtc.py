"""Exclude top choices: now and then, the safest tokens may not be chosen."""

from collections.abc import Sequence

from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.ranking import column
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY


class ExcludeTopChoices(LogitsProcessor):
    """Removes all tokens of at least `xtc_threshold` but the least likely of them.

    By P. E. Weidmann (https://github.com/oobabooga/text-generation-webui/pull/6335). It happens
    at `xtc_probability` of the tokens: where the row's coin, in [0, 1), falls below it.
    """

    name = "xtc_probability"

    def is_active(self, row: Row) -> bool:
        return row.coin < row.params.xtc_probability

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        probs = logits.softmax(dim=-1)
        is_top = probs >= column(rows, "xtc_threshold", logits)
        least = probs.masked_fill(~is_top, 2.0).amin(dim=-1, keepdim=True)
        is_removed = is_top & (probs > least)
        tied = is_top & (probs == least)
        is_removed |= tied & (tied.cumsum(dim=-1) > 1)  # of several least likely the first stays
        return logits.masked_fill(is_removed, NEGATIVE_INFINITY)
