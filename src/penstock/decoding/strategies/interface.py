"""What a strategy is: a small state machine over sequences, on plain numbers.

After each step it is told what its sequences' logits held of what it asked for, and answers with
actions. Knows no tensors, no cache and no batch; that is why all strategies batch together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from penstock.decoding.parameters import Parameter
from penstock.types import DecodingParams, FinishReason


@dataclass(frozen=True, slots=True)
class Argmax:
    """The likeliest token."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One token per stream, drawn at random, keyed by the request's seed, stream and position."""

    streams: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Top:
    """The `count` likeliest tokens, best first."""

    count: int


Need = Argmax | Draw | Top


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one sequence's next logits held of what was needed, in the need's own order."""

    sequence_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]  # empty unless the need was `Top`


@dataclass(frozen=True, slots=True)
class Append:
    """The sequence continues with this token."""

    sequence_id: int
    token_id: int


@dataclass(frozen=True, slots=True)
class Fork:
    """A new sequence `child_id` shares all of `parent_id` so far and continues with this token."""

    parent_id: int
    child_id: int
    token_id: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The sequence is given up; its blocks are freed."""

    sequence_id: int


@dataclass(frozen=True, slots=True)
class Finish:
    """A returned sequence is complete: these generated tokens, for this reason, with this score.

    The request is over, and all its blocks are freed, when every returned sequence is finished.
    """

    index: int
    token_ids: tuple[int, ...]
    reason: FinishReason
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Agree:
    """These further tokens of returned sequence `index` are certain and may be shown."""

    index: int
    token_ids: tuple[int, ...]


Action = Append | Fork | Drop | Agree | Finish


class StopRule(Protocol):
    """Decides whether a sequence is complete; knows the texts and limits that strategies do not."""

    def reason(self, token_ids: Sequence[int]) -> FinishReason | None:
        """Why a sequence whose generated tokens are `token_ids` ends here, or `None`."""

    @property
    def max_new_tokens(self) -> int:
        """The most tokens a sequence may generate."""


@dataclass(frozen=True, slots=True)
class StrategyInput:
    """What a strategy is made from."""

    params: DecodingParams
    num_sequences: int
    eos_token_ids: frozenset[int]
    stop: StopRule


class Strategy(Protocol):
    """A decoding strategy at work on one request.

    Sequence ids are the strategy's own small numbers; sequence 0 is the prompt's. Every live
    sequence has exactly one need at a time.
    """

    id: ClassVar[str]
    label: ClassVar[str]
    type: ClassVar[str]  # the name the replaced systems report in `parameters.type`
    description: ClassVar[str]
    color: ClassVar[str]  # of Okabe and Ito's palette, the same wherever the strategy appears
    parameters: ClassVar[tuple[Parameter, ...]]

    def __init__(self, given: StrategyInput) -> None: ...

    def need(self, sequence_id: int) -> Need:
        """What this strategy wants from the next logits of a live sequence."""

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        """Act on one result per live sequence. Forks are carried out before all other actions."""
