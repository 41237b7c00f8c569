"""Whose things a request is about: those of who it is from."""

from typing import Annotated

from fastapi import Depends

from penstock.accounts.principal import LOCAL_OWNER
from penstock.api.principal import PrincipalDep
from penstock.serving.callers import caller


async def _owner(principal: PrincipalDep) -> str:
    return principal.owner


OwnerDep = Annotated[str, Depends(_owner)]


def name_for_owner(name: str) -> str:
    """A name among those of the caller's owner, where things of all owners lie together."""
    return f"{caller().owner or LOCAL_OWNER} {name}"
