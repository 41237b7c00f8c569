"""`/health`, `/livez`, `/readyz`: whether the server is well. Public, and cheap."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from penstock.api.services import ServicesDep
from penstock.serving.models import ModelState

STUCK_SECONDS = 60.0

router = APIRouter(tags=["discovery"])


@router.get("/health", summary="Health")
async def tell_health(services: ServicesDep) -> dict[str, Any]:
    """Cheap, public and never waits for a model."""
    loaded = list(services.lifecycle.loaded)
    return {
        "status": "healthy",
        "models_loaded": len(loaded),
        "available_models": loaded,
        "texts_under_way": services.admission.num_in_flight,
        "tokens_waiting": services.admission.num_waiting_tokens,
    }


@router.get(
    "/livez", summary="Alive", responses={503: {"description": "An engine has stopped moving."}}
)
async def tell_alive(services: ServicesDep) -> Response:
    """The process answers, and no engine with work has stood still for a minute."""
    stuck = services.lifecycle.stuck(after_seconds=STUCK_SECONDS)
    if stuck:
        return JSONResponse({"status": "stuck", "models": list(stuck)}, 503)
    return JSONResponse({"status": "alive"})


@router.get(
    "/readyz",
    summary="Ready",
    responses={503: {"description": "Not now: loading, failed or draining."}},
)
async def tell_ready(services: ServicesDep) -> Response:
    """The models to load at start are loaded, and the server takes requests."""
    if services.admission.is_draining:
        return JSONResponse({"status": "draining"}, 503)
    states = {services.lifecycle.state(name) for name in services.lifecycle.preloaded}
    if states <= {ModelState.LOADED}:
        return JSONResponse({"status": "ready"})
    status = "failed" if ModelState.FAILED in states else "loading"
    return JSONResponse({"status": status}, 503)
