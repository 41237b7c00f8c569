"""Choices from rows of logits as the native kernels read them, packed row by row.

Knows the layout of `PenstockChoice` and what its numbers mean; not which request wants what.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from struct import Struct
from typing import Protocol

from torch import Tensor


class Kind(IntEnum):
    """What is wanted of a row."""

    ARGMAX = 0
    DRAW = 1
    TOP = 2  # the greatest log-probabilities, with the changes made to those
    PROBE = 3  # the greatest log-probabilities after the changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is the same for all rows of one request. Defaults change and leave out nothing."""

    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    prompt_penalty: float = 1.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    ngram_size: int = 0
    prompt_ngram_size: int = 0
    top_k: int = 0

    def packed(self, kind: Kind) -> bytes:
        return _RULES.pack(
            self.frequency_penalty,
            self.presence_penalty,
            self.prompt_penalty,
            self.repetition_penalty,
            self.temperature,
            self.top_p,
            self.min_p,
            self.typical_p,
            self.ngram_size,
            self.prompt_ngram_size,
            self.top_k,
            kind,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changes the scores of one row beside the rules."""

    token_ids: Sequence[int] = ()  # that penalties look back on, if there are any
    num_generated: int = 0  # of them
    biases: Sequence[tuple[int, float]] = ()  # added to the scores of tokens
    forbidden: Sequence[int] = ()


UNCHANGED = Changes()
_ROW = Struct("<10q")  # PenstockChoice up to num_answers
_RULES = Struct("<2d6f4i")  # and from there on


@dataclass(slots=True)
class Choices:
    """Rows with what is wanted of each, in the order of their answers. Grows by `add`."""

    rows: list[bytes] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # of answers
    tokens: "array[int]" = field(default_factory=lambda: array("i"))
    edited: "array[int]" = field(default_factory=lambda: array("i"))
    amounts: "array[float]" = field(default_factory=lambda: array("f"))
    uniforms: "array[float]" = field(default_factory=lambda: array("d"))
    num_answers: int = 0
    num_rows: int = 0  # that the logits must have

    def add(
        self,
        row: int,
        packed_rules: bytes,
        num_answers: int,
        uniforms: Sequence[float] = (),
        changes: Changes = UNCHANGED,
    ) -> None:
        """Want so many answers of a row of logits, drawn by `uniforms` where they are drawn."""
        token_ids, biases, forbidden = changes.token_ids, changes.biases, changes.forbidden
        first_edit = len(self.edited)
        self.rows.append(
            _ROW.pack(
                row,
                len(self.tokens),
                len(token_ids),
                changes.num_generated,
                first_edit,
                len(biases),
                len(forbidden),
                len(self.uniforms),
                self.num_answers,
                num_answers,
            )
            + packed_rules
        )
        if token_ids:
            self.tokens.extend(token_ids)
        for token_id, amount in biases:
            self.edited.append(token_id)
            self.amounts.append(amount)
        for token_id in forbidden:
            self.edited.append(token_id)
            self.amounts.append(0.0)
        if uniforms:
            self.uniforms.extend(uniforms)
        self.counts.append(num_answers)
        self.num_answers += num_answers
        self.num_rows = max(self.num_rows, row + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The answers to all choices, one after the other."""

    counts: Sequence[int]  # of answers to each choice
    token_ids: Sequence[int]
    values: Sequence[float]  # log-probabilities; only of what is not drawn and no argmax
    wholes: Sequence[float]  # by choice: the logarithm of the sum its log-probabilities lack
    is_answered: Sequence[bool]  # by choice: not where its scores are no numbers, or all forbidden

    @property
    def ends(self) -> list[int]:
        """Where each choice's answers end."""
        return list(accumulate(self.counts))


class Chooser(Protocol):
    """Answers choices natively."""

    def can_read(self, logits: Tensor) -> bool:
        """Whether these logits (num_rows, vocab_size) are laid out as they must be."""

    def choose(self, logits: Tensor, choices: Choices) -> Chosen:
        """Answer them all. A row's answers do not depend on the other rows."""
