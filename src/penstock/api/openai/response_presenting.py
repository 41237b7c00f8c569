"""From engine outputs to the responses of `/v1/responses` and their events. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.types import (
    EngineOutput,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class ResponsePresenter:
    """Follows the outputs of one response, which is one message of one part of text.

    `heading` has the fields of the response that are known beforehand.
    """

    def __init__(self, heading: Mapping[str, Any], *, with_logprobs: bool) -> None:
        self._heading = heading
        self._item_id = f"msg_{heading['id'].removeprefix('resp_')}"
        self._with_logprobs = with_logprobs
        self._track = LogprobTrack()
        self._sequence: SequenceFinished | None = None
        self._end: RequestFinished | None = None
        self._num_events = 0

    @property
    def is_done(self) -> bool:
        """The whole answer is known."""
        return self._end is not None

    @property
    def text(self) -> str:
        """The whole text, once the last output was seen."""
        assert self._sequence is not None
        return self._sequence.text

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        return [self._numbered(event) for event in self._events(output)]

    def answer(self) -> dict[str, Any]:
        assert self._end is not None
        return self._response(self._status(), [self._item(self._status(), [self._part()])])

    def error_event(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """An error object as the last event of a stream."""
        error = body["error"]
        said = {name: error[name] for name in ("code", "message", "param")}
        return self._numbered({"type": "error", **said})

    def _events(self, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                return self._beginning()
            case TokensAdded():
                placed = self._track.push(output.text, output.logprobs)
                if not (output.text or placed):
                    return []
                return [
                    {
                        "type": "response.output_text.delta",
                        **self._place(),
                        "delta": output.text,
                        "logprobs": self._logprobs(placed),
                    }
                ]
            case SequenceFinished():
                self._sequence = output
            case RequestFinished(error=None):
                self._end = output
                return self._ending()
        return []

    def _beginning(self) -> list[dict[str, Any]]:
        response = self._response("in_progress", [])
        item = self._item("in_progress", [])
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        return [
            {"type": "response.created", "response": response},
            {"type": "response.in_progress", "response": response},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.content_part.added", **self._place(), "part": part},
        ]

    def _ending(self) -> list[dict[str, Any]]:
        part, status = self._part(), self._status()
        done = {"text": part["text"], "logprobs": part["logprobs"]}
        item = self._item(status, [part])
        return [
            {"type": "response.output_text.done", **self._place(), **done},
            {"type": "response.content_part.done", **self._place(), "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": f"response.{status}", "response": self.answer()},
        ]

    def _numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        number = self._num_events
        self._num_events += 1
        return {**event, "sequence_number": number}

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _status(self) -> str:
        assert self._sequence is not None
        is_long = self._sequence.finish_reason.is_limit
        return "incomplete" if is_long else "completed"

    def _part(self) -> dict[str, Any]:
        assert self._sequence is not None
        placed = LogprobTrack().push(self._sequence.text, self._sequence.logprobs)
        return {
            "type": "output_text",
            "text": self._sequence.text,
            "annotations": [],
            "logprobs": self._logprobs(placed),
            **missing_words(self._sequence),
        }

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        reason = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._heading,
            "status": status,
            "incomplete_details": reason,
            "output": output,
            **({} if self._end is None else {"usage": _usage(self._end)}),
        }

    def _logprobs(self, placed: Sequence[Placed]) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = shown.chat(placed)["content"]
        return content if self._with_logprobs else []


def _usage(end: RequestFinished) -> dict[str, Any]:
    return {
        "input_tokens": end.num_prompt_tokens,
        "input_tokens_details": {"cached_tokens": end.num_cached_tokens, "cache_write_tokens": 0},
        "output_tokens": end.num_completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": end.num_prompt_tokens + end.num_completion_tokens,
    }
