"""Routes under `/v1`: what they refuse is a 400 where the rest of the server says 422."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import Response

from penstock.api.errors import error_body, error_response, status_of
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.problems import explain
from penstock.errors import PenstockError

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer, "description": "What is wrong, and what to do."}
    for status in ("4XX", "5XX")
}


class OpenAIRoute(JsonRoute):
    """A route that refuses as OpenAI does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        ranges = _ranges(self.body_field.field_info.annotation if self.body_field else None)

        async def answer_openai(request: Request) -> Response:
            try:
                return await answer(request)
            except RequestValidationError as error:
                refused: PenstockError = explain(error.errors()[0], ranges)
            except PenstockError as error:
                if status_of(error) != 422:
                    raise
                refused = error
            return error_response(400, error_body(refused))

        return answer_openai


def _ranges(body: Any) -> Mapping[str, tuple[float, float]]:
    """The range of each field of a body that has one."""
    if not (isinstance(body, type) and issubclass(body, BaseModel)):
        return {}
    ranges = {}
    for name, field in body.model_fields.items():
        limits = {k: getattr(m, k) for m in field.metadata for k in ("ge", "le") if hasattr(m, k)}
        if limits.keys() == {"ge", "le"}:
            ranges[name] = (limits["ge"], limits["le"])
    return ranges
