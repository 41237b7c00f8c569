"""What a job is asked with that is one request: where it would be sent, and its body."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from penstock.api.openai.response_schemas import ResponseBody
from penstock.api.openai.schemas import ChatBody, CompletionBody
from penstock.api.playground.schemas import GenerateBody, Strict
from penstock.api.problems import explain
from penstock.errors import InvalidParameter

T = TypeVar("T", bound=BaseModel)
ENDPOINTS: Mapping[str, type[BaseModel]] = {
    "/generate": GenerateBody,
    "/v1/completions": CompletionBody,
    "/v1/chat/completions": ChatBody,
    "/v1/responses": ResponseBody,
}


class GenerationPayload(Strict):
    """A request as it would be sent by itself, without `stream`."""

    endpoint: Literal["/generate", "/v1/completions", "/v1/chat/completions", "/v1/responses"] = (
        Field(description="Where the request would be sent.")
    )
    body: dict[str, Any] = Field(description="The request.")


def check_generation(payload: Mapping[str, Any]) -> None:
    """Refuse now what the endpoint would refuse at sight. Raises `InvalidParameter`."""
    asked = checked(GenerationPayload, payload, "payload")
    if asked.body.get("stream"):
        raise InvalidParameter(
            "payload.body.stream is set, and a job has no stream.",
            "Leave it out; GET /jobs/{id}/events tells how the job gets on.",
            param="payload.body.stream",
        )
    checked(ENDPOINTS[asked.endpoint], asked.body, "payload.body")


def checked(model: type[T], value: Mapping[str, Any], place: str) -> T:
    """The value as the model has it. Raises `InvalidParameter` that names the field in place."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        raise explain({**first, "loc": (place, *first["loc"])}) from error
