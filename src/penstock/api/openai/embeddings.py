"""`POST /v1/embeddings`: texts as vectors, from any decoder that tells its hidden states."""

import base64
import struct
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from penstock.api.disconnect import unless_disconnected
from penstock.api.embedding import Embedded, EmbeddingOptions, Vector, embed
from penstock.api.openai.asking import in_words_of
from penstock.api.openai.fields import EMBEDDING_RULES, refuse_unsupported
from penstock.api.openai.presenting import json_response, new_id
from penstock.api.openai.routing import FAILURES, OpenAIRoute
from penstock.api.openai.schemas import EmbeddingBody
from penstock.api.services import Services, ServicesDep
from penstock.errors import InvalidParameter
from penstock.serving.models import ServedModel

NAMES = {"prompt": "input"}

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"])


@router.post("/embeddings", summary="Texts as vectors", responses=FAILURES)
async def create_embeddings(
    body: EmbeddingBody, request: Request, services: ServicesDep
) -> Response:
    """The mean of each text's final hidden states, of length 1."""
    with in_words_of(NAMES):
        refuse_unsupported(body, EMBEDDING_RULES)
        return await unless_disconnected(request, _answer(services, body))


def refuse_other_size(dimensions: int | None, model: ServedModel) -> None:
    """Vectors are as long as the model's hidden states: no model here was taught shorter ones."""
    if dimensions is not None and model.hidden_size not in (None, dimensions):
        raise InvalidParameter(
            f"dimensions={dimensions} is not supported: the vectors of {model.id} have "
            f"{model.hidden_size}, and cut short they would mean something else.",
            f"Leave it out, or send {model.hidden_size}.",
            param="dimensions",
        )


async def _answer(services: Services, body: EmbeddingBody) -> Response:
    model = (await services.router.texts(body.model)).model
    refuse_other_size(body.dimensions, model)
    options = EmbeddingOptions(new_id("embd"), body.adapter, body.keep_alive)
    embedded = await embed(services, body.model, body.input, options)
    return json_response(_presented(embedded, model, in_base64=body.encoding_format == "base64"))


def _presented(embedded: Embedded, model: ServedModel, *, in_base64: bool) -> dict[str, Any]:
    present = _in_base64 if in_base64 else list
    data = [
        {"object": "embedding", "index": index, "embedding": present(vector)}
        for index, vector in enumerate(embedded.vectors)
    ]
    usage = {"prompt_tokens": embedded.num_tokens, "total_tokens": embedded.num_tokens}
    return {"object": "list", "data": data, "model": model.id, "usage": usage}


def _in_base64(vector: Vector) -> str:
    """The values as little-endian fp32, as OpenAI's client reads them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
