"""Cuts a document into windows that a model can read, so that each token is foretold once."""

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `start` to `end` of a document, of which those from `scored_from` on are scored."""

    start: int
    scored_from: int
    end: int


def windows(num_tokens: int, *, context_length: int, stride: int | None) -> Iterator[Window]:
    """Windows of at most `context_length` tokens, each `stride` after the one before it.

    Each scores what no earlier one did; nothing foretells a document's first token. Without a
    stride they hardly overlap: the last token of one is the first of the next.
    """
    check_stride(stride, context_length)
    step = context_length - 1 if stride is None else stride
    start, scored = 0, 1
    while scored < num_tokens:
        end = min(start + context_length, num_tokens)
        yield Window(start, scored, end)
        start, scored = start + step, end


def check_stride(stride: int | None, context_length: int) -> None:
    """Refuse a stride that would leave tokens out."""
    if stride is not None and not 1 <= stride < context_length:
        raise EvaluationError(
            f"stride={stride} does not suit a context of {context_length} tokens.",
            f"Use 1 to {context_length - 1}, or leave it out.",
            param="stride",
        )
