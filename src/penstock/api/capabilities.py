"""`GET /v1/capabilities`: what each route does with each field, and what each model can.

Made of the request models themselves, so that it cannot say something else than they do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from penstock.api.openai.fields import (
    CHAT_RULES,
    COMPLETION_RULES,
    EMBEDDING_RULES,
    Refused,
    Rule,
)
from penstock.api.openai.routing import OpenAIRoute
from penstock.api.openai.schemas import ChatBody, CompletionBody, EmbeddingBody
from penstock.api.services import ServicesDep
from penstock.serving.lifecycle import ModelStatus

Treatment = Literal["honoured", "harmless", "refused"]

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTreatment:
    """What is done with one request field. `accepted` are the values at which it is not refused."""

    name: str
    treatment: Treatment
    accepted: tuple[Any, ...] = ()
    note: str


Routes = Mapping[str, tuple[type[BaseModel], Sequence[Rule]]]
DIALECTS: Mapping[str, Routes] = {
    "openai": {
        "/v1/completions": (CompletionBody, COMPLETION_RULES),
        "/v1/chat/completions": (ChatBody, CHAT_RULES),
        "/v1/embeddings": (EmbeddingBody, EMBEDDING_RULES),
    },
}
ROUTES: Routes = {route: entry for routes in DIALECTS.values() for route, entry in routes.items()}


def treatments(route: str) -> Iterator[FieldTreatment]:
    """Every field of the route's request, by name."""
    body, rules = ROUTES[route]
    by_name = {rule.name: rule for rule in rules}
    for name, field in sorted(body.model_fields.items()):
        rule = by_name.get(name)
        if rule is None:
            yield FieldTreatment(name=name, treatment="honoured", note=field.description or "")
        elif isinstance(rule, Refused):
            yield FieldTreatment(
                name=name, treatment="refused", accepted=rule.neutral, note=rule.why
            )
        else:
            yield FieldTreatment(name=name, treatment="harmless", note=rule.why)


@router.get("/capabilities", summary="What is honoured, and what refused")
async def tell_capabilities(services: ServicesDep) -> dict[str, Any]:
    """Per route, what is done with each field; per model, which routes it answers and how."""
    return {
        "object": "capabilities",
        "routes": {route: {"fields": _fields(route)} for route in ROUTES},
        "models": {s.card.id: _model(s) for s in services.lifecycle.statuses()},
    }


def _fields(route: str) -> dict[str, Any]:
    return {
        t.name: {"treatment": t.treatment, "accepted": list(t.accepted), "note": t.note}
        for t in treatments(route)
    }


def _model(status: ModelStatus) -> dict[str, Any]:
    """A model that cannot be loaded answers nothing; any other answers every route."""
    can = status.card.limitation is None and (status.card.local or status.model is not None)
    support = "supported" if can else "refused"
    return {
        "state": status.state.value,
        "routes": dict.fromkeys(ROUTES, support),
        "reason": None if can else status.error or "Its files are not on this machine.",
    }
