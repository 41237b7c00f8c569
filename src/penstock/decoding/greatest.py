"""Finds the greatest scores of a row, quicker than sorting it."""

import torch
from torch import Tensor

NUM_STRIPS = 16  # into so many equal parts a long row is cut


def check_numbers(best: Tensor) -> None:
    """Refuse rows whose greatest score, of `best` (num_rows,), is infinite or no number at all.

    What is no number anywhere in a row is taken for its greatest, so this sees all of it.
    """
    if not bool((best < float("inf")).all()):
        raise FloatingPointError("scores of its next token are infinite or no numbers")


def first_greatest(scores: Tensor) -> list[int]:
    """The first index of each row's greatest score; NumPy finds it many times faster than torch."""
    where = torch.from_numpy(scores.numpy().argmax(axis=-1)) if scores.is_cpu else scores.argmax(-1)
    check_numbers(scores.gather(1, where[:, None]))
    token_ids: list[int] = where.tolist()
    return token_ids


def greatest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` greatest scores of each row and their token ids, best first.

    A long row is laid out as strips below each other: its greatest scores lie in the columns with
    the greatest maxima, so `topk` needs to see only those columns and what fits into no strip.
    """
    width = scores.shape[-1] // NUM_STRIPS
    if width <= count:
        best = scores.topk(count, dim=-1)
        check_numbers(best.values[:, 0])
        return best.values, best.indices
    strips = scores[:, : width * NUM_STRIPS].reshape(len(scores), NUM_STRIPS, width)
    columns = strips.amax(dim=1).topk(count, dim=-1, sorted=False).indices  # (num_rows, count)
    starts = torch.arange(NUM_STRIPS, device=scores.device)[:, None] * width
    token_ids = (starts + columns[:, None]).flatten(1)  # (num_rows, NUM_STRIPS * count)
    rest = torch.arange(width * NUM_STRIPS, scores.shape[-1], device=scores.device)
    token_ids = torch.cat((token_ids, rest.expand(len(scores), -1)), dim=1)
    best = scores.gather(1, token_ids).topk(count, dim=-1)
    check_numbers(best.values[:, 0])
    return best.values, token_ids.gather(1, best.indices)
