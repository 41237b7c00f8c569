"""The chain of logits processors: which there are, and the order they run in.

The order is part of the API: transformers' own, with what it lacks beside its nearest kin. The
request's `processor_order` changes it.
"""

from collections.abc import Callable, Container, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor

from penstock.decoding.processors.attribute import AttributeGuide
from penstock.decoding.processors.biases import (
    BadWords,
    BeginSuppressTokens,
    LogitBias,
    SequenceBias,
    SuppressTokens,
)
from penstock.decoding.processors.constraint import Constraint, stay_within
from penstock.decoding.processors.contrasted_layers import ContrastedLayers
from penstock.decoding.processors.dry import Dry
from penstock.decoding.processors.endings import (
    ExponentialDecayLengthPenalty,
    ForcedBos,
    ForcedEos,
    MinLength,
    MinNewTokens,
)
from penstock.decoding.processors.filters import (
    DynamicTemperature,
    MinP,
    Temperature,
    TopK,
    TopP,
)
from penstock.decoding.processors.guidance import Guidance
from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.mirostat import Mirostat
from penstock.decoding.processors.penalties import (
    EncoderNoRepeatNgram,
    EncoderRepetitionPenalty,
    FrequencyPenalty,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
)
from penstock.decoding.processors.topic_words import TopicWords
from penstock.decoding.processors.truncation import (
    EpsilonCutoff,
    EtaCutoff,
    TailFree,
    TopA,
    TopH,
    TopNSigma,
    TypicalP,
)
from penstock.decoding.processors.watermark import Watermark
from penstock.decoding.processors.xtc import ExcludeTopChoices
from penstock.errors import InvalidParameter
from penstock.types import NEUTRAL, DecodingParams

CONSTRAINT = Constraint()
PENALTIES: tuple[LogitsProcessor, ...] = (  # for every strategy
    CONSTRAINT,
    Guidance(),
    ContrastedLayers(),
    TopicWords(),
    AttributeGuide(),
    SequenceBias(),
    LogitBias(),
    EncoderRepetitionPenalty(),
    RepetitionPenalty(),
    FrequencyPenalty(),
    PresencePenalty(),
    NoRepeatNgram(),
    EncoderNoRepeatNgram(),
    Dry(),
    BadWords(),
    MinLength(),
    MinNewTokens(),
    ForcedBos(),
    ForcedEos(),
    ExponentialDecayLengthPenalty(),
    SuppressTokens(),
    BeginSuppressTokens(),
)
WATERMARK = Watermark()
UNDRAWN = (*PENALTIES, WATERMARK)  # the chain of what is not drawn
TEMPERATURE, TOP_K, TOP_P = Temperature(), TopK(), TopP()
QUICK = (TEMPERATURE, TOP_K, TOP_P)  # the sampler knows a quicker way for these, in this order
FILTERS: tuple[LogitsProcessor, ...] = (  # only for what is drawn
    TEMPERATURE,
    DynamicTemperature(),
    TopH(),
    TOP_K,
    TOP_P,
    MinP(),
    TypicalP(),
    EpsilonCutoff(),
    EtaCutoff(),
    TopNSigma(),
    TopA(),
    TailFree(),
    ExcludeTopChoices(),
    Mirostat(),
    WATERMARK,
)
CHAIN = PENALTIES + FILTERS
BY_NAME = {processor.name: processor for processor in CHAIN}


def process(
    logits: Tensor, rows: Sequence[Row], among: Container[LogitsProcessor] = CHAIN
) -> Tensor:
    """Run each row's chain over logits (num_rows, vocab_size), leaving out what is not `among`."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(row.params.processor_order, []).append(i)
    for order, group in groups.items():
        chain = [processor for processor in ordered(order) if processor in among]
        logits = _on(group, partial(_run, chain), logits, rows)
    return logits


@lru_cache(maxsize=256)
def ordered(order: tuple[str, ...]) -> tuple[LogitsProcessor, ...]:
    """The whole chain: those named run in the order given, in each other's places."""
    places = (i for i, processor in enumerate(CHAIN) if processor.name in order)
    chain = list(CHAIN)
    for place, name in zip(places, order, strict=True):
        chain[place] = BY_NAME[name]
    return tuple(chain)


SLOW = {processor.name for processor in FILTERS} - {processor.name for processor in QUICK}


def has_quick_way(params: DecodingParams) -> bool:
    """Whether temperature, top-k and top-p, in this order, are the only filters in use."""
    return not params.processor_order and SLOW.isdisjoint(in_use(params))


def check_order(order: tuple[str, ...]) -> None:
    """Refuse a name that is no processor's, or that comes twice."""
    for i, name in enumerate(order):
        if name == CONSTRAINT.name:
            raise InvalidParameter(
                "processor_order names the constraint, which is always the first step.",
                "Leave it out.",
                param="processor_order",
            )
        if name not in BY_NAME:
            raise InvalidParameter(
                f"processor_order: there is no step {name!r}.",
                f"Use some of {', '.join(name for name in BY_NAME if name != CONSTRAINT.name)}.",
                param="processor_order",
            )
        if name in order[:i]:
            raise InvalidParameter(
                f"processor_order names {name!r} twice.",
                "Name each step at most once.",
                param="processor_order",
            )


def _run(chain: Sequence[LogitsProcessor], logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Run `chain`, each processor on the rows it is in use for."""
    switched_on = [in_use(row.params) for row in rows]
    for processor in chain:
        active = [
            i
            for i, (row, names) in enumerate(zip(rows, switched_on, strict=True))
            if processor.name in names and processor.is_active(row)
        ]
        changed = _on(active, processor, logits, rows)
        bound = [i for i in active if rows[i].allowed is not None and processor is not CONSTRAINT]
        logits = _within_constraints(logits, changed, bound, rows)
    return logits


def _within_constraints(
    before: Tensor, after: Tensor, bound: Sequence[int], rows: Sequence[Row]
) -> Tensor:
    """What a step made of the logits, with the rows that are `bound` inside their constraints."""
    if not bound:
        return after
    where = torch.tensor(bound, device=after.device)
    allowed = [allowed for i in bound if (allowed := rows[i].allowed) is not None]
    return after.index_copy(0, where, stay_within(before[where], after[where], allowed))


_IN_USE: dict[int, tuple[DecodingParams, frozenset[str]]] = {}  # by the parameters' identity
MAX_KNOWN = 1024


def in_use(params: DecodingParams) -> frozenset[str]:
    """The processors that do something with these parameters, by name.

    Asked for every row of every step, so it is known by identity: to hash so many fields takes
    longer than to use them.
    """
    known = _IN_USE.get(id(params))
    if known is None or known[0] is not params:
        if len(_IN_USE) >= MAX_KNOWN:
            _IN_USE.clear()
        known = _IN_USE[id(params)] = (params, _switched_on(params))
    return known[1]


def _switched_on(params: DecodingParams) -> frozenset[str]:
    return frozenset(
        name for name in BY_NAME if name not in NEUTRAL or getattr(params, name) != NEUTRAL[name]
    )


def _on(
    index: Sequence[int],
    change: Callable[[Tensor, Sequence[Row]], Tensor],
    logits: Tensor,
    rows: Sequence[Row],
) -> Tensor:
    """Logits with the rows at `index` changed."""
    if not index:
        return logits
    if len(index) == len(rows):
        return change(logits, rows)
    where = torch.tensor(index, device=logits.device)
    return logits.index_copy(0, where, change(logits[where], [rows[i] for i in index]))
