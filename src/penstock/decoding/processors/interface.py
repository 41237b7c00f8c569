"""What a logits processor is, and the row of a batch it works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from penstock.model.attributes import Attribute
from penstock.types import DecodingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a batch of logits: the sequence they continue and what was asked for it."""

    params: DecodingParams
    token_ids: Sequence[int]  # prompt and generated so far
    source_token_ids: Sequence[int] | None = None  # the prompt, where an encoder read it
    num_generated: int
    min_new_tokens: int
    eos_token_ids: frozenset[int]
    max_new_tokens: int | None = None
    allowed: Tensor | None = None  # (vocab_size,) by the constraint, if there is one
    early: Tensor | None = None  # (num_layers, vocab_size): logits of early layers, if asked for
    attribute: Attribute | None = None  # that the text is led to
    unconditional: Tensor | None = None  # (vocab_size,): logits after the negative prompt
    coin: float = 0.0  # a number in [0, 1) of this text and position, for who leaves it to chance
    total_surprise: float = 0.0  # bits: of all tokens generated, when each was drawn
    min_kept: int = 1  # how many tokens every filter leaves, at least

    @property
    def prompt_token_ids(self) -> Sequence[int]:
        if self.source_token_ids is not None:
            return self.source_token_ids
        return self.token_ids[: len(self.token_ids) - self.num_generated]

    @property
    def generated_token_ids(self) -> Sequence[int]:
        return self.token_ids[len(self.token_ids) - self.num_generated :]


class LogitsProcessor(Protocol):
    """Logits to logits, batched over rows; pure, and the same for a row in any batch."""

    name: str
    """The parameter that switches it on: it is in use where that is not at its neutral value."""

    def is_active(self, row: Row) -> bool:
        """Whether this processor, being in use, changes anything for such a row now."""
        return True

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        """New logits (num_rows, vocab_size); every row given is active. Never edits its input."""
