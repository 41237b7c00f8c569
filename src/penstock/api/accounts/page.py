"""`/session`: signing in and out of the page. The session is a cookie that no script can read."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from penstock.accounts.policy import Access
from penstock.accounts.principal import Principal
from penstock.api.accounts.answers import MeAnswer, SessionAnswer, me_answer
from penstock.api.accounts.visiting import (
    FAILURES,
    AccountsDep,
    SignedInDep,
    VisitorDep,
    on_known_device,
)
from penstock.api.gate import DEVICE_COOKIE, SESSION_COOKIE, cookies_of
from penstock.api.json_body import JsonRoute
from penstock.api.origin import is_own_page
from penstock.api.playground.schemas import Strict
from penstock.api.services import Services, ServicesDep
from penstock.errors import NotAllowed, NotSignedIn

DEVICE_SECONDS = 365 * 86_400

public = APIRouter(route_class=JsonRoute, tags=["accounts"], responses=FAILURES)
router = APIRouter(route_class=JsonRoute, tags=["accounts"], responses=FAILURES)


class SignInBody(Strict):
    """`POST /session`."""

    username: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=2000, repr=False)


@public.get("/session", summary="Who is signed in", response_model=SessionAnswer)
async def show_session(request: Request, services: ServicesDep) -> SessionAnswer:
    """Who is signed in on this page, and what can be done by who is not."""
    accounts = services.accounts
    access = accounts.policy.access
    found = None if access is Access.OFF else await _signed_in(request, services)
    return SessionAnswer(
        access=access.value,
        registration=accounts.policy.registration.value,
        has_admin=access is Access.OFF or await accounts.registration.has_admin(),
        user=None if found is None else await _me(services, found),
    )


@public.post("/session", summary="Sign in on the page", response_model=MeAnswer)
async def sign_in(
    body: SignInBody, request: Request, services: ServicesDep, accounts: AccountsDep
) -> Response:
    """Sign in. The answer sets a cookie; programs use `POST /token`, or a key."""
    if not is_own_page(request.headers):
        raise NotAllowed(
            "Only this server's own page signs in here.", "Programs use POST /token, or a key."
        )
    visitor = on_known_device(request, services, body.username)
    user = await accounts.signing_in.check(body.username, body.password, visitor)
    secret = await accounts.signing_in.open_page(user)
    principal = await accounts.authentication.by_page(secret)
    answer = me_answer(user, principal.scopes)
    response = Response(answer.model_dump_json(), media_type="application/json")
    seconds = int(accounts.policy.page_session_seconds)
    _set_cookie(request, response, SESSION_COOKIE, secret, seconds)
    if visitor.device is None:
        name = accounts.devices.name_for(user.username)
        _set_cookie(request, response, DEVICE_COOKIE, name, DEVICE_SECONDS)
    return response


@router.delete("/session", summary="Sign out of the page", status_code=204)
async def sign_out(
    request: Request, accounts: AccountsDep, principal: SignedInDep, visitor: VisitorDep
) -> Response:
    """End the session of the page."""
    if principal.session_id is not None:
        await accounts.signing_in.sign_out(principal.owner, principal.session_id, visitor)
    response = Response(status_code=204)
    _set_cookie(request, response, SESSION_COOKIE, "", 0)
    return response


async def _signed_in(request: Request, services: Services) -> Principal | None:
    secret = cookies_of(request.headers).get(SESSION_COOKIE)
    if secret is None:
        return None
    try:
        return await services.accounts.authentication.by_page(secret)
    except NotSignedIn:
        return None


async def _me(services: Services, principal: Principal) -> MeAnswer:
    user = await services.accounts.administration.user(principal.owner)
    return me_answer(user, principal.scopes)


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Behind a proxy that speaks TLS, the page's own origin says that it does."""
    is_secure = "https" in (request.url.scheme, request.headers.get("origin", "").split(":")[0])
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=is_secure, httponly=True, samesite="strict"
    )
