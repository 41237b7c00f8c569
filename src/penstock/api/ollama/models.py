"""`/api/tags`, `/api/ps`, `/api/show`, `/api/version`: what there is, in Ollama's words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request

from penstock import __version__
from penstock.api.disconnect import unless_disconnected
from penstock.api.ollama.routing import FAILURES, OllamaRoute
from penstock.api.ollama.schemas import ShowBody
from penstock.api.openai.models import STARTED, is_usable
from penstock.api.services import Services, ServicesDep
from penstock.errors import InvalidParameter
from penstock.serving.model_states import ModelStatus

FOREVER_SECONDS = 100 * 365 * 86_400  # Ollama too has a far date for a model that stays
CAPABILITIES = ["completion", "embedding"]

router = APIRouter(prefix="/api", route_class=OllamaRoute, tags=["ollama"], responses=FAILURES)


@router.get("/version", summary="The server's version")
async def tell_version() -> dict[str, str]:
    """Penstock's version, not Ollama's."""
    return {"version": __version__}


@router.get("/tags", summary="The models whose files are here")
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """Every model that can answer."""
    statuses = services.lifecycle.statuses()
    return {"models": [_entry(status) for status in statuses if is_usable(status)]}


@router.get("/ps", summary="The models that are loaded")
async def list_loaded(services: ServicesDep) -> dict[str, Any]:
    """Every model in memory, and until when it stays if nobody asks it."""
    models = [
        {
            **_entry(status),
            "size_vram": 0,
            "context_length": status.model.context_length,
            "expires_at": _as_time(datetime.now(UTC) + _time_left(services, status.card.id)),
        }
        for status in services.lifecycle.statuses()
        if status.model is not None
    ]
    return {"models": models}


@router.post("/show", summary="One model")
async def show_model(body: ShowBody, request: Request, services: ServicesDep) -> dict[str, Any]:
    """What is known of a model. With `verbose` it is loaded and its chat template shown."""
    name = body.model if body.model is not None else body.name
    if name is None:
        raise InvalidParameter("model is missing.", "Send it.", param="model")
    status = services.lifecycle.status(name)
    answer: dict[str, Any] = {
        "details": _details(status),
        "model_info": _model_info(status),
        "capabilities": CAPABILITIES,
        "modified_at": _as_time(datetime.fromtimestamp(STARTED, UTC)),
    }
    if status.card.licence is not None:
        answer["license"] = status.card.licence
    if body.verbose:
        answer["template"] = await unless_disconnected(request, _template(services, name))
    return answer


def _time_left(services: Services, model_id: str) -> timedelta:
    return timedelta(seconds=min(services.lifecycle.seconds_left(model_id), FOREVER_SECONDS))


async def _template(services: Services, name: str) -> str:
    texts = await services.router.texts(name)
    return (await texts.describe_tokenizer()).chat_template


def _entry(status: ModelStatus) -> dict[str, Any]:
    card, loaded = status.card, status.model
    size = loaded.num_bytes if loaded else card.disk_bytes or card.memory_bytes
    return {
        "name": card.id,
        "model": card.id,
        "modified_at": _as_time(datetime.fromtimestamp(STARTED, UTC)),
        "size": size or 0,
        "digest": loaded.weights_digest if loaded else "",  # weights are read when they are loaded
        "details": _details(status),
    }


def _details(status: ModelStatus) -> dict[str, Any]:
    card, loaded = status.card, status.model
    num_parameters = loaded.num_parameters if loaded else card.num_parameters
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": card.family,
        "families": [card.family],
        "parameter_size": "" if num_parameters is None else _short(num_parameters),
        "quantization_level": loaded.dtype if loaded else "",
    }


def _model_info(status: ModelStatus) -> dict[str, Any]:
    card, loaded = status.card, status.model
    known = {
        "general.architecture": card.family,
        "general.basename": card.id,
        "general.parameter_count": loaded.num_parameters if loaded else card.num_parameters,
        f"{card.family}.context_length": loaded.context_length if loaded else card.context_length,
        f"{card.family}.embedding_length": loaded.hidden_size if loaded else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _short(count: int) -> str:
    """124.4M, 1.1B."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.1f}{letter}"
    return str(count)


def _as_time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
