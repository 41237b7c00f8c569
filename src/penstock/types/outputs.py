"""What the engine answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class FinishReason(StrEnum):
    """Why a sequence ended."""

    STOP = "stop"  # the model ended the text, or a stop string matched
    LENGTH = "length"  # as many tokens as were asked for
    TIME = "time"  # as much time as it was given
    CANCELLED = "cancelled"

    @property
    def is_limit(self) -> bool:
        """Whether a limit of the request ended the text, which might have gone on."""
        return self in (FinishReason.LENGTH, FinishReason.TIME)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is shown. `utf8` are the bytes it stands for: none for a special token."""

    token_id: int
    text: str
    utf8: tuple[int, ...]


class TokenLogprob(NamedTuple):
    """A token with the natural logarithm of its probability. `utf8` as in `Token`.

    A tuple, as what holds it: up to a hundred for each token of a text must be made quickly.
    """

    token_id: int
    token: str
    logprob: float
    utf8: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkScore:
    """How many tokens of a text are green, and how unlikely so many are without a watermark."""

    num_tokens: int
    num_scored: int
    num_green: int
    z_score: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The next token's distribution after one step of the chain; the first is the model's own."""

    name: str  # the processor's, or "model"
    num_kept: int  # tokens that can still be chosen
    mass_kept: float  # what their probability was before this step
    entropy_bits: float
    top: tuple[TokenLogprob, ...]


class ChosenLogprob(NamedTuple):
    """A chosen token's log-probability under the model, and its most probable rivals'."""

    chosen: TokenLogprob
    top: tuple[TokenLogprob, ...]
    stages: tuple[Stage, ...] = ()  # with `trace`
    named: tuple[TokenLogprob, ...] = ()  # those of `named_tokens`, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQueued:
    """The request waits. Comes before it is taken up, if ever, and again when its place changes."""

    request_id: str
    position: int  # 1 is the next to be taken up
    estimated_seconds: float | None  # until then, at the pace of late; none where nothing has moved


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStarted:
    """The request was taken up: everything left open in it is now decided."""

    request_id: str
    num_prompt_tokens: int
    max_new_tokens: int
    seed: int
    num_sequences: int
    adapter_digest: str | None = None  # of the adapter that the text is written with
    attribute_digest: str | None = None  # of the attribute that it is led to


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptScored:
    """How likely the model found the prompt. Comes before the first token, when it was asked for.

    Nothing precedes the first token, so it has no probability; `logprobs` are those after it.
    """

    request_id: str
    first: Token
    logprobs: tuple[ChosenLogprob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEmbedded:
    """The mean of the prompt's final hidden states. Comes before the first token, if asked for."""

    request_id: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensAdded:
    """One or more tokens joined a returned sequence.

    `text` ends at a whole character and never holds part of a stop string; it may be empty.
    """

    request_id: str
    index: int
    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[ChosenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A candidate text as a node of the tree that beams grow: one more token than its parent.

    `score` is its log-probability, with penalties; of a complete text it is length-normalised.
    """

    node: int
    parent: int  # 0 is the prompt
    token_id: int
    score: float
    group: int  # of the beams that compete with one another
    finish_reason: FinishReason | None = None  # of a complete text
    token: str = ""  # as it is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeGrown:
    """What one step did to the tree of beams, when that was asked for."""

    request_id: str
    step: int  # from 1
    expanded: tuple[TreeNode, ...]  # candidates that live on
    pruned: tuple[int, ...]  # nodes that nothing goes on from, and texts that better ones replace
    finished: tuple[TreeNode, ...]  # texts that are complete
    returned: tuple[int, ...] = ()  # at the end: the nodes of the texts that are returned


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFinished:
    """A returned sequence is complete. `text` is all of it, equal to its pieces joined."""

    request_id: str
    index: int
    finish_reason: FinishReason
    text: str
    token_ids: tuple[int, ...]
    score: float | None = None  # length-normalised log-probability, from strategies that compare
    logprobs: tuple[ChosenLogprob, ...] = ()
    ending: ChosenLogprob | None = None  # the choice of the token that ended the text
    stop_string: str | None = None  # that the text ended just before
    missing_words: tuple[int, ...] = ()  # places in `force_words` of those that are not in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Where the time went, in seconds."""

    queue_seconds: float = 0.0  # submitted → first planned
    prompt_seconds: float = 0.0  # first planned → prompt computed
    first_token_seconds: float = 0.0  # submitted → first token
    generation_seconds: float = 0.0  # first token → last token


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFinished:
    """The last word on a request. `error` is set when it failed."""

    request_id: str
    num_prompt_tokens: int
    num_completion_tokens: int
    timings: Timings
    num_cached_tokens: int = 0  # of the prompt, that were computed for an earlier request
    error: Exception | None = None


EngineOutput = (
    RequestQueued
    | RequestStarted
    | PromptScored
    | PromptEmbedded
    | TokensAdded
    | SequenceFinished
    | RequestFinished
    | TreeGrown
)
