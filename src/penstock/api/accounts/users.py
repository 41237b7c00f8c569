"""`/register` and `/users`: making accounts, one's own, and what administrators do."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from penstock.accounts.principal import Role, Scope
from penstock.accounts.registration import Wanted
from penstock.accounts.users import User, UserState
from penstock.api.accounts.answers import (
    EventAnswer,
    EventsAnswer,
    MeAnswer,
    UserAnswer,
    UsersAnswer,
    as_time,
    me_answer,
    user_answer,
)
from penstock.api.accounts.visiting import (
    FAILURES,
    AccountsDep,
    AdministratorDep,
    SignedInDep,
    VisitorDep,
)
from penstock.api.json_body import JsonRoute
from penstock.api.playground.schemas import Strict
from penstock.api.principal import Needs
from penstock.api.removal import remove_account
from penstock.api.services import ServicesDep

public = APIRouter(route_class=JsonRoute, tags=["accounts"], responses=FAILURES)
own = APIRouter(route_class=JsonRoute, tags=["accounts"], responses=FAILURES)
administration = APIRouter(
    route_class=JsonRoute,
    tags=["accounts"],
    responses=FAILURES,
    dependencies=[Depends(Needs(Scope.USERS))],
)
RoleName = Literal["user", "admin"]
UserId = Annotated[str, Path(max_length=64)]


class RegisterBody(Strict):
    """`POST /register`."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=2000, repr=False)
    email: str | None = Field(None, max_length=254)
    full_name: str | None = Field(None, max_length=200)

    def wanted(self) -> Wanted:
        """The account that is asked for."""
        return Wanted(
            username=self.username,
            password=self.password,
            email=self.email,
            full_name=self.full_name,
        )


class CreateUserBody(RegisterBody):
    """`POST /users`."""

    role: RoleName = "user"


class ChangeUserBody(Strict):
    """`PATCH /users/{user_id}`."""

    role: RoleName | None = None
    state: Literal["active", "pending", "disabled"] | None = None


class PasswordBody(Strict):
    """`POST /users/me/password`."""

    current_password: str = Field(min_length=1, max_length=2000, repr=False)
    new_password: str = Field(min_length=1, max_length=2000, repr=False)


@public.post("/register", summary="Register", response_model=UserAnswer, status_code=201)
async def register(body: RegisterBody, accounts: AccountsDep, visitor: VisitorDep) -> UserAnswer:
    """Make yourself an account, where the server lets strangers do that."""
    made = await accounts.registration.register(body.wanted(), visitor)
    return user_answer(made) if isinstance(made, User) else _not_yet(body, made)


@own.get("/users/me", summary="Who I am", response_model=MeAnswer)
async def show_me(accounts: AccountsDep, principal: SignedInDep) -> MeAnswer:
    """The account that this request is from."""
    user = await accounts.administration.user(principal.owner)
    return me_answer(user, principal.scopes)


@own.post(
    "/users/me/password",
    summary="Change my password",
    status_code=204,
    dependencies=[Depends(Needs(Scope.ACCOUNT))],
)
async def change_password(
    body: PasswordBody, accounts: AccountsDep, principal: SignedInDep, visitor: VisitorDep
) -> None:
    """Change your password. Every other session ends, and so does every access token."""
    await accounts.administration.change_password(
        principal, body.current_password, body.new_password, visitor
    )


@administration.get("/users", summary="Every account", response_model=UsersAnswer)
async def list_users(accounts: AccountsDep, _: AdministratorDep) -> UsersAnswer:
    """Every account, the oldest first."""
    return UsersAnswer(users=[user_answer(u) for u in await accounts.administration.users()])


@administration.post(
    "/users", summary="Make an account", response_model=UserAnswer, status_code=201
)
async def create_user(
    body: CreateUserBody, accounts: AccountsDep, principal: AdministratorDep, visitor: VisitorDep
) -> UserAnswer:
    """Make somebody an account; the first one is an administrator's.

    What an administrator chose as a password must be changed at first sign-in, unless it is for
    the administrator who made it: the first.
    """
    user = await accounts.registration.create(
        body.wanted(),
        role=Role(body.role) if principal.is_signed_in else Role.ADMIN,
        actor=principal.owner,
        visitor=visitor,
        must_change_password=principal.is_signed_in,
    )
    return user_answer(user)


@administration.patch("/users/{user_id}", summary="Change an account", response_model=UserAnswer)
async def change_user(
    user_id: UserId,
    body: ChangeUserBody,
    accounts: AccountsDep,
    principal: AdministratorDep,
    visitor: VisitorDep,
) -> UserAnswer:
    """Give an account another role or state: approve it, disable it. It holds at once.

    What is not named stays. The last administrator stays one.
    """
    changed = await accounts.administration.change(
        user_id,
        role=None if body.role is None else Role(body.role),
        state=None if body.state is None else UserState(body.state),
        actor=principal.owner,
        visitor=visitor,
    )
    return user_answer(changed)


@administration.delete("/users/{user_id}", summary="Delete an account", status_code=204)
async def delete_user(
    user_id: UserId, services: ServicesDep, principal: AdministratorDep, visitor: VisitorDep
) -> None:
    """Delete an account for good, with its sessions, keys, history and files.

    Its jobs are cancelled. The sums of usage stay. The last administrator stays one.
    """
    await remove_account(
        user_id,
        services.accounts.administration,
        services.records,
        services.lasting,
        actor=principal.owner,
        visitor=visitor,
    )


@administration.get("/audit", summary="What was done", response_model=EventsAnswer)
async def list_events(
    accounts: AccountsDep,
    _: AdministratorDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventsAnswer:
    """What was done about accounts last: sign-ins, failures, keys, changes; the newest first."""
    entries = await accounts.administration.events(limit)
    return EventsAnswer(
        events=[
            EventAnswer(
                at=as_time(entry.created_at),
                event=entry.event,
                actor=entry.actor,
                subject=entry.subject,
                source=entry.source,
                detail=entry.detail,
            )
            for entry in entries
        ]
    )


def _not_yet(body: RegisterBody, state: UserState) -> UserAnswer:
    return UserAnswer(
        id=None,
        username=body.username,
        email=body.email,
        full_name=body.full_name,
        role=Role.USER,
        state=state,
        must_change_password=False,
        created_at=None,
        signed_in_at=None,
    )
