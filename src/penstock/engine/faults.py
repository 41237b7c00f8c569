"""Finds out who is to blame when work for several fails, and says so in words a caller can use.

Knows no requests, no tensors and no model.
"""

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Generic, TypeVar

from penstock.errors import EngineFailed, PenstockError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Done(Generic[T, R]):
    """What the work on some items came to."""

    items: Seq[T]
    result: R


@dataclass(frozen=True, slots=True)
class Guilty(Generic[T]):
    """An item whose work fails even alone, and how."""

    item: T
    error: Exception


def in_halves(items: Seq[T], work: Callable[[Seq[T]], R]) -> Iterator[Done[T, R] | Guilty[T]]:
    """Do `work` on all items together; where that fails, on each half, down to single items.

    The work may be begun several times for an item and must come to the same each time.
    """
    if not items:
        return
    outcome = _attempt(items, work)
    if isinstance(outcome, Done):
        yield outcome
    elif len(items) == 1:
        yield Guilty(items[0], outcome)
    else:
        middle = len(items) // 2
        yield from in_halves(items[:middle], work)
        yield from in_halves(items[middle:], work)


def _attempt(items: Seq[T], work: Callable[[Seq[T]], R]) -> Done[T, R] | Exception:
    try:
        return Done(items, work(items))
    except Exception as error:
        return error


def blame(error: Exception) -> PenstockError:
    """What a request that failed by `error` is told."""
    if isinstance(error, PenstockError):
        return error
    if _is_out_of_memory(error):
        return EngineFailed(
            "Memory ran out while this request was computed.",
            "Ask for a shorter text or fewer texts at once, or send it again later.",
        )
    if isinstance(error, FloatingPointError):
        return EngineFailed(
            f"This request could not be continued: {error}.",
            "Change its prompt or its parameters; if any prompt fails, load the model in float32.",
        )
    return EngineFailed(
        "This request could not be continued.",
        "Try again; if it happens again, report the request id.",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory was lacking; torch says so of the processor's own in a text alone."""
    named = type(error).__name__ == "OutOfMemoryError"
    return named or isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
