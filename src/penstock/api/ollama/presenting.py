"""From engine outputs to Ollama's lines. Pure but for the clock; knows no HTTP, no engine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.api.openai.presenting import reason_of
from penstock.types import EngineOutput, RequestFinished, SequenceFinished, TokensAdded

NANOSECONDS = 1_000_000_000
Say = Callable[[str], dict[str, Any]]


def say_response(text: str) -> dict[str, Any]:
    """A piece of text as `/api/generate` shows it."""
    return {"response": text}


def say_message(text: str) -> dict[str, Any]:
    """A piece of text as `/api/chat` shows it."""
    return {"message": {"role": "assistant", "content": text}}


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


class OllamaPresenter:
    """Follows the outputs of one request. The last line has the counts and the durations."""

    def __init__(self, model: str, say: Say, clock: Clock, *, with_logprobs: bool) -> None:
        self._model = model
        self._say = say
        self._clock = clock
        self._with_logprobs = with_logprobs
        self._track = LogprobTrack()
        self._sequence: SequenceFinished | None = None
        self._end: RequestFinished | None = None

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case TokensAdded():
                placed = self._track.push(output.text, output.logprobs)
                if not (output.text or placed):
                    return []
                line = {**self._heading(), **self._say(output.text), "done": False}
                return [line | self._logprobs(placed)]
            case SequenceFinished():
                self._sequence = output
            case RequestFinished(error=None):
                self._end = output
                return [self._last("")]
        return []

    def answer(self) -> dict[str, Any]:
        assert self._sequence is not None
        placed = LogprobTrack().push(self._sequence.text, self._sequence.logprobs)
        return self._last(self._sequence.text) | self._logprobs(placed)

    def _last(self, text: str) -> dict[str, Any]:
        assert self._sequence is not None and self._end is not None
        timings = self._end.timings
        return {
            **self._heading(),
            **self._say(text),
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
