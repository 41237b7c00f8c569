"""`GET /v1/capabilities`: what each route does with each field, and what each model can.

Made of the request models themselves, so that it cannot say something else than they do.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from penstock.api.anthropic.fields import COUNT_RULES, MESSAGE_RULES
from penstock.api.anthropic.schemas import AnthropicMessagesBody, CountBody
from penstock.api.ollama import fields as ollama_fields
from penstock.api.ollama import schemas as ollama
from penstock.api.openai import batches, files, models, responses
from penstock.api.openai.fields import (
    CHAT_RULES,
    COMPLETION_RULES,
    EMBEDDING_RULES,
    QUERY_RULES,
    Rule,
)
from penstock.api.openai.formats import SCHEMA_RULES, SchemaFormat
from penstock.api.openai.response_fields import RESPONSE_RULES
from penstock.api.openai.response_forms import TEXT_RULES, TextConfig, TextFormat
from penstock.api.openai.response_schemas import ResponseBody
from penstock.api.openai.routing import OpenAIRoute, queries_of
from penstock.api.openai.schemas import ChatBody, CompletionBody, EmbeddingBody
from penstock.api.openai.uploading import FIELDS as UPLOAD_FIELDS
from penstock.api.services import ServicesDep
from penstock.api.treatments import FieldTreatment, RulesOf, of_rule, treatments_of
from penstock.serving.model_states import ModelStatus

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])

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
INNER_RULES: RulesOf = {
    ollama.Options: ollama_fields.OPTION_RULES,
    SchemaFormat: SCHEMA_RULES,
    TextFormat: SCHEMA_RULES,
    TextConfig: TEXT_RULES,
}
EMBEDDING_ROUTES = ("/v1/embeddings", "/api/embed", "/api/embeddings")
ROUTES: Routes = {route: entry for routes in DIALECTS.values() for route, entry in routes.items()}
# Routes that ask no model: batches and files, and what may stand after the `?` of an address.
LASTING = ("/v1/batches", "/v1/files")


def _addresses() -> Iterator[tuple[str, APIRoute]]:
    for module in (responses, models, files, batches):
        for route in module.router.routes:
            assert isinstance(route, APIRoute)
            told = queries_of(route.dependant)
            if told or route.path_format in QUERY_RULES:
                for method in (route.methods or set()) - {"POST", "DELETE"}:
                    yield f"{method} {route.path_format}", route


ADDRESSES: Mapping[str, APIRoute] = dict(_addresses())


def treatments(route: str) -> Iterator[FieldTreatment]:
    """Every field of the route's request, by name: of its body, of its form or of its address."""
    if route in ROUTES:
        yield from treatments_of(*ROUTES[route], INNER_RULES)
    elif route in ADDRESSES:
        yield from _queries(ADDRESSES[route])
    elif route == "/v1/files":
        for name, note in UPLOAD_FIELDS.items():
            yield FieldTreatment(name=name, treatment="honoured", note=note)
    else:
        yield from treatments_of(batches.BatchBody, (), {})


def _queries(route: APIRoute) -> Iterator[FieldTreatment]:
    for name, note in queries_of(route.dependant).items():
        yield FieldTreatment(name=name, treatment="honoured", note=note)
    for rule in QUERY_RULES.get(route.path_format, ()):
        yield of_rule(rule.name, rule)


@router.get("/capabilities", summary="What is honoured, and what refused")
async def tell_capabilities(services: ServicesDep) -> dict[str, Any]:
    """Per route, what is done with each field; per model, which routes it answers and how."""
    return {
        "object": "capabilities",
        "routes": {route: {"fields": _fields(route)} for route in (*ROUTES, *LASTING, *ADDRESSES)},
        "models": {s.card.id: _model(s) for s in services.lifecycle.statuses()},
    }


def _fields(route: str) -> dict[str, Any]:
    return {
        t.name: {"treatment": t.treatment, "accepted": list(t.accepted), "note": t.note}
        for t in treatments(route)
    }


def _model(status: ModelStatus) -> dict[str, Any]:
    """A model that is not here answers nothing; any other answers every route.

    Which cannot embed is known by its configuration, or once it is loaded.
    """
    can = status.card.local or status.model is not None
    support = dict.fromkeys(ROUTES, "supported" if can else "refused")
    loaded = status.model
    embeds = status.card.embeds if loaded is None else loaded.hidden_size is not None
    if embeds is False:
        support |= dict.fromkeys(EMBEDDING_ROUTES, "refused")
    return {
        "state": status.state.value,
        "routes": support,
        "reason": None if can else status.error or "Its files are not on this machine.",
    }
