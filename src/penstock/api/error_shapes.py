"""The shape that each dialect gives an error, by the address that was asked. Pure.

The OpenAI error object is the one that all are made of.
"""

from collections.abc import Mapping
from typing import Any

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
ANTHROPIC_PATH = "/v1/messages"
OLLAMA_PATH = "/api/"


def in_dialect_of(
    path: str, status: int, body: Mapping[str, Any], request_id: str
) -> Mapping[str, Any]:
    """An error object as the clients who ask this address know errors."""
    if path == ANTHROPIC_PATH or path.startswith(f"{ANTHROPIC_PATH}/"):
        return as_anthropic(status, body) | {"request_id": request_id}
    return as_ollama(body) if path.startswith(OLLAMA_PATH) else body


def as_anthropic(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """An error object in Anthropic's shape. `param` is ours: the field that it is about."""
    error = body["error"]
    kind = TYPE_OF_STATUS.get(status, "invalid_request_error" if status < 500 else "api_error")
    said = {"type": kind, "message": error["message"], "param": error["param"]}
    return {"type": "error", "error": said}


def as_ollama(body: Mapping[str, Any]) -> dict[str, Any]:
    """An error object in Ollama's shape."""
    return {"error": body["error"]["message"]}
