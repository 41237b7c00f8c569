"""The one way from an error to HTTP: the OpenAI error object, on every route and in streams."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from penstock import errors
from penstock.api.error_shapes import in_dialect_of
from penstock.api.problems import explain

logger = logging.getLogger(__name__)

STATUS: Mapping[type[errors.PenstockError], int] = {
    errors.InvalidParameter: 422,
    errors.PromptTooLong: 400,
    errors.ModelNotFound: 404,
    errors.ModelUnavailable: 404,
    errors.ModelGated: 403,
    errors.HubUnreachable: 503,
    errors.NotEnoughDisk: 507,
    errors.ModelBusy: 409,
    errors.NotAllowed: 403,
    errors.ResponseNotFound: 404,
    errors.ReceiptNotFound: 404,
    errors.UnknownFile: 404,
    errors.FileInUse: 409,
    errors.UnknownBatch: 404,
    errors.TooManyJobs: 429,
    errors.UnknownJob: 404,
    errors.IdempotencyKeyReused: 409,
    errors.ReplayDiffers: 409,
    errors.UnsupportedModel: 400,
    errors.AdapterNotFound: 404,
    errors.UnsupportedAdapter: 400,
    errors.NotSignedIn: 401,
    errors.WrongCredentials: 400,
    errors.TooManyAttempts: 429,
    errors.LimitReached: 429,
    errors.RequestOverLimit: 400,
    errors.UnknownGeneration: 404,
    errors.UnknownUser: 404,
    errors.UnknownKey: 404,
    errors.NameTaken: 409,
    errors.EvaluationError: 400,
    errors.RecipeError: 422,
    errors.EvaluationCancelled: 409,
    errors.UnknownEvaluation: 404,
    errors.UnknownRun: 404,
    errors.PromotionRefused: 409,
    errors.ServerBusy: 503,
    errors.RequestCancelled: 499,
}
TYPE_OF_STATUS = {
    401: "authentication_error",
    403: "permission_error",
    500: "server_error",
    503: "service_unavailable_error",
    507: "server_error",
}
CODE_OF_STATUS = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    421: "unknown_host",
}
HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="penstock"'},
    429: {"Retry-After": "60"},
    503: {"Retry-After": "2"},
}
MESSAGE_OF_STATUS = {
    404: "There is nothing at {method} {path}. See /docs for what there is.",
    405: "{path} does not answer to {method}. See /docs for what it answers to.",
}


def status_of(error: Exception) -> int:
    """The status for `error`: that of its own type or the nearest it inherits from."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def headers_of(error: errors.PenstockError) -> Mapping[str, str]:
    """Headers that go with this very error, beside those of its status."""
    if isinstance(error, errors.TooManyAttempts | errors.LimitReached):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


def error_body(error: Exception, *, request_id: str | None = None) -> dict[str, Any]:
    """The error object for `error`. Only a `PenstockError` is put in its own words."""
    if not isinstance(error, errors.PenstockError):
        place = f" under {request_id}" if request_id else ""
        message = f"Something went wrong inside the server. Its log has the details{place}."
        return _body(message, status=500, code="internal_error")
    body = _body(str(error), status=status_of(error), code=error.code, param=error.param)
    if isinstance(error, errors.LimitReached):
        body["error"]["type"] = error.unit  # as OpenAI tells it
    return body


def error_response(status: int, body: Mapping[str, Any]) -> Response:
    """An error object as an HTTP response."""
    return Response(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        status,
        headers=HEADERS.get(status),
        media_type="application/json",
    )


def problem(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """The error object for a status of HTTP's own."""
    own = CODE_OF_STATUS.get(status, f"http_{status}")
    code = own if param is None else "invalid_parameter"
    return _body(message, status=status, code=code, param=param)


def param_of(error: HTTPException) -> str | None:
    """The field that a refusal of HTTP's own is about, where it is about one."""
    param = getattr(error, "param", None)
    return param if isinstance(param, str) else None


def install_error_handlers(app: FastAPI) -> None:
    """Have every error answered with an error object."""

    @app.exception_handler(errors.PenstockError)
    async def answer_own(_: Request, error: errors.PenstockError) -> Response:
        if status_of(error) == 500:
            logger.error("%s", error)
        response = error_response(status_of(error), error_body(error))
        response.headers.update(headers_of(error))
        return response

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(_: Request, error: RequestValidationError) -> Response:
        return error_response(422, error_body(explain(error.errors()[0])))

    @app.exception_handler(HTTPException)
    async def answer_http(request: Request, error: HTTPException) -> Response:
        message = _http_message(request, error)
        body = problem(error.status_code, message, param_of(error))
        request_id = str(request.scope.get("state", {}).get("request_id", ""))
        said = in_dialect_of(request.url.path, error.status_code, body, request_id)
        response = error_response(error.status_code, said)
        response.headers.update(error.headers or {})
        return response


def _http_message(request: Request, error: HTTPException) -> str:
    template = MESSAGE_OF_STATUS.get(error.status_code)
    if template is None:
        return str(error.detail)
    return template.format(method=request.method, path=request.url.path)


def _body(message: str, *, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    kind = TYPE_OF_STATUS.get(status, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
