"""Runs a family on one sequence and on the texts of transformers, to hold them side by side."""

import torch

from penstock.model.families.interface import Family
from penstock.model.kv_cache import KVCache
from penstock.ops.interface import ForwardBatch

BLOCK_SIZE = 4


def all_logits(family: Family, token_ids: list[int]) -> torch.Tensor:
    """Logits (num_tokens, vocab_size) of one sequence computed whole, its blocks out of order."""
    return family.logits(all_hidden(family, token_ids))


def all_hidden(family: Family, token_ids: list[int]) -> torch.Tensor:
    """Final hidden states (num_tokens, hidden_size) of the same."""
    num_blocks = -(-len(token_ids) // BLOCK_SIZE)
    table = list(reversed(range(num_blocks)))
    positions = torch.arange(len(token_ids))
    batch = ForwardBatch(
        token_ids=torch.tensor(token_ids),
        positions=positions,
        slots=torch.tensor(table)[positions // BLOCK_SIZE] * BLOCK_SIZE + positions % BLOCK_SIZE,
        query_starts=torch.tensor([0, len(token_ids)], dtype=torch.int32),
        context_lengths=torch.tensor([len(token_ids)], dtype=torch.int32),
        block_tables=torch.tensor([table], dtype=torch.int32),
        output_rows=positions,
    )
    cache = KVCache(family.cache_shape, num_blocks=num_blocks, block_size=BLOCK_SIZE)
    return family.hidden(batch, cache)
