"""`POST /compare`: one prompt through several columns at once, in one response."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.errors import error_body
from penstock.api.json_body import JsonRoute
from penstock.api.openai.asking import in_words_of
from penstock.api.playground.answers import ErrorAnswer, GenerateAnswer
from penstock.api.playground.asking import Asked, understand
from penstock.api.playground.columns import columns_of
from penstock.api.playground.compare_answers import ColumnMetrics, CompareAnswer
from penstock.api.playground.generate import FAILURES, complete, events, start_admitted
from penstock.api.playground.measuring import Measuring
from penstock.api.playground.schemas import CompareBody, GenerationFields
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.errors import InvalidParameter, PenstockError
from penstock.serving.router import Generation

logger = logging.getLogger(__name__)
router = APIRouter(route_class=JsonRoute, tags=["generate"])


@router.post(
    "/compare",
    summary="Continue a prompt in several ways",
    response_model=CompareAnswer,
    responses=FAILURES | streamed(),
)
async def compare(body: CompareBody, request: Request, services: ServicesDep) -> Response:
    """Continue one prompt in several ways; with `stream`, as events that name their column."""
    columns = columns_of(body)
    measuring = _measuring(services, body, columns)
    ticket = services.admission.enter(sum(c.num_return_sequences or 1 for c in columns))
    if body.stream:
        merged = ColumnStreams(
            services, body.prompt, columns, measuring=measuring, on_close=ticket.release
        )
        return EventStream(merged.batches(), on_close=merged.close)
    try:
        answering = _answer(services, body.prompt, columns, measuring)
        answer = await unless_disconnected(request, answering)
    finally:
        ticket.release()
    return Response(answer.model_dump_json(), media_type="application/json")


def _measuring(
    services: Services, body: CompareBody, columns: Sequence[GenerationFields]
) -> Measuring | None:
    """Who measures the texts, if that is asked for. Raises where the judge is unknown."""
    if not body.metrics:
        if body.perplexity_model is not None:
            raise InvalidParameter(
                "perplexity_model is set and metrics is not.",
                "Set metrics to true, or leave perplexity_model out.",
                param="perplexity_model",
            )
        return None
    judge = body.perplexity_model or columns[0].model or services.defaults.model
    with in_words_of({"model": "perplexity_model"} if body.perplexity_model else {}):
        judge = services.lifecycle.find(judge).id
    ways = [column.model_copy(update={"seed": None}) for column in columns]
    return Measuring(services, judge, [ways.index(way) for way in ways])


async def _answer(
    services: Services,
    prompt: str,
    columns: Sequence[GenerationFields],
    measuring: Measuring | None,
) -> CompareAnswer:
    completing = (_complete(services, prompt, fields) for fields in columns)
    answers = await asyncio.gather(*completing)
    if measuring is None:
        return CompareAnswer(prompt=prompt, columns=answers)
    figures: list[ColumnMetrics] = await asyncio.gather(
        *(measuring.column(n, a) for n, a in enumerate(answers) if isinstance(a, GenerateAnswer))
    )
    return CompareAnswer(prompt=prompt, columns=answers, metrics=measuring.metrics(figures))


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
        columns: Sequence[GenerationFields],
        *,
        measuring: Measuring | None,
        on_close: Callable[[], None],
    ) -> None:
        self._on_close = on_close
        self._services = services
        self._prompt = prompt
        self._columns = columns
        self._measuring = measuring
        self._queue: asyncio.Queue[list[Event] | None] = asyncio.Queue(maxsize=len(columns))
        self._tasks: list[asyncio.Task[None]] = []

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Batches of events, each of one column; at the end the figures of all, if wanted."""
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
        if self._measuring is not None:
            groups = [group.model_dump() for group in self._measuring.group_metrics()]
            judge = self._measuring.judge
            yield [{"event": "groups", "perplexity_model": judge, "groups": groups}]

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
        last: Event = {}
        try:
            async for batch in events(self._services, asked, generation):
                await self._queue.put([{**event, "column": number} for event in batch])
                last = batch[-1]
        finally:
            generation.outputs.close()
        if self._measuring is not None:
            figures = await self._measuring.column(number, GenerateAnswer.model_validate(last))
            await self._queue.put([{"event": "metrics", **figures.model_dump()}])
