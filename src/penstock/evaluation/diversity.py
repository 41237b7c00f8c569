"""How varied a text is, counted in words so that models with different tokens can be compared."""

import re
from collections.abc import Hashable, Sequence

WORD = re.compile(r"\w+|[^\w\s]")
REPETITION_SIZE = 4


def words_of(text: str) -> list[str]:
    """The words and signs of a text, in lower case."""
    return WORD.findall(text.lower())


def ngrams(units: Sequence[Hashable], size: int) -> list[tuple[Hashable, ...]]:
    """All runs of so many units, in order."""
    return [tuple(units[i : i + size]) for i in range(len(units) - size + 1)]


def distinct(units: Sequence[Hashable], size: int) -> float | None:
    """Distinct-n: how many of the n-grams are different (Li et al. 2016). None where none is."""
    found = ngrams(units, size)
    return len(set(found)) / len(found) if found else None


def repetition(units: Sequence[Hashable]) -> float | None:
    """Which share of the 4-grams had occurred before: seq-rep-4 (Welleck et al. 2020)."""
    share = distinct(units, REPETITION_SIZE)
    return None if share is None else 1 - share
