"""Runs planned steps on a model. Owns the model's KV cache; knows no requests."""

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penstock.engine import batch
from penstock.engine.config import EngineConfig
from penstock.engine.scheduler import Planned
from penstock.model.families.interface import Family
from penstock.model.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class Computed:
    """What came of a plan, in the order of `batch.build`."""

    logits: Tensor  # (num_logits, vocab_size)
    pooled: Tensor  # (num_pooled, hidden_size): final hidden states


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
    def run(self, plan: Seq[Planned[Any]], copies: Seq[tuple[int, int]]) -> Computed:
        """Compute the plan."""
        self._cache.copy_blocks(copies)
        hidden = self._family.hidden(batch.build(plan, self.block_size), self._cache)
        num_logits = len(hidden) - sum(len(p.pooled) for p in plan)
        for planned in plan:
            planned.sequence.num_computed += planned.num_tokens
        return Computed(self._family.logits(hidden[:num_logits]), hidden[num_logits:])


def _blocks_that_fit(family: Family, config: EngineConfig) -> int:
    per_block = family.cache_shape.bytes_per_token * config.block_size
    one_context = -(-family.context_length // config.block_size)
    all_contexts = one_context * config.max_sequences
    return max(one_context, min(config.cache_bytes // per_block, all_contexts))
