"""A loaded model's raw scores of given tokens, with an adapter or without. One text at a time."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from penstock.model.adapters import Adapter
from penstock.model.families.interface import EncoderDecoder
from penstock.model.kv_cache import KVCache
from penstock.model.loading import LoadedModel
from penstock.ops.interface import ForwardBatch, SourceBatch, SourceTables

BLOCK_SIZE = 16


@torch.inference_mode()
def logits_of(
    model: LoadedModel, token_ids: Sequence[int], adapter: Adapter | None = None
) -> Tensor:
    """Logits (num_tokens, vocab_size), in fp32 on the CPU.

    An encoder-decoder reads the tokens, and is asked for what it writes to answer them with.
    """
    family = model.family
    start = model.decoder_start_token_id
    if start is None:
        cache = _cache(model, len(token_ids))
        with _with(model, adapter, len(token_ids)):
            return family.forward(_batch(token_ids, 0), cache).float().cpu()
    assert isinstance(family, EncoderDecoder)
    answer = (start, *token_ids)
    source_blocks = _num_blocks(len(token_ids))
    cache = _cache(model, source_blocks * BLOCK_SIZE + len(answer))
    slots = torch.arange(len(token_ids))
    source = SourceBatch(token_ids=torch.tensor(token_ids), slots=slots, starts=(0, len(token_ids)))
    with _with(model, adapter, len(token_ids)):
        family.encode(source, cache)
    tables = SourceTables(
        block_tables=torch.arange(source_blocks, dtype=torch.int32)[None],
        lengths=torch.tensor([len(token_ids)], dtype=torch.int32),
    )
    with _with(model, adapter, len(answer)):
        batch = replace(_batch(answer, source_blocks), sources=tables)
        return family.forward(batch, cache).float().cpu()


def _with(
    model: LoadedModel, adapter: Adapter | None, num_rows: int
) -> AbstractContextManager[None]:
    if adapter is None:
        return nullcontext()
    assert model.adapters.ops is not None  # it has just laid the adapter out
    return model.adapters.ops.adding([(adapter.additions, num_rows)])


def _cache(model: LoadedModel, num_tokens: int) -> KVCache:
    return KVCache(
        model.family.cache_shape, num_blocks=_num_blocks(num_tokens) + 1, block_size=BLOCK_SIZE
    )


def _batch(token_ids: Sequence[int], first_block: int) -> ForwardBatch:
    """One sequence in blocks that follow each other."""
    num_tokens = len(token_ids)
    positions = torch.arange(num_tokens)
    last_block = first_block + _num_blocks(num_tokens)
    return ForwardBatch(
        token_ids=torch.tensor(token_ids),
        positions=positions,
        slots=first_block * BLOCK_SIZE + positions,
        query_starts=torch.tensor([0, num_tokens], dtype=torch.int32),
        context_lengths=torch.tensor([num_tokens], dtype=torch.int32),
        block_tables=torch.arange(first_block, last_block, dtype=torch.int32)[None],
        output_rows=positions,
    )


def _num_blocks(num_tokens: int) -> int:
    return -(-num_tokens // BLOCK_SIZE)
