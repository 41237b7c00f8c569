"""`/keys`: keys for programs. Made and revoked by their owner, shown once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from penstock.accounts.keys import NewKey
from penstock.accounts.principal import Scope
from penstock.api.accounts.answers import KeysAnswer, NewKeyAnswer, key_answer
from penstock.api.accounts.visiting import FAILURES, AccountsDep, SignedInDep, VisitorDep
from penstock.api.json_body import JsonRoute
from penstock.api.playground.schemas import Strict
from penstock.api.principal import Needs
from penstock.errors import InvalidParameter

ScopeName = Literal["generate", "files", "account", "models", "users", "metrics"]
DAY_SECONDS = 86_400

router = APIRouter(
    route_class=JsonRoute,
    tags=["accounts"],
    responses=FAILURES,
    dependencies=[Depends(Needs(Scope.ACCOUNT))],
)


class KeyBody(Strict):
    """`POST /keys`."""

    label: str = Field("", max_length=100, description="What it is for, in your words.")
    scopes: list[ScopeName] = Field(
        ["generate", "files"], min_length=1, max_length=10, description="What it may do."
    )
    days: int | None = Field(
        90, ge=1, le=3650, description="How long it is good; null: until it is revoked."
    )


@router.post("/keys", summary="Make a key", response_model=NewKeyAnswer, status_code=201)
async def create_key(
    body: KeyBody, accounts: AccountsDep, principal: SignedInDep, visitor: VisitorDep
) -> NewKeyAnswer:
    """Make a key. It is in this answer and nowhere else: keep it."""
    wanted = frozenset(map(Scope, body.scopes))
    lacking = sorted(wanted - principal.scopes)
    if lacking:
        raise InvalidParameter(
            f"scopes has {lacking[0].value!r}, which you do not have yourself.",
            f"Use some of {', '.join(sorted(principal.scopes))}.",
            param="scopes",
        )
    if not body.label.isprintable():
        raise InvalidParameter(
            "label holds control characters.", "Use letters and signs.", param="label"
        )
    new = NewKey(
        user_id=principal.owner,
        label=body.label,
        scopes=wanted,
        lifetime_seconds=None if body.days is None else body.days * DAY_SECONDS,
    )
    key, secret = await accounts.administration.create_key(
        new, actor=principal.owner, visitor=visitor
    )
    return NewKeyAnswer(**dict(key_answer(key)), key=secret)


@router.get("/keys", summary="My keys", response_model=KeysAnswer)
async def list_keys(accounts: AccountsDep, principal: SignedInDep) -> KeysAnswer:
    """Your keys that are in use, without the keys themselves, the newest first."""
    await accounts.authentication.note_uses()
    keys = await accounts.administration.keys(principal.owner)
    return KeysAnswer(keys=[key_answer(key) for key in keys])


@router.delete("/keys/{key_id}", summary="Revoke a key", status_code=204)
async def revoke_key(
    key_id: Annotated[str, Path(max_length=64)],
    accounts: AccountsDep,
    principal: SignedInDep,
    visitor: VisitorDep,
) -> None:
    """End a key, from the next request on."""
    await accounts.administration.revoke_key(
        key_id, user_id=principal.owner, actor=principal.owner, visitor=visitor
    )
