"""What is asked of the engine."""

from dataclasses import dataclass, field

from penstock.errors import InvalidParameter
from penstock.types.checks import check_count, check_range
from penstock.types.params import DecodingParams, Word

MAX_SEED = 2**63 - 1
MAX_STOP_STRINGS = 4
MAX_TEMPLATE_STOPS = 2  # that a chat template adds to those of a request
MAX_STOP_LENGTH = 128
MAX_LOGPROBS = 100
MIN_TIME, MAX_TIME = 0.001, 86_400.0  # seconds


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
    attribute_digest: str | None = None  # the same of `attribute` among its parameters
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
