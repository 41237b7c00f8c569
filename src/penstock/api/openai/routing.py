"""Routes under `/v1`: what they refuse is a 400 where the rest of the server says 422."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from penstock.api.errors import error_body, error_response, headers_of, param_of, problem, status_of
from penstock.api.json_body import JsonRoute
from penstock.api.openai.fields import refuse_queries
from penstock.api.playground.answers import Answer, ErrorAnswer
from penstock.api.problems import explain
from penstock.errors import PenstockError

logger = logging.getLogger(__name__)


def failures(model: type[Answer]) -> dict[int | str, dict[str, object]]:
    """How a route describes its refusals, which look like `model`."""
    told: dict[str, object] = {"model": model, "description": "What is wrong, and what to do."}
    return dict.fromkeys(("4XX", "5XX"), told)


FAILURES = failures(ErrorAnswer)


def queries_of(dependant: Dependant) -> dict[str, str]:
    """What a route takes after the `?` of its address, each with its description."""
    own = {p.alias: p.field_info.description or "" for p in dependant.query_params}
    for inner in dependant.dependencies:
        own |= queries_of(inner)
    return own


class OpenAIRoute(JsonRoute):
    """A route that refuses as OpenAI does. Another dialect says `refuse` in its own way."""

    IDLE_QUERIES: ClassVar[frozenset[str]] = (
        frozenset()
    )  # what a dialect's clients send for nothing

    def refuse(self, request: Request, status: int, body: Mapping[str, Any]) -> Response:
        """The answer to a request that was refused; `body` is the error object."""
        return error_response(status, body)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        queries = queries_of(self.dependant).keys() | self.IDLE_QUERIES
        ranges = _ranges(self.body_field.field_info.annotation if self.body_field else None)

        async def answer_in_dialect(request: Request) -> Response:
            try:
                refuse_queries(self.path_format, request.query_params, queries)
                return await answer(request)
            except RequestValidationError as error:
                body = error_body(explain(error.errors()[0], ranges))
                return self.refuse(request, 400, body)
            except PenstockError as error:
                response = self.refuse(request, _status(error), error_body(error))
                response.headers.update(headers_of(error))
                return response
            except HTTPException as error:
                status = 400 if error.status_code == 422 else error.status_code
                body = problem(status, str(error.detail), param_of(error))
                response = self.refuse(request, status, body)
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
