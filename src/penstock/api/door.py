"""Refuses what could not be begun with now: unread and unrouted, so that refusing costs little."""

from collections.abc import Mapping

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.api.error_shapes import in_dialect_of
from penstock.api.errors import error_body, error_response, status_of
from penstock.errors import ServerBusy
from penstock.serving.admission import Admission

GENERATING = (
    "/generate",
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
)


class Door:
    """Asks, before one of `routes` is taken, whether there is any place at all.

    `routes` are by path, those of `GENERATING`. How many places a request needs, and whether its
    tokens fit, is for the route to ask.
    """

    def __init__(self, app: ASGIApp, admission: Admission, routes: Mapping[str, APIRoute]) -> None:
        self._app = app
        self._admission = admission
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope.get("path", ""))
        if route is not None and scope["method"] == "POST":
            try:
                self._admission.check_open()
            except ServerBusy as error:
                scope["route"] = route  # as routing would have: it is counted as one of its own
                await _refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _refuse(error: ServerBusy, scope: Scope, receive: Receive, send: Send) -> None:
    status = status_of(error)
    request_id = str(scope["state"].get("request_id", ""))
    said = in_dialect_of(scope["path"], status, error_body(error), request_id)
    await error_response(status, said)(scope, receive, send)
