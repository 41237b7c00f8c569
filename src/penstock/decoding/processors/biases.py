"""Processors about particular tokens and words. By the time they run, words are token ids."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import add, forbid
from penstock.types import token_ids_of

TokenIds = tuple[int, ...]


class SequenceBias(LogitsProcessor):
    """Adds a number to the logit of the last token of each word whose other tokens came before."""

    name = "sequence_bias"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return add(logits, [biases_of(row) for row in rows])


class LogitBias(LogitsProcessor):
    """Adds a number to the logits of given tokens, as OpenAI's `logit_bias` does."""

    name = "logit_bias"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return add(logits, [dict(row.params.logit_bias) for row in rows])


class BadWords(LogitsProcessor):
    """Forbids the last token of each word whose other tokens came before.

    The end of the text is no word and cannot be forbidden, as in transformers.
    """

    name = "bad_words"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(logits, [forbidden_words(row) for row in rows])


class SuppressTokens(LogitsProcessor):
    """Forbids given tokens."""

    name = "suppress_tokens"

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(logits, [row.params.suppress_tokens for row in rows])


class BeginSuppressTokens(LogitsProcessor):
    """Forbids given tokens as the first that is chosen freely."""

    name = "begin_suppress_tokens"

    def is_active(self, row: Row) -> bool:
        return row.num_generated == (0 if row.params.forced_bos_token_id is None else 1)

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return forbid(logits, [row.params.begin_suppress_tokens for row in rows])


def biases_of(row: Row) -> Mapping[int, float]:
    """What each word that is all but complete adds to its last token."""
    biases: dict[int, float] = defaultdict(float)
    for word, bias in row.params.sequence_bias:
        token_ids = token_ids_of(word)
        if _is_begun(token_ids, row.token_ids):
            biases[token_ids[-1]] += bias
    return biases


def forbidden_words(row: Row) -> Collection[int]:
    """The last tokens of the words that are all but complete."""
    ends = {(token_id,) for token_id in row.eos_token_ids}
    words: Iterable[TokenIds] = map(token_ids_of, row.params.bad_words)
    return {w[-1] for w in words if w not in ends and _is_begun(w, row.token_ids)}


def _is_begun(word: TokenIds, token_ids: Sequence[int]) -> bool:
    """Whether all of the word but its last token stands at the end."""
    start = len(token_ids) - len(word) + 1
    return start >= 0 and tuple(token_ids[start:]) == word[:-1]
