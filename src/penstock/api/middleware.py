"""What every request passes through, as plain ASGI: id, headers, host check, body limit, crash net.

None of it reads a body or knows a route.
"""

import logging
import re
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.accounts.limits.limiter import Limiter
from penstock.accounts.principal import LOCAL_OWNER, Principal
from penstock.api.error_shapes import in_dialect_of
from penstock.api.errors import error_body, error_response, problem, status_of
from penstock.api.limit_headers import limit_headers
from penstock.errors import NotEnoughMemory, ServerBusy
from penstock.serving.callers import CALLER, UNLIMITED, Caller, name_of_address

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": PAGE_POLICY,
    "Cache-Control": "no-store",
}

NO_MEMORY = NotEnoughMemory(
    "The server has no memory to spare.", "Send the request again in a moment, or a smaller one."
)
NO_THREAD = ServerBusy(
    "The server can start no more threads.", "Send the request again in a moment."
)
ENCRYPTED_FOR = "max-age=31536000"


class RequestIds:
    """Gives every request an id, its own if it is well-formed, and logs one line for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0
        started = time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            milliseconds = (time.monotonic() - started) * 1000
            line = (scope["method"], scope["path"], status, milliseconds)
            logger.info("%s %s %d %.0f ms", *line, extra={"request_id": request_id})


class SecurityHeaders:
    """Adds the headers that tell a browser to trust nothing else, where a route set none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", ENCRYPTED_FOR)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class KnownHosts:
    """Refuses requests for other host names: a page elsewhere must not reach a local server."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_known(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
            return
        message = "This server does not answer to that host name. See PENSTOCK_ALLOWED_HOSTS."
        await _refusal(scope, 421, problem(421, message))(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host).lower()
        return name in self._names


class Callers:
    """Notes whose request it is and how much of it has come, for all that is done for it.

    Answers to what was counted against limits say how those stand.
    """

    def __init__(self, app: ASGIApp, limiter: Limiter, *, keeps_history: bool) -> None:
        self._app = app
        self._limiter = limiter
        self._keeps_history = keeps_history

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = _caller(scope)
        caller.keeps_history &= self._keeps_history
        principal: Principal | None = scope["state"].get("principal")
        allowance = None if principal is None else self._limiter.allowance(principal)
        caller.allowance = allowance or UNLIMITED

        async def receive_counted() -> Message:
            message = await receive()
            caller.num_bytes += len(message.get("body", b""))
            return message

        async def send_with_cache(message: Message) -> None:
            if message["type"] == "http.response.start" and caller.was_cached is not None:
                told = "hit" if caller.was_cached else "miss"
                MutableHeaders(scope=message)["x-penstock-cache"] = told
            if message["type"] == "http.response.start" and allowance is not None:
                MutableHeaders(scope=message).update(limit_headers(allowance.standing))
            await send(message)

        token = CALLER.set(caller)
        try:
            await self._app(scope, receive_counted, send_with_cache)
        finally:
            CALLER.reset(token)


def _cache_wishes(headers: Headers) -> set[str]:
    """`Cache-Control`: `no-cache` asks for a fresh answer, `no-store` for one that is not kept.

    What is not kept is not kept in the history either.
    """
    return {part.strip().lower() for part in headers.get("cache-control", "").split(",")}


def _caller(scope: Scope) -> Caller:
    """Whoever signed in; of those who did not, who has the address."""
    principal: Principal | None = scope["state"].get("principal")
    wanted = _cache_wishes(Headers(scope=scope))
    host, _ = scope.get("client") or ("", 0)
    name, owner, key_id = name_of_address(host), LOCAL_OWNER, ""
    if principal is not None and principal.is_signed_in:
        name = owner = principal.owner
        key_id = principal.key_id or ""
    return Caller(
        name,
        owner=owner,
        reads_cache=not wanted & {"no-cache", "no-store", "max-age=0"},
        writes_cache="no-store" not in wanted,
        keeps_history="no-store" not in wanted,
        key_id=key_id,
    )


class BodyLimit:
    """Refuses bodies over `max_bytes`, unread where their length is announced.

    `larger` has the limits of paths where more may be posted.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = self._larger.get(scope["path"], self._max_bytes)
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > max_bytes:
            error = _too_large(max_bytes)
            response = _refusal(scope, 413, problem(413, error.detail))
            response.headers.update(error.headers or {})
            await response(scope, receive, send)
            return
        num_bytes = 0

        async def receive_counted() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self._app(scope, receive_counted, send)


def _refusal(scope: Scope, status: int, body: Mapping[str, Any]) -> Response:
    """A refusal in the shape that the clients of the address know."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    return error_response(status, in_dialect_of(scope["path"], status, body, request_id))


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(
        413,
        f"The body is over {max_bytes} bytes. Send less at once.",
        headers={"Connection": "close"},
    )


def _as_told(error: Exception) -> Exception:
    """What a client hears of a failure: that the machine has no more to give is nobody's fault."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    has_no_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    return NO_THREAD if has_no_thread else error


class CrashNet:
    """Answers with an error object when a handler fails in a way nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            request_id = scope.get("state", {}).get("request_id")
            logger.exception("The request failed.", extra={"request_id": request_id})
            if scope["type"] != "http" or started:
                raise
            told = _as_told(error)
            body = error_body(told, request_id=request_id)
            await _refusal(scope, status_of(told), body)(scope, receive, send)
