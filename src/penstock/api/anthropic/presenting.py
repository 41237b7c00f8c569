"""From engine outputs to Anthropic's messages and their events. Pure; knows no HTTP, no engine."""

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.text.call_reader import Argued, Called, CallReader, Piece, Said
from penstock.types import (
    EngineOutput,
    FinishReason,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class MessagePresenter:
    """Follows the outputs of one message. Its text is one block, each call another.

    `stop_sequences` are those of the request: of others, a template's, the client knows nothing.
    """

    def __init__(
        self,
        message_id: str,
        model: str,
        stop_sequences: Collection[str],
        *,
        reads_calls: bool = False,
    ) -> None:
        self._message_id = message_id
        self._model = model
        self._stop_sequences = stop_sequences
        self._num_input = 0
        self._num_output = 0
        self._sequence: SequenceFinished | None = None
        self._reader = CallReader() if reads_calls else None
        self._blocks: list[dict[str, Any]] = []  # the last of them is open

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                self._num_input = output.num_prompt_tokens
                return [{"type": "message_start", "message": self._message([], None, None)}]
            case TokensAdded(text=text) if text:
                pieces = [Said(text)] if self._reader is None else self._reader.push(text)
                return self._take(pieces)
            case SequenceFinished():
                self._sequence = output
                rest = self._take([] if self._reader is None else self._reader.finish())
                return [*rest, *self._close_block()]
            case RequestFinished(error=None):
                self._num_output = output.num_completion_tokens
                return [self._ending(), {"type": "message_stop"}]
        return []

    def answer(self) -> dict[str, Any]:
        content = [_finished(block) for block in self._blocks]
        return self._message(content, *self._stop())

    def _take(self, pieces: Sequence[Piece]) -> list[dict[str, Any]]:
        return [event for piece in pieces for event in self._events(piece)]

    def _events(self, piece: Piece) -> list[dict[str, Any]]:
        """A piece goes into the block that is open, or opens one."""
        match piece:
            case Said(text):
                opening = [] if self._blocks else self._open_block({"type": "text", "text": ""})
                delta = {"type": "text_delta", "text": text}
            case Called(name=name):
                block = {"type": "tool_use", "id": new_call_id(), "name": name, "input": ""}
                return [*self._close_block(), *self._open_block(block)]
            case Argued(text=text):
                opening = []
                delta = {"type": "input_json_delta", "partial_json": text}
        block, key = self._blocks[-1], "text" if isinstance(piece, Said) else "input"
        block[key] += text
        return [
            *opening,
            {"type": "content_block_delta", "index": len(self._blocks) - 1, "delta": delta},
        ]

    def _open_block(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        self._blocks.append(block)
        own: dict[str, Any] = {"citations": None} if block["type"] == "text" else {"input": {}}
        shown = block | own
        index = len(self._blocks) - 1
        return [{"type": "content_block_start", "index": index, "content_block": shown}]

    def _close_block(self) -> list[dict[str, Any]]:
        if not self._blocks:
            return []
        return [{"type": "content_block_stop", "index": len(self._blocks) - 1}]

    def _ending(self) -> dict[str, Any]:
        reason, sequence = self._stop()
        return {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": self._usage(),
            **self._missing_words(),
        }

    def _stop(self) -> tuple[str, str | None]:
        """Why the text ended, and at which of the request's own stop sequences."""
        assert self._sequence is not None
        is_complete = self._sequence.finish_reason is FinishReason.STOP
        if is_complete and self._reader is not None and self._reader.num_calls:
            return "tool_use", None
        found = self._sequence.stop_string
        if found is not None and found in self._stop_sequences:
            return "stop_sequence", found
        is_long = self._sequence.finish_reason.is_limit
        return "max_tokens" if is_long else "end_turn", None

    def _message(
        self, content: list[dict[str, Any]], reason: str | None, sequence: str | None
    ) -> dict[str, Any]:
        return {
            "id": self._message_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": self._usage(),
            **self._missing_words(),
        }

    def _missing_words(self) -> dict[str, Any]:
        return {} if self._sequence is None else missing_words(self._sequence)

    def _usage(self) -> dict[str, int]:
        return {
            "input_tokens": self._num_input,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": self._num_output,
        }


def new_call_id() -> str:
    """An id that no other call has."""
    return f"toolu_{uuid.uuid4().hex}"


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    """A block as a whole answer has it. Arguments that were cut off in the middle are none."""
    if block["type"] == "text":
        return block | {"citations": None}
    try:
        given = json.loads(block["input"])
    except ValueError:
        given = {}
    return block | {"input": given}
