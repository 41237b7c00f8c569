"""`POST /api/embed`, and `/api/embeddings` as it was before: texts as vectors."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.embedding import EmbeddingOptions, Prompt, embed
from penstock.api.ollama.fields import EMBED_RULES
from penstock.api.ollama.presenting import Clock
from penstock.api.ollama.routing import FAILURES, OllamaRoute
from penstock.api.ollama.schemas import EmbedBody, EmbeddingsBody
from penstock.api.openai.asking import in_words_of
from penstock.api.openai.embeddings import refuse_other_size
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.presenting import json_response, new_id
from penstock.api.services import Services, ServicesDep
from penstock.serving.model_texts import ModelTexts

router = APIRouter(prefix="/api", route_class=OllamaRoute, tags=["ollama"], responses=FAILURES)


@router.post("/embed", summary="Texts as vectors, as Ollama's clients ask")
async def embed_texts(body: EmbedBody, request: Request, services: ServicesDep) -> Response:
    """The mean of each text's final hidden states, of length 1.

    With `truncate` the answer's `truncated` has the places of the texts that were cut.
    """
    with in_words_of({"prompt": "input"}):
        refuse_unsupported(body, EMBED_RULES)
        return json_response(await unless_disconnected(request, _embed(services, body)))


@router.post("/embeddings", summary="One text as a vector")
async def embed_text(body: EmbeddingsBody, request: Request, services: ServicesDep) -> Response:
    """As `/api/embed` for one text, in its former shape."""
    refuse_unsupported(body, EMBED_RULES)
    working = embed(services, body.model, [body.prompt], _how(body))
    embedded = await unless_disconnected(request, working)
    return json_response({"embedding": embedded.vectors[0]})


async def _embed(services: Services, body: EmbedBody) -> dict[str, Any]:
    started = time.monotonic()
    model = await services.router.texts(body.model)
    clock = Clock(started, time.monotonic())
    refuse_other_size(body.dimensions, model.model)
    prompts: Sequence[Prompt] = body.input
    truncated: list[int] = []
    if body.truncate:
        prompts, truncated = await _cut(model, body.input)
    embedded = await embed(services, body.model, prompts, _how(body))
    answer = {
        "model": model.model.id,
        "embeddings": embedded.vectors,
        **clock.durations(),
        "prompt_eval_count": embedded.num_tokens,
    }
    return {**answer, "truncated": truncated} if body.truncate else answer


def _how(body: EmbedBody | EmbeddingsBody) -> EmbeddingOptions:
    adapter = None if body.options is None else body.options.adapter
    return EmbeddingOptions(new_id("embd"), adapter, body.keep_alive)


async def _cut(model: ModelTexts, texts: Sequence[str]) -> tuple[list[Prompt], list[int]]:
    """The token ids of each text, as many as fit, and which texts were longer."""
    most = model.model.context_length
    token_ids = [(await model.tokenize(text)).token_ids for text in texts]
    truncated = [number for number, ids in enumerate(token_ids) if len(ids) > most]
    return [ids[:most] for ids in token_ids], truncated
