"""From engine outputs to the responses of `/v1/responses` and their events. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.openai.logprobs import LogprobTrack
from penstock.api.openai.response_output import Events, Output
from penstock.text.call_reader import Argued, Called, CallReader, Piece, Said
from penstock.text.chat import Message
from penstock.types import (
    EngineOutput,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class ResponsePresenter:
    """Follows the outputs of one response.

    `heading` has the fields of the response that are known beforehand. With `reads_calls` the model
    was told of tools, and calls of them are told apart from text.
    """

    def __init__(
        self, heading: Mapping[str, Any], *, with_logprobs: bool, reads_calls: bool
    ) -> None:
        self._heading = heading
        self._reader = CallReader() if reads_calls else None
        self._track = LogprobTrack()
        name = heading["id"].removeprefix("resp_")
        self._output = Output(name, with_logprobs=with_logprobs)
        self._sequence: SequenceFinished | None = None
        self._end: RequestFinished | None = None
        self._num_events = 0

    @property
    def is_done(self) -> bool:
        """The whole answer is known."""
        return self._end is not None

    def turn(self) -> Message:
        """The assistant's turn, once the last output was seen."""
        return self._output.turn()

    def chunks(self, number: int, output: EngineOutput) -> Events:
        return [self._numbered(event) for event in self._events(output)]

    def answer(self) -> dict[str, Any]:
        assert self._sequence is not None
        return self._response(self._status(), self._output.items(missing_words(self._sequence)))

    def error_event(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """An error object as the last event of a stream."""
        error = body["error"]
        said = {name: error[name] for name in ("code", "message", "param")}
        return self._numbered({"type": "error", **said})

    def _events(self, output: EngineOutput) -> Events:
        match output:
            case RequestStarted():
                return self._beginning()
            case TokensAdded():
                plain = [Said(output.text)]
                pieces = plain if self._reader is None else self._reader.push(output.text)
                said = "".join(piece.text for piece in pieces if isinstance(piece, Said))
                spoken = self._output.say(said, self._track.push(said, output.logprobs))
                return [*spoken, *self._calls(pieces)]
            case SequenceFinished():
                self._sequence = output
                rest = [] if self._reader is None else self._reader.finish()
                said = "".join(piece.text for piece in rest if isinstance(piece, Said))
                return self._output.say(said, self._track.push(said, ()))
            case RequestFinished(error=None):
                self._end = output
                return self._ending()
        return []

    def _beginning(self) -> Events:
        response = self._response("in_progress", [])
        return [
            {"type": "response.created", "response": response},
            {"type": "response.in_progress", "response": response},
            *(self._output.open_message() if self._reader is None else []),
        ]

    def _calls(self, pieces: Sequence[Piece]) -> Events:
        """What the pieces tell of calls: that one begins, and how it goes on."""
        events: Events = []
        for piece in pieces:
            match piece:
                case Called(name=name):
                    events += self._output.call(name)
                case Argued(text=text):
                    events += self._output.argue(text)
        return events

    def _ending(self) -> Events:
        assert self._sequence is not None
        is_cut = self._reader is not None and self._reader.is_in_arguments
        is_call = self._reader is not None and self._reader.num_calls > 0
        last = "incomplete" if is_cut else "completed" if is_call else self._status()
        return [
            *self._output.finish(last, missing_words(self._sequence)),
            {"type": f"response.{self._status()}", "response": self.answer()},
        ]

    def _numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        number = self._num_events
        self._num_events += 1
        return {**event, "sequence_number": number}

    def _status(self) -> str:
        assert self._sequence is not None
        is_long = self._sequence.finish_reason.is_limit
        return "incomplete" if is_long else "completed"

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._heading,
            "status": status,
            "incomplete_details": reason,
            "output": output,
            **({} if self._end is None else {"usage": _usage(self._end)}),
        }


def _usage(end: RequestFinished) -> dict[str, Any]:
    return {
        "input_tokens": end.num_prompt_tokens,
        "input_tokens_details": {"cached_tokens": end.num_cached_tokens, "cache_write_tokens": 0},
        "output_tokens": end.num_completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": end.num_prompt_tokens + end.num_completion_tokens,
    }
