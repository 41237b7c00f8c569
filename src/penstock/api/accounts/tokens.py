"""`POST /token` and `POST /logout`: OAuth2 with a password, or with the token that refreshes.

Errors of `/token` are those of RFC 6749, section 5.2.
"""

from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from penstock.accounts.accounts import Accounts
from penstock.accounts.signing_in import Tokens
from penstock.api.accounts.visiting import (
    FAILURES,
    AccountsDep,
    SignedInDep,
    VisitorDep,
    on_known_device,
)
from penstock.api.errors import headers_of, status_of
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import Answer
from penstock.api.services import ServicesDep
from penstock.errors import NotAllowed, PenstockError, WrongCredentials

GRANTS = ("password", "refresh_token")
FIELDS = {
    "grant_type": {"type": "string", "enum": list(GRANTS)},
    "username": {"type": "string"},
    "password": {"type": "string", "format": "password"},
    "refresh_token": {"type": "string"},
    "scope": {"type": "string", "description": "Not used: the account's role decides."},
    "client_id": {"type": "string", "description": "Not used."},
    "client_secret": {"type": "string", "description": "Not used."},
}
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": FIELDS, "required": ["grant_type"]}
            }
        },
    }
}


class TokenAnswer(Answer):
    """What RFC 6749 calls an access token response."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


class TokenProblem(Answer):
    """What RFC 6749 calls an error response."""

    error: str
    error_description: str


TOKEN_FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": TokenProblem} for status in (400, 429, 503)
}
TOKEN_FAILURES[413] = FAILURES[413]
public = APIRouter(route_class=JsonRoute, tags=["accounts"])
router = APIRouter(route_class=JsonRoute, tags=["accounts"], responses=FAILURES)


class _Unfit(Exception):
    """The form asks for nothing that can be given."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@public.post(
    "/token",
    summary="Access token",
    response_model=TokenAnswer,
    responses=TOKEN_FAILURES,
    openapi_extra=FORM,
)
async def give_token(request: Request, services: ServicesDep) -> Response:
    """An access token for a name and a password, or for the refresh token of an earlier one.

    A refresh token is good once. One that comes again ends the session.
    """
    try:
        form = await _form(request)
        tokens = await _tokens(request, services, form)
    except _Unfit as error:
        return _refusal(400, error.code, str(error))
    except (WrongCredentials, NotAllowed) as error:
        return _refusal(400, "invalid_grant", str(error))
    except PenstockError as error:
        refusal = _refusal(status_of(error), "temporarily_unavailable", str(error))
        refusal.headers.update({"Retry-After": "2", **headers_of(error)})
        return refusal
    return JSONResponse(_answer(tokens).model_dump(), headers={"Pragma": "no-cache"})


@router.post("/logout", summary="Sign out", status_code=204)
async def sign_out(accounts: AccountsDep, principal: SignedInDep, visitor: VisitorDep) -> None:
    """End the session of this token, with all its tokens. A key is not signed in: revoke it."""
    if principal.session_id is None:
        raise NotAllowed("A key has no session to end.", "Revoke it: DELETE /keys/ID.")
    await accounts.signing_in.sign_out(principal.owner, principal.session_id, visitor)


async def _form(request: Request) -> dict[str, str]:
    try:
        async with request.form(max_files=0, max_fields=20) as sent:
            fields = sent.multi_items()
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise _Unfit("invalid_request", f"The form cannot be read: {error.detail}") from error
    names = [name for name, _ in fields]
    if len(set(names)) < len(names):
        raise _Unfit("invalid_request", "A field is sent twice.")
    return {name: value for name, value in fields if isinstance(value, str)}


async def _tokens(request: Request, services: ServicesDep, form: dict[str, str]) -> Tokens:
    accounts = _accounts(services)
    grant = form.get("grant_type", "")
    if grant not in GRANTS:
        raise _Unfit(
            "unsupported_grant_type" if grant else "invalid_request",
            f"grant_type={grant[:40]!r} is not known. Use {' or '.join(GRANTS)}.",
        )
    if grant == "refresh_token":
        visitor = on_known_device(request, services, "")
        return await accounts.signing_in.refresh(_field(form, "refresh_token"), visitor)
    username = _field(form, "username")
    visitor = on_known_device(request, services, username)
    user = await accounts.signing_in.check(username, _field(form, "password"), visitor)
    return await accounts.signing_in.issue(user)


def _accounts(services: ServicesDep) -> Accounts:
    if services.accounts.policy.access == "off":
        raise _Unfit("unauthorized_client", "This server has no accounts: PENSTOCK_AUTH is off.")
    return services.accounts


def _field(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise _Unfit("invalid_request", f"{name} is missing.")
    return form[name]


def _answer(tokens: Tokens) -> TokenAnswer:
    return TokenAnswer(
        access_token=tokens.access_token,
        token_type="bearer",  # noqa: S106
        expires_in=tokens.expires_in,
        refresh_token=tokens.refresh_token,
    )


def _refusal(status: int, code: str, description: str) -> Response:
    # Of the characters that a description may have, RFC 6749 leaves out these two.
    plain = description.replace('"', "'").replace("\\", "/")
    body: dict[str, Any] = {"error": code, "error_description": plain}
    return JSONResponse(body, status, headers={"Pragma": "no-cache"})
