"""Runs planned steps on a model. Owns the model's KV cache; knows no requests."""

from collections.abc import Sequence as Seq
from typing import Any

import torch
from torch import Tensor

from penstock.engine import batch
from penstock.engine.config import EngineConfig
from penstock.engine.scheduler import Planned
from penstock.model.families.interface import EncoderDecoder, Family
from penstock.model.kv_cache import KVCache


class Runner:
    """A family with a cache of a fixed number of blocks."""

    def __init__(self, family: Family, config: EngineConfig) -> None:
        self._family = family
        self.block_size = config.block_size
        self.num_blocks = config.num_blocks or _blocks_that_fit(family, config)
        self._cache = KVCache(
            family.cache_shape, num_blocks=self.num_blocks, block_size=config.block_size
        )

    @torch.inference_mode()
    def run(self, plan: Seq[Planned[Any]], copies: Seq[tuple[int, int]]) -> Tensor:
        """Compute the plan; logits (num_outputs, vocab_size) in the order of `batch.build`."""
        self._cache.copy_blocks(copies)
        self._encode(plan)
        logits = self._family.forward(batch.build(plan, self.block_size), self._cache)
        for planned in plan:
            planned.sequence.num_computed += planned.num_tokens
        return logits

    def _encode(self, plan: Seq[Planned[Any]]) -> None:
        """Have the encoder read each source of the plan that it has not read yet."""
        if not isinstance(self._family, EncoderDecoder):
            return
        planned = {id(p.sequence.source): p.sequence.source for p in plan}
        sources = [s for s in planned.values() if s is not None and not s.is_encoded]
        if sources:
            self._family.encode(batch.build_sources(sources, self.block_size), self._cache)
        for source in sources:
            source.is_encoded = True


def _blocks_that_fit(family: Family, config: EngineConfig) -> int:
    per_block = family.cache_shape.bytes_per_token * config.block_size
    one_context = -(-family.context_length // config.block_size)
    if isinstance(family, EncoderDecoder):
        one_context *= 2  # what is read and what is written
    all_contexts = one_context * config.max_sequences
    return max(one_context, min(config.cache_bytes // per_block, all_contexts))
