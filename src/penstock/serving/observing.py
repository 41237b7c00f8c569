"""What can be observed of requests from outside: each one that has ended, and how.

Knows nothing of who observes: metrics, traces, accounts of what was used.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from penstock.serving.callers import Caller
from penstock.serving.models import ServedModel
from penstock.types import (
    EngineOutput,
    GenerationRequest,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class Outcome(StrEnum):
    """How a request has ended."""

    COMPLETED = "completed"
    CACHED = "cached"  # answered as an equal one was before, without an engine
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Used:
    """The tokens that a request took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def num_tokens(self) -> int:
        """All of them."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(slots=True)
class Written:
    """What an engine has written for a request so far; it grows with each output.

    The texts are kept only with `keeps_texts`.
    """

    keeps_texts: bool = False
    started: RequestStarted | None = None
    num_tokens: int = 0
    pieces: dict[int, list[str]] = field(default_factory=dict)

    def take(self, output: EngineOutput) -> None:
        """Take note of an output."""
        match output:
            case RequestStarted():
                self.started = output
            case TokensAdded():
                self.num_tokens += len(output.token_ids)
                if self.keeps_texts:
                    self.pieces.setdefault(output.index, []).append(output.text)
            case SequenceFinished() if self.keeps_texts:
                self.pieces[output.index] = [output.text]

    @property
    def texts(self) -> list[str]:
        """Each text as far as it was written."""
        return ["".join(self.pieces[index]) for index in sorted(self.pieces)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A request that has ended. `seconds` run from when it was taken until its end was read."""

    model_id: str
    request: GenerationRequest
    seconds: float
    finished: RequestFinished | None  # none: its reader left before
    is_cached: bool = False
    caller: Caller = field(default_factory=Caller)
    model: ServedModel | None = None
    written: Written = field(default_factory=Written)

    @property
    def used(self) -> Used:
        """The tokens it took: as its answer says, or as far as it got."""
        if self.finished is not None and self.finished.error is None:
            return Used(self.finished.num_prompt_tokens, self.finished.num_completion_tokens)
        started = self.written.started
        return Used(0 if started is None else started.num_prompt_tokens, self.written.num_tokens)

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        if self.finished is None:
            return Outcome.CANCELLED
        if self.is_cached:
            return Outcome.CACHED
        return Outcome.COMPLETED if self.finished.error is None else Outcome.FAILED

    @property
    def token_gap_seconds(self) -> float | None:
        """The mean time between two tokens of a sequence; none where there were not two."""
        if self.finished is None:
            return None
        num_tokens = self.finished.num_completion_tokens / self.request.num_sequences
        if num_tokens <= 1:
            return None
        return self.finished.timings.generation_seconds / (num_tokens - 1)


Observer = Callable[[Ended], None]
