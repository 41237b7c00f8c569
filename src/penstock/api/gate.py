"""The one place that every request passes: it finds out who it is from, or refuses it.

It looks at no route, so none can be forgotten: what is not public by its exact path is denied.
"""

from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.accounts.accounts import Accounts
from penstock.accounts.credentials import KEY, PAGE_SESSION
from penstock.accounts.policy import Access
from penstock.accounts.principal import LOCAL, Principal
from penstock.api.error_shapes import in_dialect_of
from penstock.api.errors import error_body, error_response, headers_of, status_of
from penstock.api.origin import is_forwarded, is_own_page
from penstock.errors import NotAllowed, NotSignedIn, PenstockError

SESSION_COOKIE = "penstock_session"
DEVICE_COOKIE = "penstock_device"
SAFE_METHODS = frozenset({"GET", "HEAD"})
INSIDE_OWNER = "owner_inside"  # on whose behalf the server asks itself; no client can set it
MAX_COOKIE = 8192


class Gate:
    """Sets `state["principal"]`, on public routes too if the page says who it is."""

    def __init__(
        self, app: ASGIApp, accounts: Accounts, public: Collection[tuple[str, str]]
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a connection of kind {scope['type']!r}")
        state = scope.setdefault("state", {})
        try:
            if not self._is_public(scope):
                state["principal"] = await self._principal(scope)
        except PenstockError as error:
            await _refusal(scope, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return (method, scope["path"]) in self._public

    async def _principal(self, scope: Scope) -> Principal:
        """Who it is from. Raises `NotSignedIn`, or `NotAllowed` for what another page sends."""
        inside = scope["state"].get(INSIDE_OWNER)
        if inside is not None:
            return await self._accounts.authentication.of_owner(inside)
        access = self._accounts.policy.access
        if access is Access.OFF:
            return LOCAL
        headers = Headers(scope=scope)
        found = await self._by_credential(headers, scope["method"], access)
        if found is not None:
            return found
        if access is Access.LOCAL and not is_forwarded(headers):
            return LOCAL
        raise NotSignedIn(
            "This request carries no access token or key.",
            "Send Authorization: Bearer …, or sign in on the page.",
        )

    async def _by_credential(
        self, headers: Headers, method: str, access: Access
    ) -> Principal | None:
        bearer = bearer_of(headers)
        authentication = self._accounts.authentication
        if bearer is not None and (access is Access.REQUIRED or is_ours(bearer)):
            return await authentication.by_bearer(bearer)
        session = cookies_of(headers).get(SESSION_COOKIE)
        if session is None:
            return None
        try:
            found = await authentication.by_page(session)
        except NotSignedIn:
            if access is Access.LOCAL:
                return None
            raise
        if method not in SAFE_METHODS and not is_own_page(headers):
            raise NotAllowed(
                "A browser's session does that only from this server's own page.",
                "Programs use a key: Authorization: Bearer …",
            )
        return found


def _refusal(scope: Scope, error: PenstockError) -> Response:
    """The answer to a request that gets no further, as its dialect knows errors."""
    request_id = str(scope["state"].get("request_id", ""))
    status = status_of(error)
    response = error_response(
        status, in_dialect_of(scope["path"], status, error_body(error), request_id)
    )
    response.headers.update(headers_of(error))
    carries = {name for name, _ in scope["headers"]} & {b"authorization", b"x-api-key"}
    if isinstance(error, NotSignedIn) and carries:  # RFC 6750: told only to who sent one
        response.headers["WWW-Authenticate"] += ', error="invalid_token"'
    return response


def bearer_of(headers: Headers) -> str | None:
    """The token or key that was sent, in the one place or the other. Raises `NotSignedIn`."""
    sent = headers.getlist("authorization")
    keys = headers.getlist("x-api-key")
    if len(sent) > 1 or len(keys) > 1:
        raise NotSignedIn("The request carries several credentials.", "Send one.")
    if not sent:
        return keys[0].strip() if keys else None
    scheme, _, text = sent[0].partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("The credential is of another kind.", "Send Authorization: Bearer …")
    return text.strip()


def is_ours(bearer: str) -> bool:
    """It looks like a key or a token of ours. Clients that must send something send anything."""
    return bearer.startswith(f"{KEY}_") or bearer.count(".") == 2


def cookies_of(headers: Headers) -> dict[str, str]:
    """The cookies of ours that a browser sent."""
    text = "; ".join(headers.getlist("cookie"))
    if (PAGE_SESSION not in text and DEVICE_COOKIE not in text) or len(text) > MAX_COOKIE:
        return {}
    cookies: SimpleCookie = SimpleCookie()
    for part in text.split(";"):  # one that is malformed does not spoil the others
        try:
            cookies.load(part.strip())
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in cookies.items()}
