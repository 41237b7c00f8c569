"""`GET /v1/capabilities`: what each route does with each field, and what each model can.

Made of the request models themselves, so that it cannot say something else than they do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import APIRouter
from pydantic import BaseModel

from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES
from penstock.api.anthropic.schemas import AnthropicMessagesBody, CountBody
from penstock.api.ollama import fields as ollama_fields
from penstock.api.ollama import schemas as ollama
from penstock.api.openai.fields import (
    CHAT_RULES,
    COMPLETION_RULES,
    EMBEDDING_RULES,
    Refused,
    Rule,
)
from penstock.api.openai.response_fields import RESPONSE_RULES
from penstock.api.openai.response_schemas import ResponseBody
from penstock.api.openai.routing import OpenAIRoute
from penstock.api.openai.schemas import ChatBody, CompletionBody, EmbeddingBody
from penstock.api.services import ServicesDep
from penstock.serving.model_states import ModelStatus

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
        "/v1/responses": (ResponseBody, RESPONSE_RULES),
        "/v1/embeddings": (EmbeddingBody, EMBEDDING_RULES),
    },
    "anthropic": {
        "/v1/messages": (AnthropicMessagesBody, MESSAGE_RULES),
        "/v1/messages/count_tokens": (CountBody, COUNT_RULES),
    },
    "ollama": {
        "/api/generate": (ollama.OllamaGenerateBody, ollama_fields.GENERATE_RULES),
        "/api/chat": (ollama.OllamaChatBody, ollama_fields.CHAT_RULES),
        "/api/embed": (ollama.EmbedBody, ollama_fields.EMBED_RULES),
        "/api/embeddings": (ollama.EmbeddingsBody, ollama_fields.EMBED_RULES),
    },
}
# Fields that hold fields: told one by one, as `options.seed`.
INNER: Mapping[Any, Sequence[Rule]] = {ollama.Options | None: ollama_fields.OPTION_RULES}
EMBEDDING_ROUTES = ("/v1/embeddings", "/api/embed", "/api/embeddings")
ROUTES: Routes = {route: entry for routes in DIALECTS.values() for route, entry in routes.items()}


def treatments(route: str) -> Iterator[FieldTreatment]:
    """Every field of the route's request, by name."""
    yield from _treatments(*ROUTES[route], prefix="")


def _treatments(
    body: type[BaseModel], rules: Sequence[Rule], prefix: str
) -> Iterator[FieldTreatment]:
    by_name = {rule.name: rule for rule in rules}
    for plain_name, field in sorted(body.model_fields.items()):
        rule, name = by_name.get(plain_name), prefix + plain_name
        if field.annotation in INNER:
            inner = next(kind for kind in get_args(field.annotation) if kind is not type(None))
            yield from _treatments(inner, INNER[field.annotation], f"{name}.")
        elif rule is None:
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
    """A model that is not here answers nothing; any other answers every route.

    Which cannot embed is known once it is loaded.
    """
    can = status.card.local or status.model is not None
    support = dict.fromkeys(ROUTES, "supported" if can else "refused")
    if status.model is not None and status.model.hidden_size is None:
        support |= dict.fromkeys(EMBEDDING_ROUTES, "refused")
    return {
        "state": status.state.value,
        "routes": support,
        "reason": None if can else status.error or "Its files are not on this machine.",
    }
