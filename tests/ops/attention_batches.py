"""Random batches over a paged cache, for the attention tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from penstock.ops.interface import ForwardBatch, Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The shape of a layer's attention."""

    num_heads: int
    num_kv_heads: int
    head_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Where each sequence's tokens lie."""

    block_size: int
    block_tables: Tensor  # (num_sequences, max_blocks) int32
    num_blocks: int

    def slots(self, sequence: int, begin: int, end: int) -> Tensor:
        positions = torch.arange(begin, end)
        blocks = self.block_tables[sequence].long()[positions // self.block_size]
        return blocks * self.block_size + positions % self.block_size


def scatter_blocks(lengths: Sequence[int], block_size: int, generator: torch.Generator) -> Paging:
    """Give every sequence its blocks, in no order."""
    counts = [-(-length // block_size) for length in lengths]
    order = torch.randperm(sum(counts) + 2, generator=generator).int()
    tables = torch.zeros(len(lengths), max(counts), dtype=torch.int32)
    taken = 0
    for i, count in enumerate(counts):
        tables[i, :count] = order[taken : taken + count]
        taken += count
    return Paging(block_size=block_size, block_tables=tables, num_blocks=len(order))


def make_batch(paging: Paging, ranges: Sequence[tuple[int, int, int]]) -> ForwardBatch:
    """A batch of (sequence, first position, end position) ranges."""
    counts = torch.tensor([end - begin for _, begin, end in ranges])
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    num_tokens = int(starts[-1])
    return ForwardBatch(
        token_ids=torch.zeros(num_tokens, dtype=torch.int64),
        positions=torch.cat([torch.arange(begin, end) for _, begin, end in ranges]),
        slots=torch.cat([paging.slots(*each) for each in ranges]),
        query_starts=starts.int(),
        context_lengths=torch.tensor([end for *_, end in ranges], dtype=torch.int32),
        block_tables=paging.block_tables[[i for i, *_ in ranges]],
        output_rows=torch.arange(num_tokens),
    )


def empty_cache(heads: Heads, paging: Paging, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A cache full of NaN, as memory that nobody has written to may be."""
    size = (paging.num_blocks, heads.num_kv_heads, paging.block_size, heads.head_size)
    return torch.full(size, torch.nan, dtype=dtype), torch.full(size, torch.nan, dtype=dtype)


def random_qkv(
    heads: Heads, num_tokens: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values as views of one tensor, the way a fused projection leaves them."""
    counts = (heads.num_heads, heads.num_kv_heads, heads.num_kv_heads)
    rows = torch.randn(num_tokens, sum(counts) * heads.head_size, generator=generator)
    parts = rows.split([count * heads.head_size for count in counts], dim=1)
    queries, keys, values = (
        part.unflatten(1, (count, heads.head_size))
        for part, count in zip(parts, counts, strict=True)
    )
    return queries, keys, values


def make_chunks(paging: Paging, cuts: Sequence[int]) -> list[ForwardBatch]:
    """Sequence 0 of `paging` in chunks between `cuts`."""
    return [make_batch(paging, [(0, begin, end)]) for begin, end in pairwise(cuts)]


def attend_in_chunks(
    ops: Ops,
    qkv: tuple[Tensor, Tensor, Tensor],
    cache: tuple[Tensor, Tensor],
    chunks: Sequence[ForwardBatch],
    window: int | None,
) -> Tensor:
    """The attention of one sequence, one batch after the other."""
    parts = []
    for chunk in chunks:
        queries, keys, values = (part[chunk.positions[0] : chunk.positions[-1] + 1] for part in qkv)
        parts.append(ops.paged_attention((queries, keys, values), cache, chunk, window))
    return torch.cat(parts)
