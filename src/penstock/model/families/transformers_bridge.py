"""Every other architecture, run by transformers' own modelling code on Penstock's cache.

Sequences of the same length go through the model together: the beams and samples of a request,
and requests that are equally far. No text is padded, so the model sees what it sees in `generate`;
a row agrees with a run alone but for rounding.

An architecture whose memory is not one pair of keys and values for each token and layer, such as a
state-space model, is computed anew from its tokens at every step: slower, with the same results.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from penstock.errors import UnsupportedModel
from penstock.model.families.bridge_loading import (
    context_length,
    decoder_start,
    is_seq2seq,
    read_model,
)
from penstock.model.families.bridge_memory import (
    TOKENS_ONLY,
    Group,
    groups_of,
    keep_tokens,
    new_keys_values,
    past_of,
    remembers_by_token,
    shape_of,
    tokens_of,
)
from penstock.model.families.interface import Family
from penstock.model.kv_cache import CacheShape, KVCache
from penstock.ops.interface import ForwardBatch, Ops, SourceBatch

PROBE_LENGTH = 4
# Of the spread of the logits, for rounding: what is computed wrongly is off by far more.
TOLERANCE = {torch.float32: 1e-3}
TOLERANCE_OF_SHORT_FLOATS = 0.05


class BridgedCausal:
    """A causal language model of transformers."""

    def __init__(self, model: Any, ops: Ops) -> None:
        self._model = model
        self._ops = ops
        self._dtype: torch.dtype = model.dtype
        self.context_length = context_length(model.config)
        self.num_parameters: int = model.num_parameters()
        self.num_bytes = sum(parameter.nbytes for parameter in model.parameters())
        self._probe = _probe(model)
        logits = self._logits_of(self._probe, self._probe[0])[0]
        self.vocab_size = logits.shape[-1]
        self._refuse_lookahead(logits)
        shape = self._probe_memory(logits)
        self._has_memory = shape is not None
        self.cache_shape = TOKENS_ONLY if shape is None else shape

    @classmethod
    def load(
        cls, config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
    ) -> Self:
        with torch.inference_mode():
            return cls(read_model(config, weights, store), ops)

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        logits = torch.empty(len(batch.token_ids), self.vocab_size)
        compute = self._continue if self._has_memory else self._recompute
        for group in groups_of(batch):
            logits[group.rows] = compute(group, cache).float()
        return logits[batch.output_rows]

    def _continue(self, group: Group, cache: KVCache) -> Tensor:
        """Logits (num_sequences, num_new, vocab_size) of the new tokens; keeps their memory."""
        past = past_of(cache, group.block_tables, group.num_old, self._dtype)
        logits: Tensor = self._model(**self._inputs(group, past, cache), use_cache=True).logits
        self._keep(past, group.num_old, group.slots, cache)
        return logits

    def _recompute(self, group: Group, cache: KVCache) -> Tensor:
        """The same from the whole texts, of which nothing but the token ids is kept."""
        keep_tokens(group.token_ids.flatten(), group.slots, cache)
        texts = [tokens_of(cache, table, group.length) for table in group.block_tables]
        sources = [tokens_of(cache, table, group.source_length) for table in group.source_tables]
        logits = [
            self._logits_of(text[None], source) for text, source in zip(texts, sources, strict=True)
        ]
        return torch.cat(logits)[:, group.num_old :]

    def _inputs(self, group: Group, past: DynamicCache, cache: KVCache) -> dict[str, Any]:
        """What the model is called with to continue from `past`."""
        return {"input_ids": group.token_ids, "past_key_values": past}

    def _logits_of(self, texts: Tensor, source: Tensor) -> Tensor:
        """Logits (num_texts, num_tokens, vocab_size) without a memory; nothing is read here."""
        logits: Tensor = self._model(input_ids=texts, use_cache=False).logits
        return logits

    def _keep(self, past: DynamicCache, start: int, slots: Tensor, cache: KVCache) -> None:
        for layer, layer_cache in zip(past.layers, cache.layers, strict=True):
            self._ops.store(new_keys_values(layer, start), layer_cache, slots)

    def _probe_memory(self, expected: Tensor) -> CacheShape | None:
        """The shape of the model's memory, if continuing from it computes what it should."""
        if not remembers_by_token(self._model):
            return None
        past, probe = DynamicCache(), self._probe
        self._model(input_ids=probe[:, :-1], past_key_values=past, use_cache=True)
        shape = shape_of([past])
        output = self._model(input_ids=probe[:, -1:], past_key_values=past, use_cache=True)
        return shape if _agree(output.logits[0], expected[-1:]) else None

    def _refuse_lookahead(self, logits: Tensor) -> None:
        """Refuse an encoder, such as BERT: what comes later changes what it says before."""
        shorter = self._logits_of(self._probe[:, :-1], self._probe[0])[0]
        if not _agree(shorter, logits[:-1]):
            raise UnsupportedModel(
                f"{type(self._model).__name__} looks ahead in its text: it cannot continue one.",
                "Choose a causal or seq2seq language model.",
            )


