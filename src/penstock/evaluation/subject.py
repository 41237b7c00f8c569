"""The model that is evaluated, as the stages see it. Knows neither engines nor HTTP."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from penstock.serving.models import ServedModel
from penstock.types import (
    EngineOutput,
    GenerationRequest,
    PromptScored,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
)

IN_FLIGHT = 128  # more than run at once, so that an engine is always full


@dataclass(slots=True)
class Answered:
    """All that came of one request. Filled by `take`."""

    request_id: str
    scored: PromptScored | None = None
    started: RequestStarted | None = None
    texts: list[SequenceFinished] = field(default_factory=list)
    finished: RequestFinished | None = None

    def take(self, output: EngineOutput) -> None:
        """Add an output; an error that ended the request is raised."""
        match output:
            case PromptScored():
                self.scored = output
            case RequestStarted():
                self.started = output
            case SequenceFinished():
                self.texts.append(output)
            case RequestFinished():
                self.finished = output
                if output.error is not None:
                    raise output.error


class Subject(Protocol):
    """A loaded model, wherever it runs."""

    @property
    def model(self) -> ServedModel: ...

    @property
    def adapter(self) -> str | None: ...

    def peak_bytes(self) -> int | None:
        """The most memory that the process that computes has had; None where it is not known."""

    def start_token_id(self) -> int | None:
        """What stands before a document: the token that begins texts, or that ends them."""

    def end_token_id(self) -> int | None:
        """What ends a text, where the model has it."""

    def tokenize(self, text: str) -> tuple[int, ...]:
        """The tokens of a text and nothing around them."""

    def ask(
        self, requests: Iterable[GenerationRequest], *, in_flight: int = IN_FLIGHT
    ) -> Iterator[Answered]:
        """Answer the requests, so many together, in the order in which they end.

        Closing the iterator ends what is under way.
        """
