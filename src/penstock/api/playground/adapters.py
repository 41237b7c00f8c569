"""`/adapters`: which there are, and on which models. Changing that is for who may change models."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from penstock.api.disconnect import unless_disconnected
from penstock.api.json_body import JsonRoute
from penstock.api.permission import check_permission
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name
from penstock.api.services import ServicesDep
from penstock.serving.adapters import AdapterStatus

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer} for status in (400, 403, 404, 422, 503)
}
router = APIRouter(route_class=JsonRoute, tags=["adapters"], responses=FAILURES)


class AdapterLoadBody(Strict):
    """`POST /adapters/{name}/load`. May be left out."""

    model: Name | None = Field(None, description="An id from `GET /models`; else the default.")


class AdapterUnloadBody(Strict):
    """`POST /adapters/{name}/unload`. May be left out."""

    model: Name | None = Field(None, description="An id from `GET /models`; else all of them.")


@router.get("/adapters", summary="Adapters")
async def list_adapters(services: ServicesDep) -> dict[str, Any]:
    """Every adapter in the data directory's `adapters` folder or named in the settings.

    `models` are those whose names fit the one it was trained on; null where none does, and then
    nobody can tell before it is tried.
    """
    return {"adapters": [_adapter_object(s) for s in await services.adapters.statuses()]}


@router.post(
    "/adapters/{name}/load", summary="Load an adapter", dependencies=[Depends(check_permission)]
)
async def load_adapter(
    name: str, request: Request, services: ServicesDep, body: AdapterLoadBody | None = None
) -> dict[str, Any]:
    """Have a model load an adapter, which its first request does otherwise."""
    model = None if body is None else body.model
    loading = services.adapters.load(name, model or services.defaults.model)
    return _adapter_object(await unless_disconnected(request, loading))


@router.post(
    "/adapters/{name}/unload", summary="Unload an adapter", dependencies=[Depends(check_permission)]
)
async def unload_adapter(
    name: str, services: ServicesDep, body: AdapterUnloadBody | None = None
) -> dict[str, Any]:
    """Give an adapter's memory back. Requests under way finish with it.

    The next request with it reads its files anew.
    """
    model = None if body is None else body.model
    return _adapter_object(await services.adapters.unload(name, model))


def _adapter_object(status: AdapterStatus) -> dict[str, Any]:
    card = status.card
    return {
        "name": card.name,
        "base_model": card.base_model,
        "rank": card.rank,
        "disk_bytes": card.disk_bytes,
        "error": card.error,
        "models": None if status.models is None else list(status.models),
        "loaded": [
            {"model": model, "digest": info.digest, "memory_bytes": info.num_bytes}
            for model, info in status.loaded.items()
        ],
    }
