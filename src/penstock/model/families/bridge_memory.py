"""Penstock's blocks as the memory of a transformers model, and back. Knows no architecture."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch

TOKENS_ONLY = CacheShape(num_layers=1, num_kv_heads=1, head_size=1)  # for a key, the token's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The sequences of a batch that have as many tokens, new tokens and tokens of their source."""

    rows: Tensor  # (num_sequences, num_new) int64: theirs in the batch
    token_ids: Tensor  # (num_sequences, num_new) int64
    slots: Tensor  # (num_sequences * num_new,) int64
    num_old: int
    block_tables: Tensor  # (num_sequences, max_blocks) int64
    source_tables: Tensor  # (num_sequences, max_blocks) int64
    source_length: int  # 0 where there is no source

    @property
    def length(self) -> int:
        """How many tokens each sequence has."""
        return self.num_old + self.token_ids.shape[1]


def groups_of(batch: ForwardBatch) -> Iterator[Group]:
    """Cut a batch into its groups."""
    starts, lengths = batch.query_starts.tolist(), batch.context_lengths.tolist()
    read_lengths, read_tables = [0] * len(lengths), batch.block_tables[:, :0]
    if batch.sources is not None:
        read_lengths, read_tables = batch.sources.lengths.tolist(), batch.sources.block_tables
    members: dict[tuple[int, int, int], list[int]] = {}
    for i, (length, source_length) in enumerate(zip(lengths, read_lengths, strict=True)):
        members.setdefault((length, starts[i + 1] - starts[i], source_length), []).append(i)
    for (length, num_new, source_length), sequences in members.items():
        rows = torch.tensor([range(starts[i], starts[i] + num_new) for i in sequences])
        yield Group(
            rows=rows,
            token_ids=batch.token_ids[rows],
            slots=batch.slots[rows].flatten(),
            num_old=length - num_new,
            block_tables=batch.block_tables[sequences].long(),
            source_tables=read_tables[sequences].long(),
            source_length=source_length,
        )


def past_of(cache: KVCache, block_tables: Tensor, length: int, dtype: torch.dtype) -> DynamicCache:
    """The first `length` keys and values of each sequence, as transformers holds them."""
    if length == 0:
        return DynamicCache()
    tables = block_tables[:, : -(-length // cache.block_size)]
    # (num_layers, num_sequences, num_blocks, num_heads, block_size, head_size)
    parts = (part[:, tables] for part in (cache.keys, cache.values))
    keys, values = (
        part.transpose(2, 3).flatten(3, 4)[:, :, :, :length].to(dtype) for part in parts
    )
    return DynamicCache(list(zip(keys.unbind(0), values.unbind(0), strict=True)))


def new_keys_values(layer: Any, start: int) -> tuple[Tensor, Tensor]:
    """What a layer holds from `start` on, the tokens of all sequences in a row.

    Each (num_sequences * num_new, num_heads, head_size), fp32.
    """
    keys, values = (
        part[:, :, start:].transpose(1, 2).flatten(0, 1).float()
        for part in (layer.keys, layer.values)
    )
    return keys, values


def keep_tokens(token_ids: Tensor, slots: Tensor, cache: KVCache) -> None:
    """Write token ids (num_tokens,) into a cache of the shape `TOKENS_ONLY`; fp32 holds them."""
    cache.keys[0, slots // cache.block_size, 0, slots % cache.block_size, 0] = token_ids.float()


def tokens_of(cache: KVCache, block_table: Tensor, length: int) -> Tensor:
    """The token ids (length,) that such a cache holds of one text."""
    return cache.keys[0, block_table, 0, :, 0].flatten()[:length].long()


def shape_of(caches: Iterable[DynamicCache]) -> CacheShape | None:
    """The shape that all layers share, or `None` where they hold anything but keys and values."""
    layers = [list(cache.layers) for cache in caches]
    flat = [layer for each in layers for layer in each]
    if len({len(each) for each in layers}) != 1 or any(type(x) is not DynamicLayer for x in flat):
        return None
    sizes = {(part.shape[1], part.shape[3]) for x in flat for part in (x.keys, x.values)}
    if len(sizes) != 1:
        return None
    num_heads, head_size = sizes.pop()
    return CacheShape(num_layers=len(layers[0]), num_kv_heads=num_heads, head_size=head_size)


def remembers_by_token(model: Any) -> bool:
    """Whether the model's own kind of cache keeps keys and values for each token, no state."""
    if model._is_stateful:
        return False
    kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    return kinds <= {DynamicLayer, DynamicSlidingWindowLayer}
