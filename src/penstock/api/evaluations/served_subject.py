"""A served model as an evaluation sees it: asked from a thread, answered on the event loop."""

import asyncio
import queue
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from penstock.errors import ServerBusy
from penstock.evaluation.subject import Answered
from penstock.serving.callers import caller
from penstock.serving.model_texts import ModelTexts
from penstock.serving.models import ServedModel
from penstock.serving.router import Router
from penstock.types import GenerationRequest

PLACES = 16  # of the server's, that an evaluation takes at most
BUSY_SECONDS = 0.5  # until it tries again

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServedSubject:
    """A `Subject` that goes through the router, like everybody's requests. Used on a thread."""

    router: Router
    texts: ModelTexts
    adapter: str | None
    loop: asyncio.AbstractEventLoop

    @property
    def model(self) -> ServedModel:
        return self.texts.model

    def peak_bytes(self) -> int | None:
        return None  # it is computed in another process

    def start_token_id(self) -> int | None:
        described = self._wait(self.texts.describe_tokenizer())
        mark = described.bos_token or described.eos_token
        if mark is None:
            return None
        marked = self.texts.tokenize(mark, with_ends=False, with_specials=True)
        token_ids = self._wait(marked).token_ids
        return token_ids[0] if len(token_ids) == 1 else None

    def end_token_id(self) -> int | None:
        described = self._wait(self.texts.describe_tokenizer())
        return next(iter(described.eos_token_ids), None)

    def tokenize(self, text: str) -> tuple[int, ...]:
        return self._wait(self.texts.tokenize(text, with_ends=False)).token_ids

    def ask(
        self, requests: Iterable[GenerationRequest], *, in_flight: int = PLACES
    ) -> Iterator[Answered]:
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        to_come = iter(requests)
        open_: set[Any] = set()
        try:
            while True:
                for request in islice(to_come, min(in_flight, PLACES) - len(open_)):
                    future = asyncio.run_coroutine_threadsafe(self._answer(request), self.loop)
                    open_.add(future)
                    future.add_done_callback(ended.put)
                if not open_:
                    return
                done = ended.get()
                open_.discard(done)
                yield done.result()
        finally:
            for future in open_:
                future.cancel()

    async def _answer(self, request: GenerationRequest) -> Answered:
        """Submit and read to the end; while the server is full, it waits for its turn."""
        caller().keeps_history = False  # the report tells what was written
        while True:
            try:
                generation = await self.router.submit(self.model.id, 1, lambda _: request)
                break
            except ServerBusy as error:
                if type(error) is not ServerBusy:  # it shuts down, or will not get any better
                    raise
                await asyncio.sleep(BUSY_SECONDS)
        answered = Answered(request.request_id)
        try:
            async for output in generation.outputs:
                answered.take(output)
        finally:
            generation.outputs.close()
        return answered

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()
