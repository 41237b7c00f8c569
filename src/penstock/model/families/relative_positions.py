"""T5's relative positions (Raffel et al. 2020): a learned bias by how far apart two tokens are.

Distances share buckets, near ones one each, far ones in steps that grow with the logarithm.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativePositions:
    """A table of learned biases, and which distance reads which of its rows."""

    table: Tensor  # (num_buckets, num_heads) fp32
    max_distance: int  # from here on all distances share a bucket

    def of_decoder(self, num_distances: int) -> Tensor:
        """What is added by how far back a token lies (num_heads, num_distances)."""
        distances = torch.arange(num_distances, device=self.table.device)
        return self.table[self._bucket(distances, len(self.table))].t().contiguous()

    def of_encoder(self, length: int) -> Tensor:
        """What is added for each query and key of a text (num_heads, length, length).

        The upper half of the buckets is for keys after the query.
        """
        positions = torch.arange(length, device=self.table.device)
        ahead = positions - positions[:, None]  # (query, key)
        half = len(self.table) // 2
        bucket = self._bucket(ahead.abs(), half) + (ahead > 0) * half
        return self.table[bucket].permute(2, 0, 1)

    def _bucket(self, distances: Tensor, num_buckets: int) -> Tensor:
        """As transformers' `T5Attention._relative_position_bucket`, down to its rounding."""
        num_exact = num_buckets // 2
        scale = math.log(self.max_distance / num_exact)
        steps = torch.log(distances.clamp_min(1).float() / num_exact) / scale
        far = num_exact + (steps * (num_buckets - num_exact)).long()
        return torch.where(distances < num_exact, distances, far.clamp_max(num_buckets - 1))
