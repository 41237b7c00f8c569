"""What all answers under `/v1` have in common: their heading, their usage, their two ways out."""

import json
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.openai.generating import Generations
from penstock.api.openai.schemas import SharedFields
from penstock.api.sse import Event, EventStream
from penstock.serving.models import ServedModel
from penstock.types import EngineOutput, FinishReason, RequestFinished, SequenceFinished

FINGERPRINT_LENGTH = 12
OBFUSCATION_BLOCK = 32  # characters; a chunk's text is padded to a multiple of it


class Presenter(Protocol):
    """Follows the outputs of one request and says them in one dialect."""

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        """What a stream says of an output of prompt `number`: the parts of chunks that differ."""

    def answer(self) -> dict[str, Any]:
        """The whole answer but its heading, once the last output was seen."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What every answer and every chunk begins with."""

    id: str
    object: str
    created: int
    extra: Mapping[str, Any] = field(default_factory=dict)

    def of(self, generations: Generations) -> dict[str, Any]:
        """The heading for these generations; it says so where nothing was computed for them."""
        told = {"cached": True} if generations.is_cached else {}
        return self.fields(generations.model) | told

    def fields(self, model: ServedModel) -> dict[str, Any]:
        """The heading as it goes on the wire."""
        return {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": model.id,
            "system_fingerprint": f"fp_{model.weights_digest[:FINGERPRINT_LENGTH]}",
            **self.extra,
        }


def new_id(prefix: str) -> str:
    """An id that no other answer has."""
    return f"{prefix}-{uuid.uuid4().hex}"


def now() -> int:
    """The time in seconds since 1970."""
    return int(time.time())


def usage(ends: Sequence[RequestFinished]) -> dict[str, Any]:
    """How many tokens went in and came out, over all prompts."""
    num_prompt = sum(end.num_prompt_tokens for end in ends)
    num_cached = sum(end.num_cached_tokens for end in ends)
    num_completion = sum(end.num_completion_tokens for end in ends)
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_completion,
        "total_tokens": num_prompt + num_completion,
        "prompt_tokens_details": {"cached_tokens": num_cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def reason_of(sequence: SequenceFinished) -> str:
    """Why a text ended, in the words that OpenAI's clients know."""
    reason = sequence.finish_reason
    return (FinishReason.LENGTH if reason.is_limit else reason).value


async def respond(
    request: Request,
    body: SharedFields,
    generations: Generations,
    presenter: Presenter,
    heading: Heading,
) -> Response:
    """The answer, or with `stream` its chunks. Closes the generations however it ends."""
    if body.stream:
        chunks = _Chunks(body, generations, presenter, heading)
        return EventStream(chunks.batches(), on_close=generations.close)
    answer = await unless_disconnected(request, complete(generations, presenter))
    receipts = [generations.receipt(number) for number in range(len(generations.running))]
    head = heading.of(generations)
    return json_response({**head, **answer, "receipts": receipts})


def json_response(content: Mapping[str, Any]) -> Response:
    """An answer of plain values, which need no checking: we made them."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return Response(text.encode("utf-8", "replace"), media_type="application/json")


async def complete(generations: Generations, presenter: Presenter) -> dict[str, Any]:
    """Follow the outputs to their end; the whole answer. Closes the generations."""
    try:
        async for batch in generations.outputs():
            for number, output in batch:
                presenter.chunks(number, output)
    finally:
        generations.close()
    return presenter.answer()


async def events_of(generations: Generations, presenter: Presenter) -> AsyncIterator[list[Event]]:
    """The presenter's events, those of outputs that arrived at once together."""
    async for batch in generations.outputs():
        events: list[Event] = [event for pair in batch for event in presenter.chunks(*pair)]
        if events:
            yield events


class _Chunks:
    """The chunks of a stream, each with the heading and what its options ask for."""

    def __init__(
        self,
        body: SharedFields,
        generations: Generations,
        presenter: Presenter,
        heading: Heading,
    ) -> None:
        options = body.stream_options
        self._with_usage = bool(options and options.include_usage)
        self._with_obfuscation = bool(options and options.include_obfuscation)
        self._generations = generations
        self._presenter = presenter
        self._heading = heading.of(generations)
        self._ends: list[RequestFinished] = []

    async def batches(self) -> AsyncIterator[list[Event]]:
        """All chunks that come of what arrived at once; at the end the usage, if it is wanted."""
        async for batch in self._generations.outputs():
            chunks = [chunk for pair in batch for chunk in self._of(*pair)]
            self._ends += [o for _, o in batch if isinstance(o, RequestFinished)]
            if chunks:
                yield chunks
        if self._with_usage:
            yield [{**self._heading, "choices": [], "usage": usage(self._ends)}]

    def _of(self, number: int, output: EngineOutput) -> list[Event]:
        """The chunks of an output; those of a text's end name its receipt."""
        chunks = [self._chunk(part) for part in self._presenter.chunks(number, output)]
        if not isinstance(output, SequenceFinished):
            return chunks
        return [{**chunk, "receipts": [self._generations.receipt(number)]} for chunk in chunks]

    def _chunk(self, choice: dict[str, Any]) -> Event:
        chunk = {**self._heading, "choices": [choice]}
        if self._with_usage:
            chunk["usage"] = None
        if self._with_obfuscation:
            chunk["obfuscation"] = _padding(len(json.dumps(choice, ensure_ascii=False)))
        return chunk


def _padding(length: int) -> str:
    """Random characters that fill a text of this length up to whole blocks."""
    num_missing = -length % OBFUSCATION_BLOCK
    return secrets.token_urlsafe(OBFUSCATION_BLOCK)[:num_missing]
