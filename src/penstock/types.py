"""The values that cross layers: what is asked of the engine and what it answers.

Plain frozen data, checked on creation. Knows no tensors, no wire format and no event loop.
"""

import math
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from penstock.errors import InvalidParameter

MAX_SEED = 2**63 - 1
MAX_STOP_STRINGS = 4
MAX_TEMPLATE_STOPS = 2  # that a chat template adds to those of a request
MAX_STOP_LENGTH = 128
MAX_LOGPROBS = 100
MAX_LAYERS = 32  # that are compared with the last
MAX_ALTERNATIVES = 16  # of a forced word
MIN_TIME, MAX_TIME = 0.001, 86_400.0  # seconds
MAX_BIAS = 100.0  # as far as OpenAI goes: it all but forbids or forces a token


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


Word = str | tuple[int, ...]  # a piece of text, or the token ids it stands for


def token_ids_of(word: Word) -> tuple[int, ...]:
    """The token ids of a word in a request that was prepared."""
    assert not isinstance(word, str), "words are token ids since the request was prepared"
    return word


def _number(neutral: Any, low: float, high: float) -> Any:
    """A number from `low` to `high` that does nothing at `neutral`."""
    return field(default=neutral, metadata={"range": (low, high)})


def _several(most: int, neutral: tuple[Any, ...] = (), *, kind: str | None = None) -> Any:
    """At most so many entries. `kind` is the catalog's, where the type alone does not say it."""
    return field(default=neutral, metadata={"most": most, "kind": kind})


def _layers() -> Any:
    return field(default=None, metadata={"kind": "layers"})


