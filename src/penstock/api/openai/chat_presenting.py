"""From engine outputs to the choices of `/v1/chat/completions`. Pure; knows no HTTP, no engine."""

from collections.abc import Sequence
from typing import Any

from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.api.openai.presenting import usage
from penstock.types import (
    EngineOutput,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


class ChatPresenter:
    """Follows the outputs of a chat request. The first chunk of each choice tells who speaks."""

    def __init__(self, *, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs
        self._tracks: dict[int, LogprobTrack] = {}
        self._finished: dict[int, SequenceFinished] = {}
        self._ends: list[RequestFinished] = []

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                first = {"role": "assistant", "content": "", "refusal": None}
                return [_chunk(index, first, None) for index in range(output.num_sequences)]
            case TokensAdded():
                placed = self._track(output.index).push(output.text, output.logprobs)
                if not (output.text or placed):
                    return []
                delta = {"content": output.text}
                return [_chunk(output.index, delta, self._logprobs(placed))]
            case SequenceFinished():
                self._finished[output.index] = output
                chunk = _chunk(output.index, {}, None)
                return [{**chunk, "finish_reason": output.finish_reason.value}]
            case RequestFinished():
                self._ends.append(output)
        return []

    def answer(self) -> dict[str, Any]:
        choices = [self._choice(self._finished[index]) for index in sorted(self._finished)]
        return {"choices": choices, "usage": usage(self._ends)}

    def _choice(self, sequence: SequenceFinished) -> dict[str, Any]:
        placed = LogprobTrack().push(sequence.text, sequence.logprobs)
        return {
            "index": sequence.index,
            "message": {
                "role": "assistant",
                "content": sequence.text,
                "refusal": None,
                "annotations": [],
            },
            "logprobs": self._logprobs(placed),
            "finish_reason": sequence.finish_reason.value,
        }

    def _logprobs(self, placed: Sequence[Placed]) -> dict[str, Any] | None:
        return shown.chat(placed) if self._with_logprobs else None

    def _track(self, index: int) -> LogprobTrack:
        return self._tracks.setdefault(index, LogprobTrack())


def _chunk(index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
