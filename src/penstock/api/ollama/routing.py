"""Refusals as Ollama's clients know them: `{"error": "…"}`, from routes and in streams."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import Response

from penstock.api.error_shapes import as_ollama
from penstock.api.errors import error_body, error_response
from penstock.api.openai.routing import OpenAIRoute, failures
from penstock.api.playground.answers import Answer
from penstock.api.sse import Framing, encode_line


class OllamaProblem(Answer):
    """What a refusal looks like."""

    error: str


FAILURES = failures(OllamaProblem)
NDJSON = "application/x-ndjson"


class OllamaRoute(OpenAIRoute):
    """A route that refuses as Ollama does."""

    def refuse(self, request: Request, status: int, body: Mapping[str, Any]) -> Response:
        return error_response(status, as_ollama(body))


def _error_event(error: Exception) -> dict[str, Any]:
    return as_ollama(error_body(error))


# No pings: a client would take an empty line for a broken answer.
FRAMING = Framing(
    media_type=NDJSON,
    encode=encode_line,
    present_error=_error_event,
    ping=None,
    end=b"",
)
