"""The output of a response while it is written: a message of one part of text, then calls. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import Placed
from penstock.api.openai.response_items import function_call
from penstock.text.chat import Message
from penstock.text.tool_calls import ToolCall

Events = list[dict[str, Any]]


class Output:
    """Takes what the model writes, piece by piece; says which events tell of it.

    A message is opened when something is said, so that an answer may be calls alone.
    """

    def __init__(self, name: str, *, with_logprobs: bool) -> None:
        self._name = name
        self._with_logprobs = with_logprobs
        self._has_message = False
        self._said = ""
        self._told: list[Placed] = []
        self._calls: list[ToolCall] = []  # the last of them is being written
        self._statuses: list[str] = []  # of the items that are finished

    def open_message(self) -> Events:
        """Begin with a message."""
        self._has_message = True
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        return [
            self._place_of("response.output_item.added", self._message("in_progress", [])),
            {"type": "response.content_part.added", **self._text_place(), "part": part},
        ]

    def say(self, text: str, placed: Sequence[Placed]) -> Events:
        """More of the message's text, with the tokens that are told with it."""
        if not (text or placed):
            return []
        opening = [] if self._has_message else self.open_message()
        self._said += text
        self._told += placed
        delta = {"delta": text, "logprobs": self._logprobs(placed)}
        return [*opening, {"type": "response.output_text.delta", **self._text_place(), **delta}]

    def call(self, function: str) -> Events:
        """A call begins; what was written before it is complete."""
        closing = self._close("completed", {})
        self._calls.append(ToolCall(f"call_{uuid.uuid4().hex}", function, ""))
        added = self._place_of("response.output_item.added", self._call(-1, "in_progress"))
        return [*closing, added]

    def argue(self, text: str) -> Events:
        """More of the arguments of the call that is being written."""
        call = self._calls[-1]
        self._calls[-1] = replace(call, arguments=call.arguments + text)
        kind = "response.function_call_arguments.delta"
        return [{"type": kind, **self._call_place(), "delta": text}]

    def finish(self, status: str, more: Mapping[str, Any]) -> Events:
        """Nothing follows. `status` is that of the last item, `more` what its text is told with."""
        is_empty = not (self._has_message or self._calls)
        opening = self.open_message() if is_empty else []
        return [*opening, *self._close(status, more)]

    def items(self, more: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All items, once they are finished."""
        statuses = iter(self._statuses)
        message = [self._message(next(statuses), [self._part(more)])] if self._has_message else []
        return [*message, *(self._call(i, status) for i, status in enumerate(statuses))]

    def turn(self) -> Message:
        """The assistant's turn; a call that was cut off is no part of it."""
        statuses = self._statuses[self._has_message :]
        whole = [c for c, s in zip(self._calls, statuses, strict=True) if s == "completed"]
        return Message("assistant", self._said, tool_calls=tuple(whole))

    def _close(self, status: str, more: Mapping[str, Any]) -> Events:
        """The item that is being written is finished, if there is one."""
        if not (self._has_message or self._calls):
            return []
        self._statuses.append(status)
        return self._close_call(status) if self._calls else self._close_message(status, more)

    def _close_message(self, status: str, more: Mapping[str, Any]) -> Events:
        part = self._part(more)
        done = {"text": part["text"], "logprobs": part["logprobs"]}
        item = self._message(status, [part])
        return [
            {"type": "response.output_text.done", **self._text_place(), **done},
            {"type": "response.content_part.done", **self._text_place(), "part": part},
            self._place_of("response.output_item.done", item),
        ]

    def _close_call(self, status: str) -> Events:
        item = self._call(-1, status)
        done = {"name": item["name"], "arguments": item["arguments"]}
        return [
            {"type": "response.function_call_arguments.done", **self._call_place(), **done},
            self._place_of("response.output_item.done", item),
        ]

    def _place_of(self, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        return {"type": kind, "output_index": self._last_index, "item": item}

    @property
    def _last_index(self) -> int:
        """The place of the item that is being written."""
        return self._has_message + len(self._calls) - 1

    def _text_place(self) -> dict[str, Any]:
        return {"item_id": f"msg_{self._name}", "output_index": 0, "content_index": 0}

    def _call_place(self) -> dict[str, Any]:
        return {"item_id": self._call_id(-1), "output_index": self._last_index}

    def _part(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "type": "output_text",
            "text": self._said,
            "annotations": [],
            "logprobs": self._logprobs(self._told),
            **more,
        }

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"msg_{self._name}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _call(self, number: int, status: str) -> dict[str, Any]:
        call = function_call(self._calls[number])
        return {"id": self._call_id(number), **call, "status": status}

    def _call_id(self, number: int) -> str:
        return f"fc_{self._name}_{number % len(self._calls)}"

    def _logprobs(self, placed: Sequence[Placed]) -> list[dict[str, Any]]:
        return shown.response(placed) if self._with_logprobs else []
