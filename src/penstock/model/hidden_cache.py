"""The hidden states of tokens, in the blocks of the KV cache. Knows no sequences."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class HiddenCache:
    """What a token's last hidden state points to, block by block as its keys and values are.

    Takes no memory before the first state is kept, and then only for blocks that are written to.
    """

    def __init__(self, *, num_blocks: int, block_size: int) -> None:
        self._num_blocks = num_blocks
        self._block_size = block_size
        self._directions: Tensor | None = None  # (num_blocks, block_size, width), of length 1

    def keep(self, hidden: Tensor, slots: Tensor) -> None:
        """Keep hidden states (num_tokens, width) at their slots (num_tokens,)."""
        if self._directions is None:
            size = (self._num_blocks, self._block_size, hidden.shape[-1])
            self._directions = torch.empty(size, device=hidden.device)
        flat = self._directions.view(-1, hidden.shape[-1])
        flat[slots] = nn.functional.normalize(hidden, dim=-1)

    def likeness(self, block_tables: Tensor, lengths: Tensor) -> Tensor:
        """How alike each sequence's last state is to the likest before it (num_sequences,).

        The greatest cosine, or -inf where nothing is before it. `block_tables` (num_sequences,
        max_blocks); `lengths` (num_sequences,) are tokens, the last included.
        """
        assert self._directions is not None, "states are kept from the beginning"
        states = self._directions[block_tables.long()].flatten(1, 2)  # (_, max_tokens, width)
        lengths = lengths.long()[:, None]
        rows = torch.arange(len(states), device=states.device)[:, None]
        cosines = (states * states[rows, lengths - 1]).sum(dim=-1)
        is_earlier = torch.arange(states.shape[1], device=states.device) < lengths - 1
        return cosines.masked_fill(~is_earlier, float("-inf")).amax(dim=-1)

    def copy_blocks(self, copies: Sequence[tuple[int, int]]) -> None:
        """Copy whole blocks, given as (source, destination), in this order."""
        if self._directions is not None:
            for source, destination in copies:
                self._directions[destination] = self._directions[source]
