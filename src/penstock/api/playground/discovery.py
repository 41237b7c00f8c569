"""What there is: strategies with their parameters, models with their states."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from penstock.api.playground.answers import ErrorAnswer
from penstock.api.playground.model_objects import model_object
from penstock.api.services import ServicesDep
from penstock.decoding.parameters import Parameter
from penstock.decoding.strategies import DEFAULT_STRATEGY, STRATEGIES
from penstock.decoding.strategies.interface import Strategy

router = APIRouter(tags=["discovery"])


@router.get("/strategies", summary="Every decoding strategy")
async def list_strategies() -> dict[str, Any]:
    """Every decoding strategy with all that is needed to build its controls."""
    return strategy_catalog()


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


def strategy_catalog() -> dict[str, Any]:
    """The same on every server."""
    return {
        "strategies": [_strategy(strategy) for strategy in STRATEGIES.values()],
        "default": DEFAULT_STRATEGY,
    }


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
