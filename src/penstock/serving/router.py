"""From a model's name and a prompt to a stream of outputs: admission, loading, submission, drain.

Knows no HTTP. What is closed gives its place back, however it ended.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from penstock.serving.admission import Admission
from penstock.serving.callers import caller
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.model_texts import ModelTexts
from penstock.serving.models import ServedModel
from penstock.serving.streams import OutputStream
from penstock.types import GenerationRequest

POLL_SECONDS = 0.02
BuildRequest = Callable[[ServedModel], GenerationRequest]


@dataclass(frozen=True, slots=True)
class Generation:
    """A request on its way: the model that runs it and the stream of its outputs."""

    model: ServedModel
    request: GenerationRequest
    outputs: OutputStream


class Router:
    """Finds the engine for each request and keeps the number under way within bounds."""

    def __init__(self, lifecycle: Lifecycle, admission: Admission) -> None:
        self._lifecycle = lifecycle
        self._admission = admission

    async def submit(
        self,
        name: str,
        num_sequences: int,
        build: BuildRequest,
        *,
        keep_alive_seconds: float | None = None,
    ) -> Generation:
        """Admit a request and start it. The caller must close the outputs."""
        ticket = self._admission.enter(num_sequences)
        try:
            generation = await self.start(name, build, keep_alive_seconds=keep_alive_seconds)
        except BaseException:
            ticket.release()
            raise
        generation.outputs.on_close(ticket.release)
        return generation

    async def start(
        self, name: str, build: BuildRequest, *, keep_alive_seconds: float | None = None
    ) -> Generation:
        """Load the model if need be, build the request for it and submit it.

        For who holds a ticket already. The caller must close the outputs.
        """
        running = await self._lifecycle.running(name, keep_alive_seconds=keep_alive_seconds)
        request = replace(build(running.model), tenant=caller().name)
        outputs = await running.client.submit(request)
        outputs.on_start(caller().begin)
        return Generation(running.model, request, outputs)

    async def texts(self, name: str) -> ModelTexts:
        """What can be asked of a model besides generating, the model loaded first if need be."""
        running = await self._lifecycle.running(name)
        return ModelTexts(running.model, running.client)

    async def drain(self, *, timeout_seconds: float) -> bool:
        """Take nothing new and wait for what is under way; whether all of it finished in time."""
        self._admission.drain()
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._admission.num_in_flight:
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return False
        return True
