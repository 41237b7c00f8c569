"""From engine outputs to the choices of `/v1/chat/completions`. Pure; knows no HTTP, no engine."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.api.openai.presenting import reason_of, usage
from penstock.text.call_reader import Argued, Called, CallReader, Piece, Said
from penstock.types import (
    EngineOutput,
    FinishReason,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class ChatPresenter:
    """Follows the outputs of a chat request. The first chunk of each choice tells who speaks.

    With `reads_calls` the model was told of tools, and calls of them are told apart from text.
    """

    def __init__(self, *, with_logprobs: bool, reads_calls: bool) -> None:
        self._with_logprobs = with_logprobs
        self._reads_calls = reads_calls
        self._tracks: dict[int, LogprobTrack] = {}
        self._readers: dict[int, CallReader] = {}
        self._finished: dict[int, SequenceFinished] = {}
        self._ends: list[RequestFinished] = []

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                content = None if self._reads_calls else ""
                first = {"role": "assistant", "content": content, "refusal": None}
                return [_chunk(index, first, None) for index in range(output.num_sequences)]
            case TokensAdded():
                return self._added(output)
            case SequenceFinished():
                self._finished[output.index] = output
                return self._ending(output)
            case RequestFinished():
                self._ends.append(output)
        return []

    def answer(self) -> dict[str, Any]:
        choices = [self._choice(self._finished[index]) for index in sorted(self._finished)]
        return {"choices": choices, "usage": usage(self._ends)}

    def _added(self, output: TokensAdded) -> list[dict[str, Any]]:
        """A chunk for each piece that is certain; the first has the log-probabilities."""
        placed = self._track(output.index).push(output.text, output.logprobs)
        deltas = [_delta(piece) for piece in self._pieces(output.index, output.text)]
        if placed and not deltas:
            deltas = [{"content": ""}]
        chunks = [_chunk(output.index, delta, None) for delta in deltas]
        if chunks:
            chunks[0]["logprobs"] = self._logprobs(placed)
        return chunks

    def _ending(self, output: SequenceFinished) -> list[dict[str, Any]]:
        reader = self._readers.get(output.index)
        rest = [] if reader is None else reader.finish()
        has_calls = reader is not None and reader.num_calls > 0
        chunks = [_chunk(output.index, _delta(piece), None) for piece in rest]
        last = _chunk(output.index, {}, None)
        return [*chunks, last | _end(output, has_calls=has_calls)]

    def _choice(self, sequence: SequenceFinished) -> dict[str, Any]:
        placed = LogprobTrack().push(sequence.text, sequence.logprobs)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": sequence.text,
            "refusal": None,
            "annotations": [],
        }
        calls: list[dict[str, Any]] = []
        if self._reads_calls:
            reader = CallReader()
            pieces = [*reader.push(sequence.text), *reader.finish()]
            calls = _calls(pieces)
            said = "".join(piece.text for piece in pieces if isinstance(piece, Said))
            message["content"] = said or (None if calls else "")
        if calls:
            message["tool_calls"] = calls
        return {
            "index": sequence.index,
            "message": message,
            "logprobs": self._logprobs(placed),
            **_end(sequence, has_calls=bool(calls)),
        }

    def _pieces(self, index: int, text: str) -> Sequence[Piece]:
        if not self._reads_calls:
            return [Said(text)] if text else []
        return self._readers.setdefault(index, CallReader()).push(text)

    def _logprobs(self, placed: Sequence[Placed]) -> dict[str, Any] | None:
        return shown.chat(placed) if self._with_logprobs else None

    def _track(self, index: int) -> LogprobTrack:
        return self._tracks.setdefault(index, LogprobTrack())


def _end(sequence: SequenceFinished, *, has_calls: bool) -> dict[str, Any]:
    is_complete = sequence.finish_reason is FinishReason.STOP
    reason = "tool_calls" if has_calls and is_complete else reason_of(sequence)
    return {"finish_reason": reason, **missing_words(sequence)}


def _calls(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    """All calls with their whole arguments."""
    calls: list[dict[str, Any]] = []
    for piece in pieces:
        if isinstance(piece, Called):
            calls.append(_call(piece.name))
        elif isinstance(piece, Argued):
            calls[piece.index]["function"]["arguments"] += piece.text
    return calls


def _call(name: str) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex}",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }


def _delta(piece: Piece) -> dict[str, Any]:
    match piece:
        case Said(text):
            return {"content": text}
        case Called(index, name):
            return {"tool_calls": [{"index": index, **_call(name)}]}
        case Argued(index, text):
            return {"tool_calls": [{"index": index, "function": {"arguments": text}}]}


def _chunk(index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
