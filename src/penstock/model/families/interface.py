"""What a model family is: an architecture that turns packed tokens into logits."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch, Ops, SourceBatch


class Family(Protocol):
    """A loaded model of one architecture."""

    context_length: int
    vocab_size: int
    num_parameters: int
    num_bytes: int
    cache_shape: CacheShape

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        """Lay out a checkpoint's weights for `ops`, stored as `store`."""

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        """Logits (num_outputs, vocab_size), fp32, of the batch's output rows; fills the cache."""


@runtime_checkable
class EncoderDecoder(Family, Protocol):
    """A family that reads the prompt with an encoder and answers it with a decoder.

    `context_length` holds for what is read and for what is written, each by itself.
    """

    decoder_start_token_id: int

    def encode(self, batch: SourceBatch, cache: KVCache) -> None:
        """Read sources; leaves in the cache the keys and values that `forward` attends to."""


@runtime_checkable
class TellsHidden(Protocol):
    """A family that also tells its hidden states, which some strategies look at.

    `forward` is `head` of the output rows of the last that `hidden` tells.
    """

    hidden_size: int
    is_tied: bool  # its head is its token embedding

    def hidden(
        self, batch: ForwardBatch, cache: KVCache, layers: Collection[int] = ()
    ) -> list[Tensor]:
        """The hidden states (num_tokens, width) of all rows; fills the cache.

        Those that reach each of `layers`, as they are, then those that leave the last, normed.
        """

    def head(self, hidden: Tensor) -> Tensor:
        """Logits (num_rows, vocab_size), fp32, of hidden states (num_rows, width)."""
