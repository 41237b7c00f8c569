"""The keys and values of all tokens, in numbered blocks. Knows no sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheShape:
    """How large one token's keys and values are in a model."""

    num_layers: int
    num_kv_heads: int
    head_size: int
    dtype: torch.dtype = torch.float32

    @property
    def bytes_per_token(self) -> int:
        """Keys and values of all layers."""
        num_elements = 2 * self.num_layers * self.num_kv_heads * self.head_size
        return num_elements * self.dtype.itemsize


class KVCache:
    """Preallocated blocks; memory is only taken by blocks that have been written to."""

    def __init__(self, shape: CacheShape, *, num_blocks: int, block_size: int) -> None:
        # (num_layers, num_blocks, num_kv_heads, block_size, head_size)
        size = (shape.num_layers, num_blocks, shape.num_kv_heads, block_size, shape.head_size)
        self.keys = torch.empty(size, dtype=shape.dtype)
        self.values = torch.empty(size, dtype=shape.dtype)
        self.layers: tuple[tuple[Tensor, Tensor], ...] = tuple(
            zip(self.keys.unbind(0), self.values.unbind(0), strict=True)
        )
        self.block_size = block_size

    def copy_blocks(self, copies: Sequence[tuple[int, int]]) -> None:
        """Copy whole blocks, given as (source, destination), in this order."""
        for source, destination in copies:
            self.keys[:, destination] = self.keys[:, source]
            self.values[:, destination] = self.values[:, source]
