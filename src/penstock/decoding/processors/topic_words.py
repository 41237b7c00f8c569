"""Leads a text to a topic by a bag of words (after FUDGE, Yang and Klein 2021, and PPLM)."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import add
from penstock.types import token_ids_of

TokenIds = tuple[int, ...]


class TopicWords(LogitsProcessor):
    """Bayes' rule with the bag as its classifier: P(next | topic) ~ P(next) * P(topic | next).

    The topic is `exp(strength * share)` times as likely with a token that leaves the text ending
    with that share of a word of the bag, in tokens, which has not been generated yet; of several,
    the greatest counts. So a word that is begun is likely to be finished. No gradients and no other
    model, unlike in the papers: what the bag does not name, this does not know.
    """

    name = "topic_words"

    def is_active(self, row: Row) -> bool:
        return row.params.topic_strength != 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return add(logits, [_raised(row) for row in rows])


def _raised(row: Row) -> Mapping[int, float]:
    """By how much each token is raised that begins a wanted word or goes on with it."""
    words = [token_ids_of(word) for word in row.params.topic_words]
    text = tuple(row.generated_token_ids)
    written = {size: _runs(text, size) for size in set(map(len, words))}
    wanted = [word for word in words if word not in written[len(word)]]
    shares: dict[int, float] = {}
    for word in wanted:
        for size in _sizes_begun(word, text):
            shares[word[size]] = max((size + 1) / len(word), shares.get(word[size], 0.0))
    return {token_id: row.params.topic_strength * share for token_id, share in shares.items()}


def _sizes_begun(word: TokenIds, text: TokenIds) -> Iterator[int]:
    """How many of a word's first tokens, but not all, end the text: none always do."""
    sizes = range(min(len(word), len(text) + 1))
    return (size for size in sizes if text[len(text) - size :] == word[:size])


def _runs(text: TokenIds, size: int) -> set[TokenIds]:
    """All runs of so many tokens."""
    return {text[start : start + size] for start in range(len(text) - size + 1)}
