"""From a plan to tensors: the packed tokens of all planned sequences and of their sources."""

from collections.abc import Sequence as Seq
from itertools import accumulate
from typing import Any

import torch

from penstock.engine.scheduler import Planned
from penstock.engine.sequence import Source
from penstock.ops.interface import ForwardBatch, SourceBatch, SourceTables


def build(plan: Seq[Planned[Any]], block_size: int) -> ForwardBatch:
    """Pack what is planned.

    The output rows are the last rows of each completing sequence, one and another for each of its
    guesses; then the rows that score prompts; then those whose final hidden states are wanted.
    """
    token_ids: list[int] = []
    positions: list[int] = []
    slots: list[int] = []
    for planned in plan:
        sequence, start = planned.sequence, planned.sequence.num_computed
        end = start + planned.num_tokens
        token_ids += sequence.token_ids[start:end]
        positions += range(start, end)
        slots += _slots(sequence.block_table, range(start, end), block_size)
    query_starts = [0, *accumulate(p.num_tokens for p in plan)]
    return ForwardBatch(
        token_ids=torch.tensor(token_ids),
        positions=torch.tensor(positions),
        slots=torch.tensor(slots),
        query_starts=torch.tensor(query_starts, dtype=torch.int32),
        context_lengths=_int32([p.sequence.num_computed + p.num_tokens for p in plan]),
        block_tables=_int32(_padded([p.sequence.block_table for p in plan])),
        output_rows=torch.tensor(_output_rows(plan, query_starts), dtype=torch.int64),
        sources=_source_tables([p.sequence.source for p in plan]),
    )


def build_sources(sources: Seq[Source], block_size: int) -> SourceBatch:
    """Pack sources that are to be encoded."""
    token_ids = [token_id for source in sources for token_id in source.token_ids]
    slots: list[int] = []
    for source in sources:
        slots += _slots(source.block_table, range(len(source.token_ids)), block_size)
    return SourceBatch(
        token_ids=torch.tensor(token_ids),
        slots=torch.tensor(slots),
        starts=tuple(accumulate((len(source.token_ids) for source in sources), initial=0)),
    )


def _source_tables(sources: Seq[Source | None]) -> SourceTables | None:
    known = [source for source in sources if source is not None]
    if not known:
        return None
    assert len(known) == len(sources), "either every sequence has a source or none"
    return SourceTables(
        block_tables=_int32(_padded([source.block_table for source in known])),
        lengths=_int32([len(source.token_ids) for source in known]),
    )


def _slots(table: Seq[int], positions: range, block_size: int) -> list[int]:
    return [table[p // block_size] * block_size + p % block_size for p in positions]


def _output_rows(plan: Seq[Planned[Any]], query_starts: list[int]) -> list[int]:
    last = [
        row
        for p, end in zip(plan, query_starts[1:], strict=True)
        for row in range(end - p.num_outputs, end)
    ]
    starts = list(zip(plan, query_starts, strict=False))
    scored = [s + position - p.sequence.num_computed for p, s in starts for position in p.scored]
    pooled = [s + position - p.sequence.num_computed for p, s in starts for position in p.pooled]
    return last + scored + pooled


def _int32(values: list[int] | list[list[int]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


def _padded(tables: list[list[int]]) -> list[list[int]]:
    longest = max(map(len, tables))
    return [table + [0] * (longest - len(table)) for table in tables]
