"""T5 (Raffel et al. 2020) as transformers' `T5ForConditionalGeneration` computes it.

Also Flan-T5 and T5 1.1, whose feed-forward is gated and whose output is not scaled, and mT5.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from penstock.errors import UnsupportedModel
from penstock.model.families.gpt2 import ACTIVATIONS
from penstock.model.families.relative_positions import RelativePositions
from penstock.model.families.states import last, pick
from penstock.model.families.t5_layers import (
    CrossAttention,
    FeedForward,
    SelfAttention,
    Sizes,
    decoder_block,
    encoder_block,
)
from penstock.model.families.weights import Weights
from penstock.model.folder import read_size
from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import Activation, ForwardBatch, Ops, SourceBatch

DEFAULT_CONTEXT = 512  # what T5 was trained on: relative positions set no limit of their own
EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
UNUSED = "EncDecAttention.relative_attention_bias.weight"  # in the first published checkpoints


class T5:
    """Relative positions, root-mean-square norms, unscaled attention, no biases."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, ops: Ops) -> None:
        is_gated, self._activation = _feed_forward_kind(config)
        self._ops = ops
        self._epsilon = float(config.get("layer_norm_epsilon", 1e-6))
        self._num_heads, self._head_size = read_size(config, "num_heads"), read_size(config, "d_kv")
        self.context_length = _size_or(config, "n_positions", DEFAULT_CONTEXT)
        self.vocab_size = read_size(config, "vocab_size")
        self.decoder_start_token_id = _decoder_start(config, self.vocab_size)
        width = read_size(config, "d_model")
        sizes = Sizes(
            width=width,
            attended=self._num_heads * self._head_size,
            inner=read_size(config, "d_ff"),
            is_gated=is_gated,
        )
        embedding = next((name for name in EMBEDDINGS if name in weights), EMBEDDINGS[0])
        self._token_embedding = weights.tensor(embedding, self.vocab_size, width)
        num_layers = read_size(config, "num_layers")
        self._encoder = [encoder_block(weights, sizes, i) for i in range(num_layers)]
        num_layers = _size_or(config, "num_decoder_layers", num_layers)
        self._decoder = [decoder_block(weights, sizes, i) for i in range(num_layers)]
        self._encoder_norm = weights.vector("encoder.final_layer_norm.weight", width)
        self._decoder_norm = weights.vector("decoder.final_layer_norm.weight", width)
        self._encoder_positions = self._positions(config, weights, "encoder")
        decoder_positions = self._positions(config, weights, "decoder")
        self._distance_bias = decoder_positions.of_decoder(self.context_length)
        self._output_scale = width**-0.5 if _scales_output(config) else 1.0
        self.is_tied = "lm_head.weight" not in weights
        self._head = weights.head(self._token_embedding, is_tied=self.is_tied)
        weights.refuse_leftovers(*EMBEDDINGS, UNUSED)
        self.hidden_size = width
        self.num_parameters = weights.num_parameters
        self.num_bytes = weights.num_bytes
        self.cache_shape = CacheShape(
            num_layers=num_layers,
            num_kv_heads=self._num_heads,
            head_size=self._head_size,
            dtype=weights.cache_dtype,
        )

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        return cls(config, Weights(weights, ops, store, prefix=""), ops)

    def encode(self, batch: SourceBatch, cache: KVCache) -> None:
        x = nn.functional.embedding(batch.token_ids, self._token_embedding).float()
        longest = max(torch.tensor(batch.starts).diff().tolist())
        bias = self._encoder_positions.of_encoder(longest)
        for block in self._encoder:
            qkv = self._qkv(x, block.attention)
            attended = self._ops.attention(qkv, batch.starts, bias)
            x = self._ops.linear(attended, block.attention.out, residual=x)
            x = self._feed_forward(x, block.feed_forward)
        x = self._norm(x, self._encoder_norm)
        for reader, layer_cache in zip(self._decoder, cache.layers, strict=True):
            keys_values = self._ops.linear(x, reader.cross.keys_values)
            keys, values = self._heads(keys_values, 2).unbind(1)
            self._ops.store((keys, values), layer_cache, batch.slots)

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        x = last(self._run_decoder(batch, cache))[batch.output_rows]
        return self.head(self._norm(x, self._decoder_norm))

    def hidden(
        self, batch: ForwardBatch, cache: KVCache, layers: Collection[int] = ()
    ) -> list[Tensor]:
        *early, x = pick(self._run_decoder(batch, cache), layers)
        return [*early, self._norm(x, self._decoder_norm)]

    def head(self, hidden: Tensor) -> Tensor:
        return self._ops.linear(hidden * self._output_scale, self._head)

    def _run_decoder(self, batch: ForwardBatch, cache: KVCache) -> Iterator[Tensor]:
        x = nn.functional.embedding(batch.token_ids, self._token_embedding).float()
        for block, layer_cache in zip(self._decoder, cache.layers, strict=True):
            yield x
            x = self._attend(x, block.attention, layer_cache, batch)
            x = self._attend_to_source(x, block.cross, layer_cache, batch)
            x = self._feed_forward(x, block.feed_forward)
        yield x

    def _attend(
        self, x: Tensor, layer: SelfAttention, cache: tuple[Tensor, Tensor], batch: ForwardBatch
    ) -> Tensor:
        qkv = self._qkv(x, layer)
        attended = self._ops.paged_attention(qkv, cache, batch, distance_bias=self._distance_bias)
        return self._ops.linear(attended, layer.out, residual=x)

    def _attend_to_source(
        self, x: Tensor, layer: CrossAttention, cache: tuple[Tensor, Tensor], batch: ForwardBatch
    ) -> Tensor:
        queries = self._heads(self._ops.linear(self._norm(x, layer.norm), layer.queries), 1)
        attended = self._ops.source_attention(self._unscaled(queries[:, 0]), cache, batch)
        return self._ops.linear(attended, layer.out, residual=x)

    def _feed_forward(self, x: Tensor, layer: FeedForward) -> Tensor:
        normed = self._norm(x, layer.norm)
        if layer.gate is None:
            hidden = self._ops.linear(normed, layer.up, self._activation)
        else:
            hidden = self._ops.linear(normed, layer.gate, self._activation)
            hidden = hidden * self._ops.linear(normed, layer.up)
        return self._ops.linear(hidden, layer.down, residual=x)

    def _qkv(self, x: Tensor, layer: SelfAttention) -> tuple[Tensor, Tensor, Tensor]:
        qkv = self._heads(self._ops.linear(self._norm(x, layer.norm), layer.qkv), 3)
        queries, keys, values = qkv.unbind(1)
        return self._unscaled(queries), keys, values

    def _heads(self, x: Tensor, num_parts: int) -> Tensor:
        """(num_tokens, num_parts, num_heads, head_size)"""
        return x.view(len(x), num_parts, self._num_heads, self._head_size)

    def _unscaled(self, queries: Tensor) -> Tensor:
        """Undoes what the attention divides by."""
        return queries * math.sqrt(self._head_size)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return self._ops.rms_norm(x, weight, self._epsilon)

    def _positions(
        self, config: Mapping[str, Any], weights: Weights, stack: str
    ) -> RelativePositions:
        """The first block's, which all blocks of a stack use."""
        num_buckets = _size_or(config, "relative_attention_num_buckets", 32)
        name = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        return RelativePositions(
            table=weights.tensor(name, num_buckets, self._num_heads).float(),
            max_distance=_size_or(config, "relative_attention_max_distance", 128),
        )


