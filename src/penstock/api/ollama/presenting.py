"""From engine outputs to Ollama's lines. Pure but for the clock; knows no HTTP, no engine."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from penstock.api.missing_words import missing_words
from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.api.openai.presenting import reason_of
from penstock.text.call_reader import Argued, Called, CallReader, Said
from penstock.types import EngineOutput, RequestFinished, SequenceFinished, TokensAdded

NANOSECONDS = 1_000_000_000
Calls = Sequence[dict[str, Any]]


class Say(Protocol):
    """How a route shows a piece of text, and calls of tools."""

    def __call__(self, text: str, calls: Calls = ()) -> dict[str, Any]: ...


def say_response(text: str, calls: Calls = ()) -> dict[str, Any]:
    """A piece of text as `/api/generate` shows it. No tools are called there."""
    return {"response": text}


def say_message(text: str, calls: Calls = ()) -> dict[str, Any]:
    """A piece of text, or calls, as `/api/chat` shows them."""
    called = {"tool_calls": list(calls)} if calls else {}
    return {"message": {"role": "assistant", "content": text, **called}}


def created_at() -> str:
    """The time as Ollama writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def nanoseconds(seconds: float) -> int:
    """Ollama's unit of time."""
    return round(seconds * NANOSECONDS)


@dataclass(frozen=True, slots=True)
class Clock:
    """When the request came, and when its model was there. Seconds of the monotonic clock."""

    started: float
    loaded: float

    def durations(self) -> dict[str, int]:
        """How long all of it took, and the loading."""
        return {
            "total_duration": nanoseconds(time.monotonic() - self.started),
            "load_duration": nanoseconds(self.loaded - self.started),
        }


class CallCollector:
    """Takes the calls out of a text as it comes. A call is told once all of it is there."""

    def __init__(self) -> None:
        self._reader = CallReader()
        self._name = ""
        self._arguments = ""

    def push(self, text: str) -> tuple[str, Calls]:
        """More of the text: what of it is said, and the calls that it completes."""
        said, calls = "", []
        for piece in self._reader.push(text):
            match piece:
                case Said(more):
                    said += more
                case Called(name=name):
                    self._name, self._arguments = name, ""
                case Argued(text=more):
                    self._arguments += more
                    calls += self._completed()
        return said, calls

    def rest(self) -> str:
        """What of the text was held back, now that no more comes."""
        return "".join(piece.text for piece in self._reader.finish() if isinstance(piece, Said))

    def _completed(self) -> list[dict[str, Any]]:
        try:
            arguments = json.loads(self._arguments)
        except ValueError:  # more of it is to come
            return []
        return [{"function": {"name": self._name, "arguments": arguments}}]


class OllamaPresenter:
    """Follows the outputs of one request. The last line has the counts and the durations."""

    def __init__(
        self, model: str, say: Say, clock: Clock, *, with_logprobs: bool, reads_calls: bool = False
    ) -> None:
        self._model = model
        self._say = say
        self._clock = clock
        self._with_logprobs = with_logprobs
        self._track = LogprobTrack()
        self._calls = CallCollector() if reads_calls else None
        self._sequence: SequenceFinished | None = None
        self._end: RequestFinished | None = None

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case TokensAdded():
                placed = self._track.push(output.text, output.logprobs)
                text, calls = self._read(output.text)
                if not (text or placed or calls):
                    return []
                line = {**self._heading(), **self._say(text, calls), "done": False}
                return [line | self._logprobs(placed)]
            case SequenceFinished():
                self._sequence = output
            case RequestFinished(error=None):
                self._end = output
                return [self._last("" if self._calls is None else self._calls.rest())]
        return []

    def answer(self) -> dict[str, Any]:
        assert self._sequence is not None
        placed = LogprobTrack().push(self._sequence.text, self._sequence.logprobs)
        if self._calls is None:
            return self._last(self._sequence.text) | self._logprobs(placed)
        collector = CallCollector()
        text, calls = collector.push(self._sequence.text)
        return self._last(text + collector.rest(), calls) | self._logprobs(placed)

    def _read(self, text: str) -> tuple[str, Calls]:
        return (text, ()) if self._calls is None else self._calls.push(text)

    def _last(self, text: str, calls: Calls = ()) -> dict[str, Any]:
        assert self._sequence is not None and self._end is not None
        timings = self._end.timings
        return {
            **self._heading(),
            **self._say(text, calls),
            "done": True,
            "done_reason": reason_of(self._sequence),
            **missing_words(self._sequence),
            **self._clock.durations(),
            "prompt_eval_count": self._end.num_prompt_tokens,
            "prompt_eval_duration": nanoseconds(timings.prompt_seconds),
            "eval_count": self._end.num_completion_tokens,
            "eval_duration": nanoseconds(timings.generation_seconds),
        }

    def _heading(self) -> dict[str, Any]:
        return {"model": self._model, "created_at": created_at()}

    def _logprobs(self, placed: Sequence[Placed]) -> dict[str, Any]:
        return {"logprobs": shown.chat(placed)["content"]} if self._with_logprobs else {}
