"""The reference implementation of the operations, in plain PyTorch. Kept readable, kept."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from penstock.ops.interface import Activation, ForwardBatch, LinearWeight

ROW_BLOCK = 16  # products of a fixed number of rows, so that no row sees how many mates it has

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
        return self.weight.nbytes


class TorchOps:
    """`Ops` in plain PyTorch, for any device."""

    name = "torch"

    def pack_linear(self, weight: Tensor, bias: Tensor | None, store: torch.dtype) -> LinearWeight:
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
        assert isinstance(weight, TorchLinearWeight)
        y = _matmul_in_row_blocks(x.to(weight.weight.dtype), weight.weight).float()
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
    ) -> Tensor:
        queries, new_keys, new_values = qkv
        _write_to_slots(cache[0], batch.slots, new_keys)
        _write_to_slots(cache[1], batch.slots, new_values)
        starts = batch.query_starts.tolist()
        contexts = [
            _attend(
                queries[starts[i] : starts[i + 1]],
                _read_sequence(cache[0], batch.block_tables[i], length),
                _read_sequence(cache[1], batch.block_tables[i], length),
                window,
            )
            for i, length in enumerate(batch.context_lengths.tolist())
        ]
        return torch.cat(contexts)


def _matmul_in_row_blocks(x: Tensor, weight: Tensor) -> Tensor:
    rows = x.shape[0]
    padded = nn.functional.pad(x, (0, 0, 0, -rows % ROW_BLOCK))
    blocks = [nn.functional.linear(block, weight) for block in torch.split(padded, ROW_BLOCK)]
    return torch.cat(blocks)[:rows] if len(blocks) > 1 else blocks[0][:rows]


def _write_to_slots(cache: Tensor, slots: Tensor, new: Tensor) -> None:
    """Store `new` (num_tokens, num_kv_heads, head_size) at its slots of one layer's cache."""
    block_size = cache.shape[2]
    cache[slots // block_size, :, slots % block_size] = new.to(cache.dtype)


def _read_sequence(cache: Tensor, block_table: Tensor, length: int) -> Tensor:
    """One sequence's keys or values from its blocks: (num_kv_heads, length, head_size)."""
    num_blocks = -(-length // cache.shape[2])
    blocks = cache[
        block_table[:num_blocks].long()
    ]  # (num_blocks, num_kv_heads, block_size, head_size)
    return blocks.transpose(0, 1).flatten(1, 2)[:, :length].float()


def _attend(queries: Tensor, keys: Tensor, values: Tensor, window: int | None) -> Tensor:
    """Causal attention of a sequence's last tokens: (num_queries, num_heads * head_size)."""
    num_queries, num_heads, _ = queries.shape
    group = num_heads // keys.shape[0]
    if group > 1:
        keys, values = keys.repeat_interleave(group, 0), values.repeat_interleave(group, 0)
    offset = keys.shape[1] - num_queries
    query_positions = torch.arange(num_queries, device=keys.device)[:, None] + offset
    key_positions = torch.arange(keys.shape[1], device=keys.device)
    visible = key_positions <= query_positions
    if window is not None:
        visible &= key_positions > query_positions - window
    out = nn.functional.scaled_dot_product_attention(
        queries.transpose(0, 1), keys, values, attn_mask=visible
    )
    return out.transpose(0, 1).flatten(1)