def _text(longest: int, *, kind: str) -> Any:
    """A text of at most so many characters; left out, it asks for nothing."""
    return field(default=None, metadata={"longest": longest, "kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingParams:
    """How logits become tokens. The one home of these limits and of the values that do nothing.

    Every default is neutral. A word is given as text or as token ids; the engine knows only ids.
    """

    # the form of the text, one of these; see `decoding/constraints`
    json_schema: str | None = _text(65_536, kind="json")  # as JSON
    json_object: bool = False
    regex: str | None = _text(2_048, kind="text")
    choice: tuple[str, ...] = _several(1_024, kind="texts")
    grammar: str | None = _text(65_536, kind="text")  # in Lark's notation
    dola_layers: str | tuple[int, ...] | None = _layers()  # "low", "high" or layers from 0
    # particular tokens and words
    sequence_bias: tuple[tuple[Word, float], ...] = _several(256)
    logit_bias: tuple[tuple[int, float], ...] = _several(1024)  # token id, what is added
    bad_words: tuple[Word, ...] = _several(256)
    topic_words: tuple[Word, ...] = _several(256)
    topic_strength: float = _number(3.0, -20, 20)
    suppress_tokens: tuple[int, ...] = _several(1024)
    begin_suppress_tokens: tuple[int, ...] = _several(1024)
    # repetition
    encoder_repetition_penalty: float = _number(1.0, 0.01, 10)
    repetition_penalty: float = _number(1.0, 0.01, 10)
    frequency_penalty: float = _number(0.0, -2, 2)
    presence_penalty: float = _number(0.0, -2, 2)
    no_repeat_ngram_size: int = _number(0, 0, 1000)
    encoder_no_repeat_ngram_size: int = _number(0, 0, 1000)
    dry_multiplier: float = _number(0.0, 0, 100)
    dry_base: float = _number(1.75, 1, 8)
    dry_allowed_length: int = _number(2, 1, 1000)
    dry_penalty_last_n: int = _number(-1, -1, 1_000_000)  # -1 is the whole text
    dry_sequence_breakers: tuple[Word, ...] = _several(64, ("\n", ":", '"', "*"))
    # how a text begins and ends
    min_length: int = _number(0, 0, 1_000_000)  # prompt included
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
    exponential_decay_length_penalty: tuple[int, float] | None = None  # tokens, factor
    # what is drawn from
    temperature: float = _number(1.0, 0, 2)  # 0 is greedy
    dynatemp_range: float = _number(0.0, 0, 2)
    dynatemp_exponent: float = _number(1.0, 0, 10)
    top_h: float = _number(0.0, 0, 1)  # 0 is off
    top_k: int = _number(0, 0, 1_000_000)  # 0 is off
    top_p: float = _number(1.0, 0, 1)
    min_p: float = _number(0.0, 0, 1)
    typical_p: float = _number(1.0, 0, 1)
    epsilon_cutoff: float = _number(0.0, 0, 0.99)
    eta_cutoff: float = _number(0.0, 0, 0.99)
    top_n_sigma: float = _number(0.0, 0, 100)  # 0 is off
    top_a: float = _number(0.0, 0, 1)
    tfs_z: float = _number(1.0, 0, 1)
    xtc_probability: float = _number(0.0, 0, 1)
    xtc_threshold: float = _number(0.1, 0, 1)
    mirostat: int = _number(0, 0, 2)  # 0 is off, 1 and 2 its versions
    mirostat_tau: float = _number(5.0, 0, 100)  # bits per token
    mirostat_eta: float = _number(0.1, 0, 1)
    watermark_delta: float = _number(0.0, 0, 100)
    watermark_gamma: float = _number(0.25, 0.01, 0.99)
    watermark_key: int | None = _number(None, 1, 2**53 - 1)
    processor_order: tuple[str, ...] = _several(64)
    # several texts at once
    num_beams: int = _number(1, 1, 10)
    length_penalty: float = _number(1.0, -10, 10)
    early_stopping: bool = False
    num_beam_groups: int = _number(1, 1, 10)
    diversity_penalty: float = _number(0.0, 0, 100)
    force_words: tuple[tuple[Word, ...], ...] = _several(32)  # each with its alternatives
    num_candidates: int = _number(1, 1, 16)
    penalty_alpha: float = _number(0.0, 0, 1)
    # several tokens at once
    prompt_lookup_num_tokens: int = _number(0, 0, 64)
    max_matching_ngram_size: int = _number(2, 1, 32)

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), low, high)
        for name, most in MOST.items():
            check_count(name, getattr(self, name), most)
        for name, longest in LONGEST.items():
            check_length(name, getattr(self, name) or "", longest)
        check_length("choice", "".join(self.choice), LONGEST["grammar"])
        for alternatives in self.force_words:
            check_count("force_words", alternatives, MAX_ALTERNATIVES)
        for name in ("logit_bias", "sequence_bias"):
            for _, bias in getattr(self, name):
                check_range(name, bias, -MAX_BIAS, MAX_BIAS)
        _check_layers(self.dola_layers)
        if self.exponential_decay_length_penalty is not None:
            start, factor = self.exponential_decay_length_penalty
            check_range("exponential_decay_length_penalty", start, 0, 1_000_000)
            check_range("exponential_decay_length_penalty", factor, 1, 10)


NEUTRAL: Mapping[str, Any] = {f.name: f.default for f in fields(DecodingParams)}
LIMITS: Mapping[str, tuple[float, float]] = {
    f.name: f.metadata["range"] for f in fields(DecodingParams) if "range" in f.metadata
}
MOST: Mapping[str, int] = {
    f.name: f.metadata["most"] for f in fields(DecodingParams) if "most" in f.metadata
}

LONGEST: Mapping[str, int] = {
    f.name: f.metadata["longest"] for f in fields(DecodingParams) if "longest" in f.metadata
}


