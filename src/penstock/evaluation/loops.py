"""Finds out whether a text has come to repeat itself without end."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

MIN_TIMES = 3
MIN_LENGTH = 16  # tokens: three dots are no loop


@dataclass(frozen=True, slots=True)
class Loop:
    """The last tokens of a text, from `start` on, are `period` tokens again and again."""

    start: int
    period: int
    num_tokens: int

    @property
    def times(self) -> float:
        """How often the piece stands there; the last time perhaps in part."""
        return self.num_tokens / self.period


def find_loop(tokens: Sequence[Hashable]) -> Loop | None:
    """The loop with the shortest period that the text ends in.

    One token may come after it: that which ends the text, or stands in its way.
    """
    return _loop_at_end(tokens) or _loop_at_end(tokens[:-1])


def _loop_at_end(tokens: Sequence[Hashable]) -> Loop | None:
    backwards = tokens[::-1]
    for period, num_equal in enumerate(_prefixes(backwards)):
        length = num_equal + period
        if period and length >= max(MIN_TIMES * period, MIN_LENGTH):
            return Loop(start=len(tokens) - length, period=period, num_tokens=length)
    return None


def _prefixes(tokens: Sequence[Hashable]) -> list[int]:
    """For each place, how many tokens from there on are those at the beginning: Gusfield's Z."""
    found = [0] * len(tokens)
    left = right = 0
    for i in range(1, len(tokens)):
        same = min(right - i, found[i - left]) if i < right else 0
        while i + same < len(tokens) and tokens[same] == tokens[i + same]:
            same += 1
        found[i] = same
        if i + same > right:
            left, right = i, i + same
    return found
