"""Refusals as Anthropic's clients know them, from routes and in the middle of streams."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal

from fastapi import Request
from starlette.responses import Response

from penstock.api.error_shapes import as_anthropic
from penstock.api.errors import error_body, error_response, status_of
from penstock.api.openai.routing import OpenAIRoute, failures
from penstock.api.playground.answers import Answer
from penstock.api.sse import Framing, encode_named


class AnthropicErrorDetail(Answer):
    """What is wrong. `param` is the field that it is about."""

    type: str
    message: str
    param: str | None


class AnthropicProblem(Answer):
    """What a refusal looks like."""

    type: Literal["error"]
    error: AnthropicErrorDetail
    request_id: str


FAILURES = failures(AnthropicProblem)


class AnthropicRoute(OpenAIRoute):
    """A route that refuses as Anthropic does and names the request in each answer."""

    IDLE_QUERIES = frozenset({"beta"})

    def refuse(self, request: Request, status: int, body: Mapping[str, Any]) -> Response:
        said = as_anthropic(status, body) | {"request_id": _request_id(request)}
        return error_response(status, said)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_named(request: Request) -> Response:
            response = await answer(request)
            response.headers["request-id"] = _request_id(request)
            return response

        return answer_named


def _error_event(error: Exception) -> dict[str, Any]:
    return as_anthropic(status_of(error), error_body(error))


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


FRAMING = Framing(
    encode=encode_named,
    present_error=_error_event,
    ping=encode_named({"type": "ping"}),
    end=b"",
)
