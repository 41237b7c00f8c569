"""Runs one request's prompts side by side and gives their outputs in the order they come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from penstock.api.receipts.receipt import ReceiptMaker
from penstock.api.receipts.store import ReceiptStore
from penstock.api.services import Services
from penstock.serving.admission import Ticket
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.types import EngineOutput, GenerationRequest, RequestFinished

BuildRequest = Callable[[ServedModel], GenerationRequest]
Batch = list[tuple[int, EngineOutput]]  # each output with the number of its prompt
MAX_WAITING_BATCHES = 4


@dataclass(slots=True)
class Generations:
    """The generations of one request, one per prompt. Whoever holds it must `close` it.

    Each that comes to its end leaves its receipt in the store.
    """

    ticket: Ticket
    store: ReceiptStore
    running: list[Generation] = field(default_factory=list)
    makers: list[ReceiptMaker] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def model(self) -> ServedModel:
        return self.running[0].model

    async def outputs(self) -> AsyncIterator[Batch]:
        """All that has come, each with the number of its prompt. Raises the first error."""
        batches = self._of_one() if len(self.running) == 1 else self._of_several()
        async for batch in batches:
            for number, output in batch:
                self._note(number, output)
            yield batch
            for _, output in batch:
                if isinstance(output, RequestFinished) and output.error is not None:
                    raise output.error

    @property
    def is_cached(self) -> bool:
        """Nothing was computed for it."""
        return all(generation.is_cached for generation in self.running)

    def receipt(self, number: int) -> str:
        """The name of a prompt's receipt, once its generation has started."""
        return self.makers[number].name

    def _note(self, number: int, output: EngineOutput) -> None:
        maker = self.makers[number]
        maker.take(output)
        wrote = not self.running[number].request.embed
        if wrote and isinstance(output, RequestFinished) and output.error is None:
            self.store.put(maker.receipt)

    async def _of_one(self) -> AsyncIterator[Batch]:
        (generation,) = self.running
        while not generation.outputs.is_read:
            yield [(0, output) for output in await generation.outputs.read()]

    async def _of_several(self) -> AsyncIterator[Batch]:
        queue: asyncio.Queue[Batch] = asyncio.Queue(MAX_WAITING_BATCHES)
        self.tasks = [
            asyncio.create_task(_forward(number, generation, queue))
            for number, generation in enumerate(self.running)
        ]
        num_open = len(self.running)
        while num_open:
            batch = await queue.get()
            yield batch
            num_open -= sum(isinstance(output, RequestFinished) for _, output in batch)

    def close(self) -> None:
        """Cancel what is unfinished and give the places back. Closing twice is harmless."""
        for task in self.tasks:
            task.cancel()
        for generation in self.running:
            generation.outputs.close()
        self.ticket.release()


async def start(
    services: Services,
    model: str,
    ticket: Ticket,
    builds: Sequence[BuildRequest],
    *,
    keep_alive_seconds: float | None = None,
) -> Generations:
    """Start a generation for each prompt, or none of them. Takes the ticket over."""
    generations = Generations(ticket, services.receipts)
    try:
        for build in builds:
            generation = await services.router.start(
                model, build, keep_alive_seconds=keep_alive_seconds, may_repeat=True
            )
            generations.running.append(generation)
            maker = ReceiptMaker(
                generation.request, generation.model, is_cached=generation.is_cached
            )
            generations.makers.append(maker)
    except BaseException:
        generations.close()
        raise
    return generations


async def _forward(number: int, generation: Generation, queue: asyncio.Queue[Batch]) -> None:
    while not generation.outputs.is_read:
        outputs = await generation.outputs.read()
        await queue.put([(number, output) for output in outputs])
