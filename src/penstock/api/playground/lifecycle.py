"""What brings models to this machine, into memory, and away again. Only for who may change them."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.permission import check_permission
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.model_objects import model_object, progress_object
from penstock.api.playground.schemas import KEEP_ALIVE, Strict
from penstock.api.playground.wire_types import KeepAlive
from penstock.api.pulling import Pull, begin_pull
from penstock.api.services import Services, ServicesDep
from penstock.api.sse import Event, EventStream

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 403, 404, 409, 422, 503, 507)
}
EVENTS: dict[str, object] = {"text/event-stream": {}}
router = APIRouter(
    route_class=JsonRoute,
    tags=["models"],
    dependencies=[Depends(check_permission)],
    responses=FAILURES,
)


class LoadBody(Strict):
    """`POST /models/{id}/load`. May be left out."""

    keep_alive: KeepAlive | None = KEEP_ALIVE


class UnloadBody(Strict):
    """`POST /models/{id}/unload`. May be left out."""

    force: bool = Field(False, description="Also if requests are under way: they are told so.")


@router.post("/models/{name:path}/load", summary="Load a model")
async def load_model(
    name: str, request: Request, services: ServicesDep, body: LoadBody | None = None
) -> dict[str, Any]:
    """Bring a model into memory and answer once it can be used. Its files must be here.

    Answers at once if it is loaded. A client that leaves does not stop the loading.
    """
    keep_alive = None if body is None else body.keep_alive
    loading = services.lifecycle.running(name, keep_alive_seconds=keep_alive)
    await unless_disconnected(request, loading)
    return model_object(services.lifecycle.status(name))


@router.post("/models/{name:path}/unload", summary="Unload a model")
async def unload_model(
    name: str, services: ServicesDep, body: UnloadBody | None = None
) -> dict[str, Any]:
    """Give a model's memory back, or stop its loading; answers once its process is gone.

    The next request to it loads it again. While requests to it are under way, it is a 409.
    """
    if body is None or not body.force:
        services.lifecycle.refuse_busy(name)
    await services.lifecycle.unload(name)
    return model_object(services.lifecycle.status(name))


@router.post(
    "/models/{name:path}/pull",
    summary="Fetch a model's files",
    response_class=Response,
    responses={200: {"description": "Events: `progress`, `done`.", "content": EVENTS}},
)
async def pull_model(name: str, request: Request, services: ServicesDep) -> Response:
    """Fetch a model from the hub; how far it is comes as server-sent events.

    Disk, network and permission are looked at before the first event. When all who asked for it
    have left, the download stops; the next one goes on from there.
    """
    pull = await begin_pull(services, name, request)
    return EventStream(_events(services, name, pull), on_close=pull.close)


@router.delete("/models/{name:path}", summary="Remove a model's files")
async def remove_model(name: str, services: ServicesDep) -> Response:
    """Remove what was fetched of a model. The built-in one and your own folders stay.

    A model that is loaded or on its way is a 409.
    """
    num_bytes = await services.lifecycle.remove(name)
    status = services.lifecycle.status(name)
    return JSONResponse({"removed_bytes": num_bytes, "model": model_object(status)})


async def _events(services: Services, name: str, pull: Pull) -> AsyncIterator[list[Event]]:
    async for progress in pull.progress():
        yield [{"event": "progress", **progress_object(progress)}]
    yield [{"event": "done", "model": model_object(services.lifecycle.status(name))}]
