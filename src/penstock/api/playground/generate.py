"""`POST /generate`, and the way from what is asked to an answer or a stream, for its neighbours."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import ErrorAnswer, GenerateAnswer
from penstock.api.playground.asking import Asked, to_request, understand
from penstock.api.playground.presenting import Presenter
from penstock.api.playground.schemas import GenerateBody
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.serving.router import Generation
from penstock.types import RequestFinished

router = APIRouter(route_class=JsonRoute, tags=["generate"])
FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 403, 404, 413, 415, 422, 500, 503)
}


@router.post(
    "/generate",
    summary="Continue a prompt",
    response_model=GenerateAnswer,
    responses=FAILURES | streamed(),
)
async def generate(body: GenerateBody, request: Request, services: ServicesDep) -> Response:
    """Continue a prompt; with `stream`, as server-sent events."""
    asked = understand(body.prompt, body, services.defaults)
    generation = await unless_disconnected(request, open_generation(services, asked))
    if body.stream:
        return EventStream(events(services, asked, generation), on_close=generation.outputs.close)
    answer = await unless_disconnected(request, complete(services, asked, generation))
    return Response(answer.model_dump_json(), media_type="application/json")


async def open_generation(services: Services, asked: Asked) -> Generation:
    """Have the engine start on it. The caller must close the outputs."""
    return await services.router.submit(
        asked.model,
        asked.num_sequences,
        lambda model: to_request(asked, model),
        keep_alive_seconds=asked.keep_alive_seconds,
        may_repeat=True,
    )


async def start_admitted(services: Services, asked: Asked) -> Generation:
    """As `open_generation`, for who has been admitted already."""
    return await services.router.start(
        asked.model,
        lambda model: to_request(asked, model),
        keep_alive_seconds=asked.keep_alive_seconds,
    )


async def complete(services: Services, asked: Asked, generation: Generation) -> GenerateAnswer:
    """The whole answer. Closes the outputs, so that being cancelled frees the engine."""
    presenter = Presenter(asked, generation)
    try:
        async for output in generation.outputs:
            presenter.event(output)
    finally:
        generation.outputs.close()
    services.receipts.put(presenter.receipt)
    return presenter.answer()


async def events(
    services: Services, asked: Asked, generation: Generation
) -> AsyncIterator[list[Event]]:
    """Events as they come, all that has arrived at once."""
    presenter = Presenter(asked, generation)
    while not generation.outputs.is_read:
        batch: list[Event] = []
        for output in await generation.outputs.read():
            batch.append(presenter.event(output))
            if isinstance(output, RequestFinished):
                services.receipts.put(presenter.receipt)
        yield batch
