"""Where a request about accounts comes from, and who sent it, as dependencies."""

from typing import Annotated

from fastapi import Depends, Request

from penstock.accounts.accounts import Accounts
from penstock.accounts.policy import Access
from penstock.accounts.principal import Principal
from penstock.accounts.signing_in import Visitor
from penstock.api.gate import DEVICE_COOKIE, cookies_of
from penstock.api.origin import is_foreign, is_forwarded
from penstock.api.playground.answers import ErrorAnswer
from penstock.api.principal import PrincipalDep
from penstock.api.services import ServicesDep
from penstock.errors import NotAllowed, NotSignedIn
from penstock.serving.callers import name_of_address

FAILURES: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer}
    for status in (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
}


async def _accounts(request: Request, services: ServicesDep) -> Accounts:
    """Raises `NotAllowed` where there are none, and for what a page of another origin sends."""
    if services.accounts.policy.access is Access.OFF:
        raise NotAllowed("This server has no accounts.", "Its PENSTOCK_AUTH is off.")
    if is_foreign(request.headers, services.cors_origins):
        raise NotAllowed("A page of another origin may not do that.", "Use this server's own page.")
    return services.accounts


async def _signed_in(principal: PrincipalDep) -> Principal:
    if not principal.is_signed_in:
        raise NotSignedIn("Nobody is signed in.", "Send Authorization: Bearer …")
    return principal


async def _administrator(
    request: Request, services: ServicesDep, principal: PrincipalDep
) -> Principal:
    """Whoever may administer accounts: until there is an administrator, who sits at the machine."""
    if principal.is_signed_in:
        return principal
    if is_forwarded(request.headers) or await services.accounts.registration.has_admin():
        raise NotSignedIn("Accounts are changed by administrators.", "Sign in as one.")
    return principal


async def _visitor(request: Request) -> Visitor:
    return Visitor(_source(request))


def _source(request: Request) -> str:
    return name_of_address(request.client.host if request.client else "")


def on_known_device(request: Request, services: ServicesDep, username: str) -> Visitor:
    """The visitor with the name of its device, if this user has signed in there before."""
    given = cookies_of(request.headers).get(DEVICE_COOKIE)
    return Visitor(_source(request), services.accounts.devices.known(given, username))


AccountsDep = Annotated[Accounts, Depends(_accounts)]
SignedInDep = Annotated[Principal, Depends(_signed_in)]
AdministratorDep = Annotated[Principal, Depends(_administrator)]
VisitorDep = Annotated[Visitor, Depends(_visitor)]
