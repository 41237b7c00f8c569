"""From a plan to tensors: the packed tokens of all planned sequences."""

from collections.abc import Sequence as Seq
from itertools import accumulate
from typing import Any

import torch

from penstock.engine.scheduler import Planned
from penstock.ops.interface import ForwardBatch


def build(plan: Seq[Planned[Any]], block_size: int) -> ForwardBatch:
    """Pack what is planned.

    The output rows are the last row of each completing sequence, then the rows that score prompts,
    then those whose final hidden states are wanted.
    """
    token_ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    for planned in plan:
        sequence, start = planned.sequence, planned.sequence.num_computed
        end = start + planned.num_tokens
        token_ids += sequence.token_ids[start:end]
        positions += range(start, end)
        table = sequence.block_table
        slots += [table[p // block_size] * block_size + p % block_size for p in range(start, end)]
    query_starts = [0, *accumulate(p.num_tokens for p in plan)]
    return ForwardBatch(
        token_ids=torch.tensor(token_ids),
        positions=torch.tensor(positions),
        slots=torch.tensor(slots),
        query_starts=torch.tensor(query_starts, dtype=torch.int32),
        context_lengths=_int32([p.sequence.num_computed + p.num_tokens for p in plan]),
        block_tables=_int32(_padded([p.sequence.block_table for p in plan])),
        output_rows=torch.tensor(_output_rows(plan, query_starts), dtype=torch.int64),
    )


def _output_rows(plan: Seq[Planned[Any]], query_starts: list[int]) -> list[int]:
    last = [end - 1 for p, end in zip(plan, query_starts[1:], strict=True) if p.completes]
    starts = list(zip(plan, query_starts, strict=False))
    scored = [s + position - p.sequence.num_computed for p, s in starts for position in p.scored]
    pooled = [s + position - p.sequence.num_computed for p, s in starts for position in p.pooled]
    return last + scored + pooled


def _int32(values: list[int] | list[list[int]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


def _padded(tables: list[list[int]]) -> list[list[int]]:
    longest = max(map(len, tables))
    return [table + [0] * (longest - len(table)) for table in tables]
