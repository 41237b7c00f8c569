"""DRY ("don't repeat yourself"): the longer a repetition has become, the less it may go on."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import add

LONGEST_MATCH = 50  # beyond it the penalty would leave all bounds


class Dry(LogitsProcessor):
    """Lowers what would prolong a repetition: by `dry_multiplier · dry_base ^ (n - allowed)`.

    n is how many of the latest tokens also stand before an earlier occurrence of the token, and
    `dry_allowed_length` of them are free. No match runs over a sequence breaker. By P. E. Weidmann
    (https://github.com/oobabooga/text-generation-webui/pull/5677).
    """

    name = "dry_multiplier"

    def is_active(self, row: Row) -> bool:
        return row.params.dry_penalty_last_n != 0

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        return add(logits, [_penalties(row) for row in rows])


def _penalties(row: Row) -> Mapping[int, float]:
    params = row.params
    last_n = params.dry_penalty_last_n
    token_ids = row.token_ids if last_n < 0 else row.token_ids[-last_n:]
    breakers = {word[-1] for word in params.dry_sequence_breakers if isinstance(word, tuple)}
    lengths = match_lengths(token_ids, breakers)
    return {
        token_id: -params.dry_multiplier * params.dry_base ** (n - params.dry_allowed_length)
        for token_id, n in lengths.items()
        if n >= params.dry_allowed_length
    }


def match_lengths(token_ids: Sequence[int], breakers: set[int]) -> Mapping[int, int]:
    """How long the longest repetition would be that each token would prolong."""
    lengths: dict[int, int] = {}
    if not token_ids or token_ids[-1] in breakers:
        return lengths
    last = token_ids[-1]
    for i in range(len(token_ids) - 1):
        following = token_ids[i + 1]
        if token_ids[i] == last and following not in breakers:
            n = _match_length(token_ids, i, breakers)
            lengths[following] = max(n, lengths.get(following, 0))
    return lengths


def _match_length(token_ids: Sequence[int], end: int, breakers: set[int]) -> int:
    """How many tokens up to `end` are the same as those up to the last."""
    n = 1
    while n < LONGEST_MATCH and n <= end:
        token_id = token_ids[end - n]
        if token_id != token_ids[-1 - n] or token_id in breakers:
            break
        n += 1
    return n
