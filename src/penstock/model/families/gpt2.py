"""GPT-2 (Radford et al. 2019), as transformers' `GPT2LMHeadModel` computes it. Also DistilGPT-2."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from penstock.errors import UnsupportedModel
from penstock.model.families.states import last, pick
from penstock.model.families.weights import Norm, Weights
from penstock.model.folder import read_size
from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import Activation, ForwardBatch, LinearWeight, Ops

ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
}
MASKS = (".attn.bias", ".attn.masked_bias")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One transformer block."""

    attention_norm: Norm
    qkv: LinearWeight
    attention_out: LinearWeight
    mlp_norm: Norm
    mlp_in: LinearWeight
    mlp_out: LinearWeight


class GPT2:
    """Learned positions, pre-norm blocks, one fused projection to queries, keys and values."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, ops: Ops) -> None:
        _refuse_unsupported(config)
        self._ops = ops
        self._activation = ACTIVATIONS[config.get("activation_function", "gelu_new")]
        self._epsilon = float(config.get("layer_norm_epsilon", 1e-5))
        self._num_heads = read_size(config, "n_head")
        self.context_length = read_size(config, "n_positions")
        self.vocab_size = read_size(config, "vocab_size")
        width, inner = read_size(config, "n_embd"), config.get("n_inner")
        inner = 4 * width if inner is None else read_size(config, "n_inner")
        self._token_embedding = weights.tensor("wte.weight", self.vocab_size, width)
        self._position_embedding = weights.tensor("wpe.weight", self.context_length, width).float()
        self._layers = [
            _layer(weights, f"h.{i}", width, inner) for i in range(read_size(config, "n_layer"))
        ]
        self._final_norm = weights.norm("ln_f", width)
        self.is_tied = bool(config.get("tie_word_embeddings", True))
        self._head = weights.head(self._token_embedding, is_tied=self.is_tied)
        self.hidden_size = width
        weights.refuse_leftovers(".attn.bias", ".attn.masked_bias", "lm_head.weight")
        self.num_parameters = weights.num_parameters
        self.num_bytes = weights.num_bytes
        self.cache_shape = CacheShape(
            num_layers=len(self._layers),
            num_kv_heads=self._num_heads,
            head_size=width // self._num_heads,
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
        for layer, layer_cache in zip(self._layers, cache.layers, strict=True):
            yield x
            x = self._block(x, layer, layer_cache, batch)
        yield x

    def _block(
        self, x: Tensor, layer: Layer, cache: tuple[Tensor, Tensor], batch: ForwardBatch
    ) -> Tensor:
        qkv = self._ops.linear(self._norm(x, layer.attention_norm), layer.qkv)
        queries, keys, values = qkv.view(len(x), 3, self._num_heads, -1).unbind(1)
        attended = self._ops.paged_attention((queries, keys, values), cache, batch)
        x = self._ops.linear(attended, layer.attention_out, residual=x)
        hidden = self._ops.linear(self._norm(x, layer.mlp_norm), layer.mlp_in, self._activation)
        return self._ops.linear(hidden, layer.mlp_out, residual=x)

    def _norm(self, x: Tensor, norm: Norm) -> Tensor:
        return self._ops.layer_norm(x, norm.weight, norm.bias, self._epsilon)


def _layer(weights: Weights, name: str, width: int, inner: int) -> Layer:
    """GPT-2 stores its matrices as (in_features, out_features)."""
    return Layer(
        attention_norm=weights.norm(f"{name}.ln_1", width),
        qkv=weights.transposed(f"{name}.attn.c_attn", width, 3 * width),
        attention_out=weights.transposed(f"{name}.attn.c_proj", width, width),
        mlp_norm=weights.norm(f"{name}.ln_2", width),
        mlp_in=weights.transposed(f"{name}.mlp.c_fc", width, inner),
        mlp_out=weights.transposed(f"{name}.mlp.c_proj", inner, width),
    )


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    width, num_heads = read_size(config, "n_embd"), read_size(config, "n_head")
    if width % num_heads:
        raise UnsupportedModel(
            f"n_embd={width} cannot be divided among n_head={num_heads} heads.",
            "Fetch the model's files again.",
        )
    activation = config.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        raise UnsupportedModel(
            f"activation_function={activation!r} is not supported for GPT-2.",
            f"Supported are {', '.join(ACTIVATIONS)}.",
        )
    for name, neutral in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        if config.get(name, neutral) is not neutral:
            raise UnsupportedModel(
                f"{name}={config[name]} is not supported for GPT-2.", f"Only {neutral} is."
            )