def _check_layers(layers: str | tuple[int, ...] | None) -> None:
    if isinstance(layers, tuple):
        check_count("dola_layers", layers, MAX_LAYERS)
    if layers == () or (isinstance(layers, str) and layers not in ("low", "high")):
        raise InvalidParameter(
            f"dola_layers={layers!r} names no layers.",
            "Use low, high or a list of numbers.",
            param="dola_layers",
        )


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside `low`…`high`, NaN included, by name, value and range."""
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidParameter(
            f"{name}={value} is out of range.", f"Use {low} to {high}.", param=name
        )


def check_count(name: str, entries: Sized, most: int) -> None:
    """Refuse more entries than `most`."""
    if len(entries) > most:
        raise InvalidParameter(
            f"{name} has {len(entries)} entries.", f"Use at most {most}.", param=name
        )


def check_length(name: str, text: str, longest: int) -> None:
    """Refuse a text with more characters than `longest`."""
    if len(text) > longest:
        raise InvalidParameter(
            f"{name} has {len(text)} characters.", f"Use at most {longest}.", param=name
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One request for text, whichever dialect, command or program it came from.

    `max_length` counts the prompt, `max_new_tokens` does not and wins when both are given; with 0
    of those the prompt is only read, as scoring it wants.
    """

    request_id: str
    prompt: str | tuple[int, ...]
    model: str
    prefix: tuple[int, ...] = ()  # token ids that every text has behind it, after the prompt
    strategy: str = "sampling"
    params: DecodingParams = field(default_factory=DecodingParams)
    max_new_tokens: int | None = None
    max_length: int = 100
    min_new_tokens: int = 0
    num_sequences: int = 1
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: int | None = None  # how many alternatives to report beside each token
    prompt_logprobs: int | None = None  # the same for each token of the prompt but the first
    named_tokens: tuple[Word, ...] = ()  # report these too wherever log-probabilities are told
    trace: int | None = None  # report what each step of the chain did, with so many candidates
    beam_tree: bool = False  # tell how the beams grow, where there are any
    adapter: str | None = None  # by name, on top of the model
    adapter_digest: str | None = None  # refuse the adapter if it is another by now
    embed: bool = False  # give the mean of the prompt's final hidden states
    max_time: float | None = None  # seconds from its arrival at the engine; then the text ends
    tenant: str = ""  # on whose behalf: nothing that was computed for one is shared with another

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InvalidParameter(
                "prompt is empty.", "Give at least one character.", param="prompt"
            )
        if not isinstance(self.prompt, str) and min(self.prompt) < 0:
            raise InvalidParameter(
                f"Token id {min(self.prompt)} is negative.",
                "Use ids from 0 on.",
                param="prompt",
            )
        if self.max_new_tokens is not None:
            check_range("max_new_tokens", self.max_new_tokens, 0, 1_000_000)
        check_range("max_length", self.max_length, 1, 1_000_000)
        check_range("min_new_tokens", self.min_new_tokens, 0, 1_000_000)
        check_range("num_return_sequences", self.num_sequences, 1, 8)
        if self.max_time is not None:
            check_range("max_time", self.max_time, MIN_TIME, MAX_TIME)
        if self.seed is not None:
            check_range("seed", self.seed, 0, MAX_SEED)
        for name in ("logprobs", "prompt_logprobs", "trace"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 0, MAX_LOGPROBS)
        check_count("named_tokens", self.named_tokens, MAX_LOGPROBS)
        _check_stop(self.stop)


def _check_stop(stop: tuple[str, ...]) -> None:
    check_range("number of stop strings", len(stop), 0, MAX_STOP_STRINGS + MAX_TEMPLATE_STOPS)
    for text in stop:
        if not 1 <= len(text) <= MAX_STOP_LENGTH:
            raise InvalidParameter(
                f"A stop string has {len(text)} characters.",
                f"Use 1 to {MAX_STOP_LENGTH}.",
                param="stop",
            )


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is shown. `utf8` are the bytes it stands for: none for a special token."""

    token_id: int
    text: str
    utf8: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token with the natural logarithm of its probability. `utf8` as in `Token`."""

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


@dataclass(frozen=True, slots=True)
class ChosenLogprob:
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
