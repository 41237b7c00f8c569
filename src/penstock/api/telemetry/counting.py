"""Tells the metrics of every HTTP request, as plain ASGI."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.api.telemetry.metrics import Metrics

UNMATCHED = "unmatched"
ABANDONED = 499  # no answer was begun: the client had left
METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})


class CountsRequests:
    """Times each request under the path its route declares; what no route takes is one label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = ABANDONED
        started = time.monotonic()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            self._metrics.note_http(
                method=scope["method"] if scope["method"] in METHODS else "OTHER",
                route=route_of(scope),
                status=status,
                seconds=time.monotonic() - started,
            )


def route_of(scope: Scope) -> str:
    """The declared path of the route that took the request."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED
