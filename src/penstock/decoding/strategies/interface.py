"""What a strategy is: a small state machine over sequences, on plain numbers.

After each step it is told what its sequences' logits held of what it asked for, and answers with
actions. Knows no tensors, no cache and no batch; that is why all strategies batch together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from penstock.decoding.parameters import Parameter
from penstock.decoding.presets import Preset
from penstock.types import DecodingParams, FinishReason, TreeNode


@dataclass(frozen=True, slots=True)
class Argmax:
    """The likeliest token."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One token per stream, drawn at random, keyed by the request's seed, stream and position.

    With `is_scored`, each comes with the model's own log-probability, before any processing.
    """

    streams: tuple[int, ...]
    is_scored: bool = False


@dataclass(frozen=True, slots=True)
class Top:
    """The `count` likeliest tokens, best first, and after them those `named`, however likely."""

    count: int
    named: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawDistinct:
    """`count` different tokens, drawn one after the other without replacement, first drawn first.

    Each comes with a key: its log-probability and a random number of its own, distributed as
    Gumbel's. The tokens with the greatest keys are such a draw, also among several sequences, each
    with a number of its own added to its keys (Kool, van Hoof and Welling 2019). The random numbers
    are keyed by the request's seed, the tokens generated and the position. No filter leaves fewer
    than `min_kept` tokens.
    """

    count: int
    min_kept: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """The `count` likeliest tokens, best first, and how alike the model's state is to earlier ones.

    The log-probabilities add up to 1 over the vocabulary, after processing. A strategy that needs
    this once needs it of every sequence and from the start, so that all states are kept.
    """

    count: int


Need = Argmax | Draw | Top | DrawDistinct | Probe


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one sequence's next logits held of what was needed, in the need's own order."""

    sequence_id: int
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...] = ()  # after processing, unless the need says otherwise
    keys: tuple[float, ...] = ()  # for `DrawDistinct`
    likeness: float | None = None  # for `Probe`: of the last token's hidden state to the likest
    # before it, as a cosine; -inf for the first token


@dataclass(frozen=True, slots=True)
class Append:
    """The sequence continues with this token."""

    sequence_id: int
    token_id: int


@dataclass(frozen=True, slots=True)
class Guess:
    """A live sequence may go on like this, after what was appended: the next step shall check it.

    As many guesses as there is room for are computed together with the last token. After each that
    is exactly what the sequence's need comes to there, it has a further result, as if the guess had
    been appended. All of this step's results are to be appended, or the sequence to be dropped.
    """

    sequence_id: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """As `Guess`, with up to `count` guesses of the model's draft, through the same chain."""

    sequence_id: int
    count: int


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
    missing_words: tuple[int, ...] = ()  # places in `force_words` of those that are not in it


@dataclass(frozen=True, slots=True)
class Agree:
    """These further tokens of returned sequence `index` are certain and may be shown."""

    index: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """What this step did to the tree of candidates, for who watches it; changes nothing."""

    expanded: tuple[TreeNode, ...]
    pruned: tuple[int, ...]
    finished: tuple[TreeNode, ...]
    returned: tuple[int, ...] = ()


Action = Append | Guess | Draft | Fork | Drop | Agree | Finish | Tell


class StopRule(Protocol):
    """Decides whether a sequence is complete; knows the texts and limits that strategies do not."""

    def reason(self, token_ids: Sequence[int]) -> FinishReason | None:
        """Why a sequence whose generated tokens are `token_ids` ends here, or `None`."""

    def num_shown(self, token_ids: Sequence[int]) -> int:
        """How many of the tokens of a text that the model or a stop string ends are before that."""

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
    prompt_token_ids: tuple[int, ...] = ()
    tells_tree: bool = False  # a strategy with beams tells how they grow


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
    presets: ClassVar[tuple[Preset, ...]]

    def __init__(self, given: StrategyInput) -> None: ...

    @classmethod
    def max_texts(cls, params: DecodingParams) -> int | None:
        """How many texts can be returned with these parameters; `None` is any number.

        Raises `InvalidParameter` where a value within its limits does not suit the strategy.
        """

    @classmethod
    def max_live_sequences(cls, params: DecodingParams, num_texts: int) -> int:
        """How many sequences may be alive at once when `num_texts` are returned."""

    def need(self, sequence_id: int) -> Need:
        """What this strategy wants from the next logits of a live sequence."""

    def decide(self, results: Sequence[StepResult]) -> list[Action]:
        """Act on one result per live sequence, and one more, in order, after each right guess.

        Forks are carried out before all other actions.
        """
