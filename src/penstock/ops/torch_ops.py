"""The reference implementation of the operations, in plain PyTorch. Kept readable, kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from penstock.ops.choices import Chooser
from penstock.ops.interface import Activation, ForwardBatch, LinearWeight
from penstock.ops.quantised import (
    STORES,
    Int4LinearWeight,
    Int8LinearWeight,
    product,
    quantised,
)
from penstock.ops.row_blocks import matmul_in_row_blocks

ACTIVATIONS = {
    "gelu_new": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "gelu": nn.functional.gelu,
    "relu": nn.functional.relu,
    "silu": nn.functional.silu,
}


@dataclass(frozen=True, slots=True)
class TorchLinearWeight:
    """A weight as `torch.nn.functional.linear` wants it."""

    weight: Tensor  # (out_features, in_features)
    bias: Tensor | None  # (out_features,) fp32

    @property
    def out_features(self) -> int:
        return self.weight.shape[0]

    @property
    def num_bytes(self) -> int:
        return self.weight.nbytes + (0 if self.bias is None else self.bias.nbytes)


class TorchOps:
    """`Ops` in plain PyTorch, for any device."""

    name = "torch"
    chooser: Chooser | None = None

    def pack_linear(self, weight: Tensor, bias: Tensor | None, store: torch.dtype) -> LinearWeight:
        if store in STORES:
            return quantised(weight, bias, store)
        return TorchLinearWeight(
            weight.to(store).contiguous(), bias if bias is None else bias.float()
        )

    def linear(
        self,
        x: Tensor,
        weight: LinearWeight,
        activation: Activation | None = None,
        residual: Tensor | None = None,
    ) -> Tensor:
        if isinstance(weight, Int8LinearWeight | Int4LinearWeight):
            y = product(x, weight)
        else:
            assert isinstance(weight, TorchLinearWeight)
            y = matmul_in_row_blocks(x.to(weight.weight.dtype), weight.weight).float()
        if weight.bias is not None:
            y = y + weight.bias
        if activation is not None:
            y = ACTIVATIONS[activation](y)
        return y if residual is None else y + residual

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        return nn.functional.layer_norm(x, (x.shape[-1],), weight, bias, epsilon)

    def rms_norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + epsilon) * weight

    def paged_attention(
        self,
        qkv: tuple[Tensor, Tensor, Tensor],
        cache: tuple[Tensor, Tensor],
        batch: ForwardBatch,
        window: int | None = None,
        distance_bias: Tensor | None = None,
    ) -> Tensor:
        queries, new_keys, new_values = qkv
        self.store((new_keys, new_values), cache, batch.slots)
        starts = batch.query_starts.tolist()
        contexts = []
        for i, length in enumerate(batch.context_lengths.tolist()):
            own = queries[starts[i] : starts[i + 1]]
            positions = torch.arange(length, device=own.device)
            mask = _causal_mask(positions, len(own), window, distance_bias)
            keys, values = _read_sequence(cache, batch.block_tables[i], length)
            contexts.append(_attend(own, keys, values, mask))
        return torch.cat(contexts)

    def source_attention(
        self, queries: Tensor, cache: tuple[Tensor, Tensor], batch: ForwardBatch
    ) -> Tensor:
        assert batch.sources is not None
        starts = batch.query_starts.tolist()
        contexts = []
        for i, length in enumerate(batch.sources.lengths.tolist()):
            keys, values = _read_sequence(cache, batch.sources.block_tables[i], length)
            contexts.append(_attend(queries[starts[i] : starts[i + 1]], keys, values, None))
        return torch.cat(contexts)

    def store(
        self, keys_values: tuple[Tensor, Tensor], cache: tuple[Tensor, Tensor], slots: Tensor
    ) -> None:
        for part, new in zip(cache, keys_values, strict=True):
            block_size = part.shape[2]
            part[slots // block_size, :, slots % block_size] = new.to(part.dtype)

    def attention(
        self, qkv: tuple[Tensor, Tensor, Tensor], starts: Sequence[int], bias: Tensor
    ) -> Tensor:
        contexts = []
        for start, end in pairwise(starts):
            queries, keys, values = (part[start:end] for part in qkv)
            length = end - start
            keys, values = keys.transpose(0, 1), values.transpose(0, 1)
            contexts.append(_attend(queries, keys, values, bias[:, :length, :length]))
        return torch.cat(contexts)


def _read_sequence(
    cache: tuple[Tensor, Tensor], block_table: Tensor, length: int
) -> tuple[Tensor, Tensor]:
    """One sequence's keys and values from its blocks, each (num_kv_heads, length, head_size)."""
    block_ids = block_table[: -(-length // cache[0].shape[2])].long()
    keys, values = (
        part[block_ids].transpose(0, 1).flatten(1, 2)[:, :length].float() for part in cache
    )
    return keys, values


def _causal_mask(
    positions: Tensor, num_queries: int, window: int | None, distance_bias: Tensor | None
) -> Tensor:
    """What the last queries see at `positions` (length,): truth, or what is added to the scores.

    (num_queries, length), with `distance_bias` (num_heads, num_queries, length).
    """
    distances = positions[len(positions) - num_queries :, None] - positions
    visible = distances >= 0
    if window is not None:
        visible &= distances < window
    if distance_bias is None:
        return visible
    return distance_bias[:, distances.clamp_min(0)].masked_fill(~visible, float("-inf"))


def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one sequence's queries: (num_queries, num_heads * head_size)."""
    group = queries.shape[1] // keys.shape[0]
    if group > 1:
        keys, values = keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0)
    out = nn.functional.scaled_dot_product_attention(
        queries.transpose(0, 1), keys, values, attn_mask=mask
    )
    return out.transpose(0, 1).flatten(1)
