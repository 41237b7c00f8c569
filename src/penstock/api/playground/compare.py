"""`POST /compare`: one prompt through several columns at once, in one response."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.errors import error_body
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import CompareAnswer, ErrorAnswer, GenerateAnswer
from penstock.api.playground.asking import Asked, understand
from penstock.api.playground.generate import FAILURES, complete, events, start_admitted
from penstock.api.playground.schemas import CompareBody, GenerationFields
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream
from penstock.errors import PenstockError
from penstock.serving.router import Generation

logger = logging.getLogger(__name__)
router = APIRouter(route_class=JsonRoute, tags=["generate"])


@router.post(
    "/compare",
    summary="Continue a prompt in several ways",
    response_model=CompareAnswer,
    responses=FAILURES,
)
async def compare(body: CompareBody, request: Request, services: ServicesDep) -> Response:
    """Continue one prompt in several ways; with `stream`, as events that name their column."""
    columns = columns_of(body)
    ticket = services.admission.enter(sum(c.num_return_sequences or 1 for c in columns))
    if body.stream:
        merged = ColumnStreams(services, body.prompt, columns, on_close=ticket.release)
        return EventStream(merged.batches(), on_close=merged.close)
    try:
        answers = await unless_disconnected(request, _complete_all(services, body.prompt, columns))
    finally:
        ticket.release()
    answer = CompareAnswer(prompt=body.prompt, columns=answers)
    return Response(answer.model_dump_json(), media_type="application/json")


def columns_of(body: CompareBody) -> list[GenerationFields]:
    """Each column's fields, completed by those given for all."""
    shared = body.model_dump(include=set(GenerationFields.model_fields), exclude_none=True)
    return [
        GenerationFields.model_validate(shared | column.model_dump(exclude_none=True))
        for column in body.columns
    ]


async def _complete_all(
    services: Services, prompt: str, columns: list[GenerationFields]
) -> list[GenerateAnswer | ErrorAnswer]:
    return await asyncio.gather(*(_complete(services, prompt, fields) for fields in columns))


async def _complete(
    services: Services, prompt: str, fields: GenerationFields
) -> GenerateAnswer | ErrorAnswer:
    """One column's answer; what is wrong with it stays in it."""
    try:
        asked = understand(prompt, fields, services.defaults)
        return await complete(services, asked, await start_admitted(services, asked))
    except PenstockError as error:
        return ErrorAnswer.model_validate(error_body(error))


class ColumnStreams:
    """Merges the events of all columns in the order they come. A failing column fails alone."""

    def __init__(
        self,
        services: Services,
        prompt: str,
        columns: list[GenerationFields],
        *,
        on_close: Callable[[], None],
    ) -> None:
        self._on_close = on_close
        self._services = services
        self._prompt = prompt
        self._columns = columns
        self._queue: asyncio.Queue[list[Event] | None] = asyncio.Queue(maxsize=len(columns))
        self._tasks: list[asyncio.Task[None]] = []

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Batches of events, each of one column."""
        self._tasks = [
            asyncio.create_task(self._follow(number, fields))
            for number, fields in enumerate(self._columns)
        ]
        num_open = len(self._tasks)
        while num_open:
            batch = await self._queue.get()
            if batch is None:
                num_open -= 1
            else:
                yield batch

    def close(self) -> None:
        """Give up what is unfinished; each column's request is cancelled."""
        for task in self._tasks:
            task.cancel()
        self._on_close()

    async def _follow(self, number: int, fields: GenerationFields) -> None:
        try:
            asked = understand(self._prompt, fields, self._services.defaults)
            await self._forward(number, asked, await start_admitted(self._services, asked))
        except Exception as error:
            if not isinstance(error, PenstockError):
                logger.exception("A column failed.")
            await self._queue.put([{"event": "error", "column": number, **error_body(error)}])
        await self._queue.put(None)

    async def _forward(self, number: int, asked: Asked, generation: Generation) -> None:
        try:
            async for batch in events(self._services, asked, generation):
                await self._queue.put([{**event, "column": number} for event in batch])
        finally:
            generation.outputs.close()
