"""Looks answers up and notes those that may be given again. Lives on the event loop.

Only a request that must come out the same has a key; what is noted is the engine's own outputs, so
that an answer reads the same in every dialect, streamed or not.
"""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

from penstock.serving.models import ServedModel
from penstock.serving.plain import codec_of
from penstock.serving.response_cache.deciding import is_settled, is_whole, key_of
from penstock.serving.response_cache.stores import AnswerStore, Nothing
from penstock.serving.streams import OutputStream
from penstock.types import (
    EngineOutput,
    GenerationRequest,
    RequestFinished,
    RequestQueued,
    RequestStarted,
    Timings,
)

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 2**20
MAX_OUTPUTS = 20_000
_CODEC = codec_of(EngineOutput)


class ResponseCache:
    """The answers in one store."""

    def __init__(self, store: AnswerStore | None = None) -> None:
        self._store = store or Nothing()
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def is_on(self) -> bool:
        """Whether anything is ever kept."""
        return not isinstance(self._store, Nothing)

    def may_keep(self, request: GenerationRequest, model: ServedModel) -> bool:
        """Whether the answer to this request may be given again."""
        return self.is_on and is_settled(request, model)

    async def find(
        self, request: GenerationRequest, model: ServedModel, adapter_digest: str | None
    ) -> OutputStream | None:
        """The outputs that answered such a request before, as a stream that is complete."""
        found = await self._store.get(key_of(request, model, adapter_digest))
        if found is None:
            return None
        try:
            outputs = [_CODEC.decode(plain) for plain in json.loads(found)]
        except (ValueError, TypeError, LookupError) as error:  # not written by this version
            logger.warning("An answer in the cache cannot be read: %r", error)
            return None
        stream = OutputStream(request, lambda: None)
        stream.repeat([_again(output, request.request_id) for output in outputs])
        return stream

    def note(self, outputs: OutputStream, model: ServedModel) -> None:
        """Keep what comes, once it has come to its end."""
        noted: list[EngineOutput] = []

        def take(output: EngineOutput) -> None:
            if not isinstance(output, RequestQueued) and len(noted) < MAX_OUTPUTS:
                noted.append(output)
            if isinstance(output, RequestFinished) and is_whole(noted):
                self._keep(outputs.request, model, noted)

        outputs.on_output(take)

    async def close(self) -> None:
        """Finish writing and let go of the store."""
        await asyncio.gather(*self._writing)
        await self._store.close()

    def _keep(
        self, request: GenerationRequest, model: ServedModel, outputs: list[EngineOutput]
    ) -> None:
        digest = next(o.adapter_digest for o in outputs if isinstance(o, RequestStarted))
        answer = _encoded(outputs)
        if len(answer) > MAX_ANSWER_BYTES:
            return
        writing = asyncio.create_task(self._store.put(key_of(request, model, digest), answer))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)


def _encoded(outputs: list[EngineOutput]) -> bytes:
    plain: list[Any] = [_CODEC.encode(_again(output, "")) for output in outputs]
    return json.dumps(plain, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _again(output: EngineOutput, request_id: str) -> EngineOutput:
    """The output for another request: nothing was computed for it, so nothing took time."""
    if isinstance(output, RequestFinished):
        return replace(
            output,
            request_id=request_id,
            timings=Timings(),
            num_cached_tokens=output.num_prompt_tokens,
        )
    return replace(output, request_id=request_id)
