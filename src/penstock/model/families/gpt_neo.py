"""GPT-Neo (Black et al. 2021), as transformers' `GPTNeoForCausalLM` computes it.

GPT-2 with unscaled attention, in some layers only over a window of the latest tokens.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from penstock.errors import UnsupportedModel
from penstock.model.families.gpt2 import ACTIVATIONS, Layer
from penstock.model.families.states import last, pick
from penstock.model.families.weights import Norm, Weights
from penstock.model.folder import read_size
from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch, Ops


class GPTNeo:
    """Learned positions and pre-norm blocks; layers attend globally or locally."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, ops: Ops) -> None:
        self._ops = ops
        self._activation = ACTIVATIONS[_checked_activation(config)]
        self._epsilon = float(config.get("layer_norm_epsilon", 1e-5))
        self._num_heads = read_size(config, "num_heads")
        self.context_length = read_size(config, "max_position_embeddings")
        self.vocab_size = read_size(config, "vocab_size")
        width = read_size(config, "hidden_size")
        self._head_size = width // self._num_heads
        embedding = weights.tensor("wte.weight", self.vocab_size, width)
        self._token_embedding = embedding
        self._position_embedding = weights.tensor("wpe.weight", self.context_length, width).float()
        self._windows = _windows(config)
        self._layers = [_layer(config, weights, f"h.{i}") for i in range(len(self._windows))]
        self._final_norm = weights.norm("ln_f", width)
        self.is_tied = bool(config.get("tie_word_embeddings", True))
        self._head = weights.head(embedding, is_tied=self.is_tied)
        self.hidden_size = width
        weights.refuse_leftovers(".attention.bias", ".attention.masked_bias", "lm_head.weight")
        self.num_parameters = weights.num_parameters
        self.num_bytes = weights.num_bytes
        self.cache_shape = CacheShape(
            num_layers=len(self._layers),
            num_kv_heads=self._num_heads,
            head_size=self._head_size,
            dtype=weights.cache_dtype,
        )

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        return cls(config, Weights(weights, ops, store, prefix="transformer."), ops)

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        x = last(self._run_layers(batch, cache))[batch.output_rows]
        return self.head(self._norm(x, self._final_norm))

    def hidden(
        self, batch: ForwardBatch, cache: KVCache, layers: Collection[int] = ()
    ) -> list[Tensor]:
        *early, x = pick(self._run_layers(batch, cache), layers)
        return [*early, self._norm(x, self._final_norm)]

    def head(self, hidden: Tensor) -> Tensor:
        return self._ops.linear(hidden, self._head)

    def _run_layers(self, batch: ForwardBatch, cache: KVCache) -> Iterator[Tensor]:
        x = nn.functional.embedding(batch.token_ids, self._token_embedding).float()
        x = x + self._position_embedding[batch.positions]  # (num_tokens, width)
        layers = zip(self._layers, self._windows, cache.layers, strict=True)
        for layer, window, layer_cache in layers:
            yield x
            x = self._attend(x, layer, window, layer_cache, batch)
            hidden = self._ops.linear(self._norm(x, layer.mlp_norm), layer.mlp_in, self._activation)
            x = self._ops.linear(hidden, layer.mlp_out, residual=x)
        yield x

    def _attend(
        self,
        x: Tensor,
        layer: Layer,
        window: int | None,
        cache: tuple[Tensor, Tensor],
        batch: ForwardBatch,
    ) -> Tensor:
        qkv = self._ops.linear(self._norm(x, layer.attention_norm), layer.qkv)
        queries, keys, values = qkv.view(len(x), 3, self._num_heads, -1).unbind(1)
        unscaled = queries * self._head_size**0.5  # undoes what the attention divides by
        attended = self._ops.paged_attention((unscaled, keys, values), cache, batch, window)
        return self._ops.linear(attended, layer.attention_out, residual=x)

    def _norm(self, x: Tensor, norm: Norm) -> Tensor:
        return self._ops.layer_norm(x, norm.weight, norm.bias, self._epsilon)


def _layer(config: Mapping[str, Any], weights: Weights, name: str) -> Layer:
    width, inner = read_size(config, "hidden_size"), config.get("intermediate_size")
    inner = 4 * width if inner is None else read_size(config, "intermediate_size")
    attention = f"{name}.attn.attention"
    return Layer(
        attention_norm=weights.norm(f"{name}.ln_1", width),
        qkv=weights.linear({f"{attention}.{p}_proj": width for p in "qkv"}, width),
        attention_out=weights.linear({f"{attention}.out_proj": width}, width),
        mlp_norm=weights.norm(f"{name}.ln_2", width),
        mlp_in=weights.linear({f"{name}.mlp.c_fc": inner}, width),
        mlp_out=weights.linear({f"{name}.mlp.c_proj": width}, inner),
    )


def _windows(config: Mapping[str, Any]) -> list[int | None]:
    """How far back each layer attends; `None` is all the way."""
    kinds = config.get("attention_layers") or [
        kind
        for pattern, count in config.get("attention_types", [])
        for _ in range(count)
        for kind in pattern
    ]
    num_layers = read_size(config, "num_layers")
    if len(kinds) != num_layers or not {"global", "local"}.issuperset(kinds):
        raise UnsupportedModel(
            f"attention_types names {len(kinds)} layers; num_layers is {num_layers}.",
            "Fetch the model's files again.",
        )
    window = read_size(config, "window_size")
    return [window if kind == "local" else None for kind in kinds]


def _checked_activation(config: Mapping[str, Any]) -> str:
    activation = str(config.get("activation_function", "gelu_new"))
    if activation not in ACTIVATIONS:
        raise UnsupportedModel(
            f"activation_function={activation!r} is not supported for GPT-Neo.",
            f"Supported are {', '.join(ACTIVATIONS)}.",
        )
    return activation
