"""Runs planned steps on a model. Owns the model's KV cache; knows no requests."""

from collections.abc import Mapping
from collections.abc import Sequence as Seq
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from penstock.engine import batch
from penstock.engine.config import EngineConfig
from penstock.engine.scheduler import Planned
from penstock.engine.sequence import Sequence
from penstock.model.families.interface import EncoderDecoder, Family, TellsHidden
from penstock.model.hidden_cache import HiddenCache
from penstock.model.kv_cache import KVCache
from penstock.ops.adapted_ops import AdaptedOps
from penstock.ops.interface import ForwardBatch

NOTHING = torch.empty(0)


@dataclass(frozen=True, slots=True)
class Computed:
    """What came of a step, its rows in the order of `batch.build`."""

    logits: Tensor  # (num_outputs, vocab_size), without those that are pooled
    likeness: Mapping[Sequence, float] = field(default_factory=dict)  # as `Probe` says
    pooled: Tensor = NOTHING  # (num_pooled, hidden_size): final hidden states
    # (num_outputs, num_layers, vocab_size): logits of the early layers of those that want them
    early: Mapping[Sequence, Tensor] = field(default_factory=dict)


class Runner:
    """A family with a cache of a fixed number of blocks."""

    def __init__(self, family: Family, config: EngineConfig, ops: AdaptedOps | None = None) -> None:
        self._family = family
        # Asked at every step: to ask a protocol takes longer than to build the batch.
        self._encoder = family if isinstance(family, EncoderDecoder) else None
        self._ops = ops  # none where no request has an adapter
        self.block_size = config.block_size
        self.num_blocks = config.num_blocks or _blocks_that_fit(family, config)
        self._cache = KVCache(
            family.cache_shape, num_blocks=self.num_blocks, block_size=config.block_size
        )
        self._hidden = HiddenCache(num_blocks=self.num_blocks, block_size=config.block_size)

    @property
    def tells_hidden(self) -> bool:
        """Whether the model's hidden states can be looked at."""
        return isinstance(self._family, TellsHidden)

    @torch.inference_mode()
    def copy_blocks(self, copies: Seq[tuple[int, int]]) -> None:
        """Carry out the copies of a plan. Once only: a plan may be run in parts, and anew."""
        self._cache.copy_blocks(copies)
        self._hidden.copy_blocks(copies)

    @torch.inference_mode()
    def run(self, plan: Seq[Planned[Any]]) -> Computed:
        """Compute the plan. `batch.build` says in which order the rows of logits come.

        When it fails, nothing counts as computed, and the same may be tried again.
        """
        self._encode(plan)
        packed = batch.build(plan, self.block_size)
        with self._adding([(planned.request, planned.num_tokens) for planned in plan]):
            if any(map(_looks_at_hidden, plan)):
                computed = self._run_and_look(plan, packed)
            else:
                computed = Computed(self._family.forward(packed, self._cache))
        for planned in plan:
            planned.sequence.num_computed += planned.num_tokens
        return computed

    def _run_and_look(self, plan: Seq[Planned[Any]], packed: ForwardBatch) -> Computed:
        """Compute the plan with a look at the hidden states that are compared or pooled."""
        assert isinstance(self._family, TellsHidden)
        layers = sorted({layer for planned in plan for layer in planned.sequence.early_layers})
        *states, hidden = self._family.hidden(packed, self._cache, layers)
        outputs = hidden[packed.output_rows]
        num_logits = len(outputs) - sum(len(planned.pooled) for planned in plan)
        return Computed(
            self._family.head(outputs[:num_logits]),
            self._compare(plan, packed, hidden),
            outputs[num_logits:],
            self._exit_early(plan, packed, dict(zip(layers, states, strict=True))),
        )

    def _exit_early(
        self, plan: Seq[Planned[Any]], packed: ForwardBatch, states: Mapping[int, Tensor]
    ) -> dict[Sequence, Tensor]:
        """The head's view of what reaches the early layers of those that want it."""
        assert isinstance(self._family, TellsHidden)
        ends = packed.query_starts.tolist()[1:]
        wanted = [
            (planned, states[layer][end - planned.num_outputs : end])
            for planned, end in zip(plan, ends, strict=True)
            if planned.completes
            for layer in planned.sequence.early_layers
        ]
        if not wanted:
            return {}
        logits = self._family.head(torch.cat([rows for _, rows in wanted]))
        by_sequence: dict[Sequence, list[Tensor]] = {}
        parts = torch.split(logits, [len(rows) for _, rows in wanted])
        for (planned, _), rows in zip(wanted, parts, strict=True):
            by_sequence.setdefault(planned.sequence, []).append(rows)
        return {sequence: torch.stack(rows, dim=1) for sequence, rows in by_sequence.items()}

    def _compare(
        self, plan: Seq[Planned[Any]], packed: ForwardBatch, hidden: Tensor
    ) -> dict[Sequence, float]:
        """Keep the hidden states of the sequences that want it; how like the last is to others."""
        keepers = [i for i, planned in enumerate(plan) if planned.sequence.keeps_hidden]
        if not keepers:
            return {}
        starts = packed.query_starts.tolist()
        rows = [row for i in keepers for row in range(starts[i], starts[i + 1])]
        self._hidden.keep(hidden[rows], packed.slots[rows])
        likeness = self._hidden.likeness(
            packed.block_tables[keepers], packed.context_lengths[keepers]
        )
        return {plan[i].sequence: v for i, v in zip(keepers, likeness.tolist(), strict=True)}

    def _encode(self, plan: Seq[Planned[Any]]) -> None:
        """Have the encoder read each source of the plan that it has not read yet."""
        if self._encoder is None:
            return
        planned = {id(p.sequence.source): (p.sequence.source, p.request) for p in plan}
        new = [(s, r) for s, r in planned.values() if s is not None and not s.is_encoded]
        sources = [source for source, _ in new]
        if sources:
            packed = batch.build_sources(sources, self.block_size)
            with self._adding([(request, len(source.token_ids)) for source, request in new]):
                self._encoder.encode(packed, self._cache)
        for source in sources:
            source.is_encoded = True

    def _adding(self, runs: Seq[tuple[Any, int]]) -> AbstractContextManager[None]:
        """Within it, so many rows of each of these requests are computed with its adapter."""
        if self._ops is None:
            return nullcontext()
        return self._ops.adding([(request.additions, count) for request, count in runs])


def _looks_at_hidden(planned: Planned[Any]) -> bool:
    sequence = planned.sequence
    return bool(sequence.keeps_hidden or planned.pooled or sequence.early_layers)


def _blocks_that_fit(family: Family, config: EngineConfig) -> int:
    per_block = family.cache_shape.bytes_per_token * config.block_size
    one_context = -(-family.context_length // config.block_size)
    if isinstance(family, EncoderDecoder):
        one_context *= 2  # what is read and what is written
    all_contexts = one_context * config.max_sequences
    return max(one_context, min(config.cache_bytes // per_block, all_contexts))
