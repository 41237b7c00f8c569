"""From engine outputs to Anthropic's messages and their events. Pure; knows no HTTP, no engine."""

from collections.abc import Collection
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.types import (
    EngineOutput,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class MessagePresenter:
    """Follows the outputs of one message. The text is one block, which opens with its first text.

    `stop_sequences` are those of the request: of others, a template's, the client knows nothing.
    """

    def __init__(self, message_id: str, model: str, stop_sequences: Collection[str]) -> None:
        self._message_id = message_id
        self._model = model
        self._stop_sequences = stop_sequences
        self._num_input = 0
        self._num_output = 0
        self._sequence: SequenceFinished | None = None
        self._has_block = False

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                self._num_input = output.num_prompt_tokens
                return [{"type": "message_start", "message": self._message([], None, None)}]
            case TokensAdded(text=text) if text:
                delta = {"type": "text_delta", "text": text}
                return [
                    *self._open_block(),
                    {"type": "content_block_delta", "index": 0, "delta": delta},
                ]
            case SequenceFinished():
                self._sequence = output
                return [{"type": "content_block_stop", "index": 0}] if self._has_block else []
            case RequestFinished(error=None):
                self._num_output = output.num_completion_tokens
                return [self._ending(), {"type": "message_stop"}]
        return []

    def answer(self) -> dict[str, Any]:
        assert self._sequence is not None
        text = self._sequence.text
        content = [{"type": "text", "text": text, "citations": None}] if text else []
        return self._message(content, *self._stop())

    def _open_block(self) -> list[dict[str, Any]]:
        if self._has_block:
            return []
        self._has_block = True
        block = {"type": "text", "text": "", "citations": None}
        return [{"type": "content_block_start", "index": 0, "content_block": block}]

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