def _size_or(config: Mapping[str, Any], name: str, default: int) -> int:
    return default if config.get(name) is None else read_size(config, name)


def _feed_forward_kind(config: Mapping[str, Any]) -> tuple[bool, Activation]:
    """Whether the feed-forward is gated, and its activation. In T5 "gelu" is GPT-2's there."""
    default = "gated-gelu" if config.get("model_type") == "mt5" else "relu"
    stated = str(config.get("feed_forward_proj", default))
    gate, _, name = stated.rpartition("-")
    if stated == "gated-gelu":
        name = "gelu_new"
    if gate not in ("", "gated") or name not in ACTIVATIONS:
        raise UnsupportedModel(
            f"feed_forward_proj={stated!r} is not supported for T5.",
            f"Supported are {', '.join(ACTIVATIONS)}, each also after 'gated-'.",
        )
    return gate == "gated", ACTIVATIONS[name]


def _scales_output(config: Mapping[str, Any]) -> bool:
    """Only the first T5 does, and transformers' older files tell it by its tied embeddings."""
    if config.get("model_type") == "mt5":
        return False
    stated = config.get("scale_decoder_outputs")
    return bool(config.get("tie_word_embeddings", True) if stated is None else stated)


def _decoder_start(config: Mapping[str, Any], vocab_size: int) -> int:
    """The padding token, unless the configuration says otherwise."""
    stated = config.get("decoder_start_token_id")
    start = config.get("pad_token_id", 0) if stated is None else stated
    if type(start) is not int or not 0 <= start < vocab_size:
        raise UnsupportedModel(
            f"decoder_start_token_id={start!r} is not a token of this model.",
            f"It must be 0 to {vocab_size - 1}: fetch the model's files again.",
        )
    return start
