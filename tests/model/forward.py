"""Runs a family on one sequence, to hold it beside transformers."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from penstock.model.families.interface import EncoderDecoder, Family, TellsHidden
from penstock.model.kv_cache import KVCache
from penstock.ops.interface import ForwardBatch, SourceBatch, SourceTables

BLOCK_SIZE = 4


def all_logits(family: Family, token_ids: list[int]) -> torch.Tensor:
    """Logits (num_tokens, vocab_size) of one sequence computed whole, its blocks out of order."""
    return family.forward(*_one_sequence(family, token_ids))


def all_hidden(
    family: Family, token_ids: list[int], layers: Sequence[int] = ()
) -> list[torch.Tensor]:
    """The hidden states (num_tokens, width) of one sequence: before `layers`, and the last."""
    assert isinstance(family, TellsHidden)
    return family.hidden(*_one_sequence(family, token_ids), layers)


def _one_sequence(family: Family, token_ids: list[int]) -> tuple[ForwardBatch, KVCache]:
    table = list(reversed(range(_num_blocks(token_ids))))
    cache = KVCache(family.cache_shape, num_blocks=len(table), block_size=BLOCK_SIZE)
    return _batch(token_ids, table), cache


def answer_logits(family: EncoderDecoder, source: list[int], token_ids: list[int]) -> torch.Tensor:
    """The same of an answer to `source`, which is read together with another source before it."""
    mate = [*source[:3], *source]
    sizes = [_num_blocks(mate), _num_blocks(source), _num_blocks(token_ids)]
    blocks = iter(reversed(range(sum(sizes))))
    mate_table, source_table, table = ([next(blocks) for _ in range(n)] for n in sizes)
    cache = KVCache(family.cache_shape, num_blocks=sum(sizes), block_size=BLOCK_SIZE)
    family.encode(
        SourceBatch(
            token_ids=torch.tensor(mate + source),
            slots=torch.cat([_slots(mate, mate_table), _slots(source, source_table)]),
            starts=(0, len(mate), len(mate) + len(source)),
        ),
        cache,
    )
    sources = SourceTables(
        block_tables=torch.tensor([source_table], dtype=torch.int32),
        lengths=torch.tensor([len(source)], dtype=torch.int32),
    )
    return family.forward(replace(_batch(token_ids, table), sources=sources), cache)


def _batch(token_ids: list[int], table: list[int]) -> ForwardBatch:
    return ForwardBatch(
        token_ids=torch.tensor(token_ids),
        positions=torch.arange(len(token_ids)),
        slots=_slots(token_ids, table),
        query_starts=torch.tensor([0, len(token_ids)], dtype=torch.int32),
        context_lengths=torch.tensor([len(token_ids)], dtype=torch.int32),
        block_tables=torch.tensor([table], dtype=torch.int32),
        output_rows=torch.arange(len(token_ids)),
    )


def _num_blocks(token_ids: list[int]) -> int:
    return -(-len(token_ids) // BLOCK_SIZE)


def _slots(token_ids: list[int], table: list[int]) -> torch.Tensor:
    positions = torch.arange(len(token_ids))
    return torch.tensor(table)[positions // BLOCK_SIZE] * BLOCK_SIZE + positions % BLOCK_SIZE