class BridgedSeq2Seq(BridgedCausal):
    """An encoder-decoder of transformers."""

    def __init__(self, model: Any, ops: Ops) -> None:
        self.decoder_start_token_id = decoder_start(model.config)
        super().__init__(model, ops)

    def encode(self, batch: SourceBatch, cache: KVCache) -> None:
        first = torch.tensor([[self.decoder_start_token_id]])
        for start, end in pairwise(batch.starts):
            source, slots = batch.token_ids[start:end], batch.slots[start:end]
            if self._has_memory:
                past = self._read(source, first)
                self._keep(past.cross_attention_cache, 0, slots, cache)
            else:
                keep_tokens(source, slots, cache)

    def _read(self, source: Tensor, text: Tensor) -> EncoderDecoderCache:
        """All that the model remembers of a source (length,) and of the start of an answer."""
        past = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._model(
            input_ids=source[None], decoder_input_ids=text, past_key_values=past, use_cache=True
        )
        return past

    def _inputs(self, group: Group, past: DynamicCache, cache: KVCache) -> dict[str, Any]:
        seen = past_of(cache, group.source_tables, group.source_length, self._dtype)
        memory = EncoderDecoderCache(past, seen)
        return self._continuing(group.token_ids, memory, group.source_length)

    def _continuing(
        self, token_ids: Tensor, past: EncoderDecoderCache, source_length: int
    ) -> dict[str, Any]:
        """Of the encoder's output only the shape is left: what is made of it is in `past`."""
        size = (len(token_ids), source_length, self._model.config.hidden_size)
        return {
            "decoder_input_ids": token_ids,
            "past_key_values": past,
            "encoder_outputs": BaseModelOutput(torch.zeros(size, dtype=self._dtype)),
        }

    def _logits_of(self, texts: Tensor, source: Tensor) -> Tensor:
        logits: Tensor = self._model(
            input_ids=source[None], decoder_input_ids=texts, use_cache=False
        ).logits
        return logits

    def _probe_memory(self, expected: Tensor) -> CacheShape | None:
        if not remembers_by_token(self._model):
            return None
        probe = self._probe
        past = self._read(probe[0], probe[:, :-1])
        shape = shape_of([past.self_attention_cache, past.cross_attention_cache])
        if shape is None:
            return None
        inputs = self._continuing(probe[:, -1:], past, PROBE_LENGTH)
        output = self._model(**inputs, use_cache=True)
        return shape if _agree(output.logits[0], expected[-1:]) else None


def load_bridged(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], ops: Ops, store: torch.dtype
) -> Family:
    """The model that transformers makes of a checkpoint, as a family."""
    bridged = BridgedSeq2Seq if is_seq2seq(config) else BridgedCausal
    return bridged.load(config, weights, ops, store)


def _probe(model: Any) -> Tensor:
    """A text (1, PROBE_LENGTH) from the middle of the vocabulary: special tokens are at its ends.

    Some architectures give their padding token no position.
    """
    num_tokens = len(model.get_input_embeddings().weight)
    return (num_tokens // 2 + torch.arange(PROBE_LENGTH))[None] % num_tokens


def _agree(logits: Tensor, expected: Tensor) -> bool:
    tolerance = TOLERANCE.get(logits.dtype, TOLERANCE_OF_SHORT_FLOATS)
    furthest = (logits.float() - expected.float()).abs().max()
    return bool(furthest <= tolerance * expected.float().std())
