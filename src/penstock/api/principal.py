"""Who a request is from, as a dependency; the gate has found it out before any route is reached."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from penstock.accounts.principal import Principal, Scope
from penstock.errors import NotAllowed, NotSignedIn, PasswordChangeRequired


async def _principal(request: Request) -> Principal:
    """Raises `NotSignedIn` on a public route that needs to know."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is None:
        raise NotSignedIn("Nobody is signed in.", "Sign in first.")
    return principal


PrincipalDep = Annotated[Principal, Depends(_principal)]


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency of routes that only those with a scope may use."""

    scope: Scope

    async def __call__(self, principal: PrincipalDep) -> None:
        if principal.may(self.scope):
            return
        if principal.must_change_password:
            raise PasswordChangeRequired(
                "Your password was made by somebody else.",
                "Change it first: POST /users/me/password.",
            )
        if not principal.is_signed_in:
            raise NotSignedIn("This is about an account, and nobody is signed in.", "Sign in.")
        what = "This key" if principal.key_id else "Your account"
        raise NotAllowed(
            f"{what} does not have the scope {self.scope.value!r}.",
            "Use a key that has it." if principal.key_id else "Ask an administrator.",
        )
