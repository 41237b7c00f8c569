"""What there is: strategies with their parameters, models with their states, and health."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.model_objects import model_object
from penstock.api.services import ServicesDep
from penstock.decoding.parameters import Parameter
from penstock.decoding.strategies import DEFAULT_STRATEGY, STRATEGIES
from penstock.decoding.strategies.interface import Strategy
from penstock.serving.models import ModelState

STUCK_SECONDS = 60.0

router = APIRouter(tags=["discovery"])


@router.get("/strategies", summary="Every decoding strategy")
async def list_strategies() -> dict[str, Any]:
    """Every decoding strategy with all that is needed to build its controls."""
    return {
        "strategies": [_strategy(strategy) for strategy in STRATEGIES.values()],
        "default": DEFAULT_STRATEGY,
    }


@router.get("/models", summary="Every model")
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """Every model that can be named, with its state now."""
    statuses = services.lifecycle.statuses()
    return {
        "default": services.lifecycle.find(services.defaults.model).id,
        "models": [model_object(status) for status in statuses],
    }


@router.get("/models/{name:path}", summary="One model", responses={"4XX": {"model": ErrorAnswer}})
async def show_model(name: str, services: ServicesDep) -> dict[str, Any]:
    """The model that answers to an id, an alias or a hub id, with its state now."""
    return model_object(services.lifecycle.status(name))


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


def _strategy(strategy: type[Strategy]) -> dict[str, Any]:
    return {
        "id": strategy.id,
        "label": strategy.label,
        "type": strategy.type,
        "description": strategy.description,
        "color": strategy.color,
        "parameters": [_parameter(parameter) for parameter in strategy.parameters],
        "presets": [asdict(preset) for preset in strategy.presets],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    fields = asdict(parameter)
    kind = fields.pop("kind")
    return {**fields, "type": kind, "nullable": parameter.default is None}
