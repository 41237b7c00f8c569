"""Routes under `/v1`: what they refuse is a 400 where the rest of the server says 422."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from penstock.api.errors import error_body, error_response, problem, status_of
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import Answer, ErrorAnswer
from penstock.api.problems import explain
from penstock.errors import PenstockError

logger = logging.getLogger(__name__)


def failures(model: type[Answer]) -> dict[int | str, dict[str, object]]:
    """How a route describes its refusals, which look like `model`."""
    told: dict[str, object] = {"model": model, "description": "What is wrong, and what to do."}
    return dict.fromkeys(("4XX", "5XX"), told)


FAILURES = failures(ErrorAnswer)


class OpenAIRoute(JsonRoute):
    """A route that refuses as OpenAI does. Another dialect says `refuse` in its own way."""

    def refuse(self, request: Request, status: int, body: Mapping[str, Any]) -> Response:
        """The answer to a request that was refused; `body` is the error object."""
        return error_response(status, body)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        ranges = _ranges(self.body_field.field_info.annotation if self.body_field else None)

        async def answer_in_dialect(request: Request) -> Response:
            try:
                return await answer(request)
            except RequestValidationError as error:
                body = error_body(explain(error.errors()[0], ranges))
                return self.refuse(request, 400, body)
            except PenstockError as error:
                return self.refuse(request, _status(error), error_body(error))
            except HTTPException as error:
                body = problem(error.status_code, str(error.detail))
                response = self.refuse(request, error.status_code, body)
                response.headers.update(error.headers or {})
                return response

        return answer_in_dialect


def _status(error: PenstockError) -> int:
    status = status_of(error)
    if status == 500:
        logger.error("%s", error)
    return 400 if status == 422 else status


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
