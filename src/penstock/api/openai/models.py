"""`GET /v1/models`: the models a request can name, in OpenAI's, Anthropic's and our own words."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter

from penstock.api.openai.presenting import now
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.services import ServicesDep
from penstock.serving.model_states import ModelStatus
from penstock.serving.models import ModelState

STARTED = now()  # stands for when a model was made, which its files do not say
OWNER = "penstock"

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.get("/models", summary="Every model that can answer", responses=FAILURES)
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """The models whose files are here. `GET /models` tells of the others too."""
    usable = [status for status in services.lifecycle.statuses() if is_usable(status)]
    data = [_model(status) for status in usable]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {"object": "list", "data": data, "has_more": False, **ends}


@router.get("/models/{name:path}", summary="One model", responses=FAILURES)
async def retrieve_model(name: str, services: ServicesDep) -> dict[str, Any]:
    """The model that answers to an id, an alias or a hub id."""
    card = services.lifecycle.find(name)
    by_id = {status.card.id: status for status in services.lifecycle.statuses()}
    return _model(by_id.get(card.id) or ModelStatus(card, ModelState.AVAILABLE, None, None))


def is_usable(status: ModelStatus) -> bool:
    """Its files are here, or it is loaded."""
    return status.model is not None or status.card.local


def _model(status: ModelStatus) -> dict[str, Any]:
    card, loaded = status.card, status.model
    return {
        "id": card.id,
        "object": "model",
        "type": "model",
        "display_name": card.label,
        "created": STARTED,
        "created_at": datetime.fromtimestamp(STARTED, UTC).isoformat().replace("+00:00", "Z"),
        "owned_by": card.hub_id.partition("/")[0] if card.hub_id else OWNER,
        "aliases": list(card.aliases),
        "status": {"value": status.state.value},
        "meta": {
            "n_ctx_train": loaded.context_length if loaded else card.context_length,
            "n_params": loaded.num_parameters if loaded else card.num_parameters,
            "size": loaded.num_bytes if loaded else card.memory_bytes,
        },
    }
