"""What each step of the chain did to one row: how much it kept, and what was likeliest after it.

Runs the chain again beside the sampler, for rows that ask; knows no requests and no strategies.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from penstock.decoding.processors import UNDRAWN, ordered, process
from penstock.decoding.processors.interface import LogitsProcessor, Row

MODEL = "model"  # the name of the first stage, before any processor
Candidates = tuple[tuple[int, float], ...]  # token id and log-probability, the likeliest first


@dataclass(frozen=True, slots=True)
class TracedStage:
    """The distribution after one step of the chain."""

    name: str
    num_kept: int  # tokens that can still be chosen
    mass_kept: float  # what the survivors' probability was before this step
    entropy_bits: float
    top: Candidates


def trace_row(
    logits: Tensor, row: Row, *, filters: bool, num_candidates: int
) -> tuple[TracedStage, ...]:
    """The stages of one row of logits (vocab_size,): the model's own, then each step in use.

    A step that left every probability as it was has no stage. With `filters`, those that only a
    draw meets run too.
    """
    before = logits[None].log_softmax(dim=-1)
    stages = [_stage(MODEL, before, before, num_candidates)]
    scores = logits[None]
    for processor in _chain(row, filters=filters):
        scores = process(scores, [row], [processor])
        after = scores.log_softmax(dim=-1)
        if not after.equal(before):
            stages.append(_stage(processor.name, before, after, num_candidates))
        before = after
    return tuple(stages)


def _chain(row: Row, *, filters: bool) -> Iterator[LogitsProcessor]:
    is_greedy = row.params.temperature == 0
    for processor in ordered(row.params.processor_order):
        if processor in UNDRAWN or (filters and not is_greedy):
            yield processor


def _stage(name: str, before: Tensor, after: Tensor, num_candidates: int) -> TracedStage:
    probs = after.exp()
    is_kept = probs > 0
    mass = float(before.exp()[is_kept].sum())
    entropy = -float((probs * after)[is_kept].sum()) / math.log(2)
    best = after[0].topk(min(num_candidates, after.shape[-1]))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return TracedStage(
        name=name,
        num_kept=int(is_kept.sum()),
        mass_kept=min(1.0, mass),
        entropy_bits=max(0.0, entropy),
        top=_finite(list(pairs)),
    )


def _finite(pairs: Sequence[tuple[int, float]]) -> Candidates:
    return tuple(pair for pair in pairs if pair[1] > -math.inf)
