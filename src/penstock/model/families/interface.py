"""What a model family is: an architecture that turns packed tokens into logits."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch, Ops


class Family(Protocol):
    """A loaded model of one architecture."""

    context_length: int
    vocab_size: int
    num_parameters: int
    num_bytes: int
    cache_shape: CacheShape
    hidden_size: int

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        """Lay out a checkpoint's weights for `ops`, stored as `store`."""

    def hidden(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        """Final hidden states (num_outputs, hidden_size), fp32, of the batch's output rows.

        They have passed the last norm. Fills the cache.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (num_rows, vocab_size), fp32, of final hidden states."""
