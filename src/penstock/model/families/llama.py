"""Llama (Touvron et al. 2023) and its kin as transformers has them: TinyLlama, Mistral, Qwen2.

They differ in a bias on queries, keys and values, which a checkpoint either has or has not.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from penstock.errors import UnsupportedModel
from penstock.model.families.gpt2 import ACTIVATIONS
from penstock.model.families.rotary import Rotary, rotate
from penstock.model.families.states import last, pick
from penstock.model.families.weights import Weights
from penstock.model.folder import read_size
from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch, LinearWeight, Ops


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One transformer block."""

    window: int | None  # how many of the latest tokens it sees; `None` is all of them
    attention_norm: Tensor  # (width,)
    qkv: LinearWeight
    attention_out: LinearWeight
    mlp_norm: Tensor  # (width,)
    gate: LinearWeight
    up: LinearWeight
    down: LinearWeight


class Llama:
    """Rotary positions, grouped-query attention, root-mean-square norms, gated feed-forward."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, ops: Ops) -> None:
        _refuse_unsupported(config)
        self._ops = ops
        self._activation = ACTIVATIONS[config.get("hidden_act", "silu")]
        self._epsilon = float(config.get("rms_norm_eps", 1e-6))
        self._num_heads = read_size(config, "num_attention_heads")
        self._num_kv_heads = _num_kv_heads(config)
        self._head_size = _head_size(config)
        self._rotary = Rotary(config, self._head_size)
        self.context_length = read_size(config, "max_position_embeddings")
        self.vocab_size = read_size(config, "vocab_size")
        width = read_size(config, "hidden_size")
        embedding = weights.tensor("model.embed_tokens.weight", self.vocab_size, width)
        self._token_embedding = embedding
        self._layers = [
            self._layer(config, weights, f"model.layers.{i}", window)
            for i, window in enumerate(_windows(config))
        ]
        self._final_norm = weights.vector("model.norm.weight", width)
        self.is_tied = bool(config.get("tie_word_embeddings", False))
        self._head = weights.head(embedding, is_tied=self.is_tied)
        self.hidden_size = width
        weights.refuse_leftovers("lm_head.weight", "rotary_emb.inv_freq")
        self.num_parameters = weights.num_parameters
        self.num_bytes = weights.num_bytes
        self.cache_shape = CacheShape(
            num_layers=len(self._layers),
            num_kv_heads=self._num_kv_heads,
            head_size=self._head_size,
            dtype=weights.cache_dtype,
        )

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        return cls(config, Weights(weights, ops, store, prefix=""), ops)

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        x = last(self._run_layers(batch, cache))[batch.output_rows]
        return self.head(self._ops.rms_norm(x, self._final_norm, self._epsilon))

    def hidden(
        self, batch: ForwardBatch, cache: KVCache, layers: Collection[int] = ()
    ) -> list[Tensor]:
        *early, x = pick(self._run_layers(batch, cache), layers)
        return [*early, self._ops.rms_norm(x, self._final_norm, self._epsilon)]

    def head(self, hidden: Tensor) -> Tensor:
        return self._ops.linear(hidden, self._head)

    def _run_layers(self, batch: ForwardBatch, cache: KVCache) -> Iterator[Tensor]:
        x = nn.functional.embedding(batch.token_ids, self._token_embedding).float()
        angles = self._rotary.angles(batch.positions)
        for layer, layer_cache in zip(self._layers, cache.layers, strict=True):
            yield x
            x = self._attend(x, layer, layer_cache, batch, angles)
            x = self._feed_forward(x, layer)
        yield x

    def _attend(
        self,
        x: Tensor,
        layer: Layer,
        cache: tuple[Tensor, Tensor],
        batch: ForwardBatch,
        angles: tuple[Tensor, Tensor],
    ) -> Tensor:
        normed = self._ops.rms_norm(x, layer.attention_norm, self._epsilon)
        qkv = self._ops.linear(normed, layer.qkv).view(len(x), -1, self._head_size)
        num_heads, num_kv_heads = self._num_heads, self._num_kv_heads
        queries, keys, values = torch.split(qkv, [num_heads, num_kv_heads, num_kv_heads], dim=1)
        rotated = rotate(queries, angles), rotate(keys, angles), values
        attended = self._ops.paged_attention(rotated, cache, batch, layer.window)
        return self._ops.linear(attended, layer.attention_out, residual=x)

    def _feed_forward(self, x: Tensor, layer: Layer) -> Tensor:
        normed = self._ops.rms_norm(x, layer.mlp_norm, self._epsilon)
        hidden = self._ops.linear(normed, layer.gate, self._activation)
        hidden = hidden * self._ops.linear(normed, layer.up)
        return self._ops.linear(hidden, layer.down, residual=x)

    def _layer(
        self, config: Mapping[str, Any], weights: Weights, name: str, window: int | None
    ) -> Layer:
        width, inner = read_size(config, "hidden_size"), read_size(config, "intermediate_size")
        attended = self._num_heads * self._head_size
        grouped = self._num_kv_heads * self._head_size
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        return Layer(
            window=window,
            attention_norm=weights.vector(f"{name}.input_layernorm.weight", width),
            qkv=weights.linear(
                {
                    f"{attention}.q_proj": attended,
                    f"{attention}.k_proj": grouped,
                    f"{attention}.v_proj": grouped,
                },
                width,
            ),
            attention_out=weights.linear({f"{attention}.o_proj": width}, attended),
            mlp_norm=weights.vector(f"{name}.post_attention_layernorm.weight", width),
            gate=weights.linear({f"{mlp}.gate_proj": inner}, width),
            up=weights.linear({f"{mlp}.up_proj": inner}, width),
            down=weights.linear({f"{mlp}.down_proj": width}, inner),
        )


def _num_kv_heads(config: Mapping[str, Any]) -> int:
    given = config.get("num_key_value_heads")
    name = "num_attention_heads" if given is None else "num_key_value_heads"
    return read_size(config, name)


def _head_size(config: Mapping[str, Any]) -> int:
    if config.get("head_dim") is not None:
        return read_size(config, "head_dim")
    return read_size(config, "hidden_size") // read_size(config, "num_attention_heads")


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    activation = config.get("hidden_act", "silu")
    if activation not in ACTIVATIONS:
        raise UnsupportedModel(
            f"hidden_act={activation!r} is not supported.",
            f"Supported are {', '.join(ACTIVATIONS)}.",
        )
    num_heads, num_kv_heads = read_size(config, "num_attention_heads"), _num_kv_heads(config)
    if num_heads % num_kv_heads:
        raise UnsupportedModel(
            f"{num_heads} heads cannot share {num_kv_heads} heads of keys and values.",
            "Fetch the model's files again.",
        )


def _windows(config: Mapping[str, Any]) -> list[int | None]:
    """The window of each layer: Mistral has one for all, Qwen2 one for some or for the last."""
    num_layers = read_size(config, "num_hidden_layers")
    has_window = config.get("sliding_window") is not None and config.get("use_sliding_window", True)
    if config["model_type"] == "llama" or not has_window:
        return [None] * num_layers
    window, kinds = read_size(config, "sliding_window"), config.get("layer_types")
    if kinds is not None:
        return [window if kind == "sliding_attention" else None for kind in kinds]
    first = config.get("max_window_layers", 0)
    return [window if i >= first else None for i in range(num_layers)]
