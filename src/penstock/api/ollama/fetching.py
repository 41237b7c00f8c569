"""`/api/pull` and `/api/delete`: what brings models to this machine and away again.

Only for who may change models, as `POST /models/ID/pull` and `DELETE /models/ID` are.
"""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.ollama.fields import PULL_RULES
from penstock.api.ollama.routing import FAILURES, FRAMING, NDJSON, OllamaRoute
from penstock.api.ollama.schemas import NamedBody, PullBody
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.presenting import json_response
from penstock.api.permission import check_permission
from penstock.api.pulling import Pull, begin_pull
from penstock.api.services import ServicesDep
from penstock.api.sse import Event, EventStream, streamed
from penstock.errors import InvalidParameter

router = APIRouter(
    prefix="/api",
    route_class=OllamaRoute,
    tags=["ollama"],
    dependencies=[Depends(check_permission)],
    responses=FAILURES,
)


@router.post("/pull", summary="Fetch a model's files", responses=streamed(NDJSON))
async def pull_model(body: PullBody, request: Request, services: ServicesDep) -> Response:
    """Fetch a model from the hub; as lines that say how far it is unless `stream` is false.

    `total` and `completed` count the bytes of all its files together.
    """
    refuse_unsupported(body, PULL_RULES)
    pull = await begin_pull(services, _name(body), request)
    if body.stream is not False:
        return EventStream(_lines(pull), on_close=pull.close, framing=FRAMING)
    try:
        return json_response(await unless_disconnected(request, _end_of(pull)))
    finally:
        pull.close()


@router.delete("/delete", summary="Remove a model's files", response_class=Response)
async def delete_model(body: NamedBody, services: ServicesDep) -> Response:
    """Remove what was fetched of a model. One that is loaded is a 409."""
    await services.lifecycle.remove(_name(body))
    return Response()


def _name(body: NamedBody) -> str:
    name = body.model if body.model is not None else body.name
    if name is None:
        raise InvalidParameter("model is missing.", "Send it.", param="model")
    return name


async def _lines(pull: Pull) -> AsyncIterator[list[Event]]:
    yield [{"status": "pulling manifest"}]
    async for progress in pull.progress():
        line: dict[str, Any] = {"status": f"pulling {progress.file_name}"}
        yield [line | {"total": progress.total_bytes, "completed": progress.num_bytes}]
    yield [{"status": "success"}]


async def _end_of(pull: Pull) -> dict[str, str]:
    """The last line alone."""
    async for _ in pull.progress():
        pass
    return {"status": "success"}
