"""`/usage` and `/limits`: what was used, what may be used, and what administrators set."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from penstock.accounts.audit import Entry, Event
from penstock.accounts.limits.limiter import key_subject, user_subject
from penstock.accounts.limits.limits import MAX_LIMIT, Left, Limits
from penstock.accounts.principal import Principal, Scope
from penstock.accounts.signing_in import Visitor
from penstock.api.accounts.visiting import FAILURES, AdministratorDep, SignedInDep, VisitorDep
from penstock.api.json_body import JsonRoute
from penstock.api.playground.answers import Answer
from penstock.api.playground.schemas import Strict
from penstock.api.principal import Needs, PrincipalDep
from penstock.api.services import Services, ServicesDep
from penstock.errors import InvalidParameter, NotAllowed, UnknownKey

router = APIRouter(route_class=JsonRoute, tags=["usage"], responses=FAILURES)
own = APIRouter(
    route_class=JsonRoute,
    tags=["usage"],
    responses=FAILURES,
    dependencies=[Depends(Needs(Scope.ACCOUNT))],
)
administration = APIRouter(
    route_class=JsonRoute,
    tags=["usage"],
    responses=FAILURES,
    dependencies=[Depends(Needs(Scope.USERS))],
)
MAX_DAYS = 366
DEFAULT_DAYS = 30
Grouping = Literal["day", "model", "key"]
COLUMNS = {"day": "day", "model": "model", "key": "key_id"}
Most = Annotated[int, Field(ge=0, le=MAX_LIMIT)] | None


class LimitsBody(Strict):
    """`POST /users/{user_id}/limits` and `POST /keys/{key_id}/limits`."""

    requests_per_minute: Most = Field(None, description="null: no limit. So are the others.")
    requests_per_day: Most = None
    tokens_per_minute: Most = Field(None, description="Tokens of prompts and of what is written.")
    tokens_per_day: Most = Field(None, description="A day begins at 00:00 UTC.")
    max_streams: Most = Field(None, description="Requests under way at once.")

    def changes(self) -> dict[str, int | None]:
        """What was sent; the rest is as for everybody."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class LimitsAnswer(Answer):
    """The limits of a user or a key; null: none."""

    requests_per_minute: int | None
    requests_per_day: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_streams: int | None


class LeftAnswer(Answer):
    """How one limit stands."""

    whose: str = Field(description="`account` or `key`.")
    limit: str = Field(description="Its name among the settings.")
    most: int
    used: int
    left: int
    resets_at: str | None = Field(description="When what was used is given back.")
    words: str = Field(description="The same as a sentence.")


class StandingAnswer(Answer):
    """How the limits stand that hold for this request."""

    limits: list[LeftAnswer]


class UsageEntry(Answer):
    """What was used, added up over what is null."""

    day: str | None = Field(description="In UTC.")
    model: str | None
    key: str | None = Field(description="The key's id; empty: without a key.")
    requests: int
    unfinished: int = Field(description="Of these, cancelled or failed.")
    prompt_tokens: int
    completion_tokens: int


class UsageAnswer(Answer):
    """What somebody used in these days."""

    user: str
    first_day: str
    last_day: str
    usage: list[UsageEntry]
    requests: int
    prompt_tokens: int
    completion_tokens: int


@router.get("/usage", summary="What was used", response_model=UsageAnswer)
async def show_usage(
    services: ServicesDep,
    principal: PrincipalDep,
    by: Annotated[
        list[Grouping], Query(description="What to tell apart; repeat for several.", max_length=3)
    ] = ["day"],  # noqa: B006  (FastAPI copies it)
    first_day: Annotated[date | None, Query(description="Thirty days ago if left out.")] = None,
    last_day: Annotated[date | None, Query(description="Today if left out.")] = None,
    user: Annotated[str | None, Query(max_length=64, description="For administrators.")] = None,
) -> UsageAnswer:
    """Requests and tokens you used, by day, model or key; an administrator sees anybody's."""
    owner = await _whose(services, principal, user)
    last = last_day or datetime.now(UTC).date()
    first = first_day or last - timedelta(days=DEFAULT_DAYS - 1)
    if not 0 <= (last - first).days < MAX_DAYS:
        raise InvalidParameter(
            f"first_day={first} to last_day={last} is no span of up to {MAX_DAYS} days.",
            "Name an earlier first day, or a later one.",
            param="first_day",
        )
    await services.records.ledger.flush()
    rows = await services.records.usage.rows(
        owner,
        [COLUMNS[name] for name in dict.fromkeys(by)],
        first_day=first.isoformat(),
        last_day=last.isoformat(),
    )
    entries = [
        UsageEntry(
            day=row.day if "day" in by else None,
            model=row.model if "model" in by else None,
            key=row.key_id if "key" in by else None,
            requests=row.num_requests,
            unfinished=row.num_unfinished,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
        )
        for row in rows
    ]
    return UsageAnswer(
        user=owner,
        first_day=first.isoformat(),
        last_day=last.isoformat(),
        usage=entries,
        requests=sum(entry.requests for entry in entries),
        prompt_tokens=sum(entry.prompt_tokens for entry in entries),
        completion_tokens=sum(entry.completion_tokens for entry in entries),
    )


@router.get("/limits", summary="My limits", response_model=StandingAnswer)
async def show_limits(services: ServicesDep, principal: PrincipalDep) -> StandingAnswer:
    """How your limits stand, and those of the key you ask with. Who has no account has none."""
    if not principal.is_signed_in:
        return StandingAnswer(limits=[])
    return _standing(await services.records.limiter.standing(principal))


@own.post("/keys/{key_id}/limits", summary="Limit a key", response_model=LimitsAnswer)
async def limit_key(
    key_id: Annotated[str, Path(max_length=64)],
    body: LimitsBody,
    services: ServicesDep,
    principal: SignedInDep,
    visitor: VisitorDep,
) -> LimitsAnswer:
    """Say how much a key of yours may take, beside what your account may. Replaces what was set."""
    keys = await services.accounts.administration.keys(principal.owner)
    if key_id not in {key.id for key in keys}:
        raise UnknownKey(f"There is no key {key_id!r} among yours.", "GET /keys lists them.")
    if principal.key_id == key_id:
        raise NotAllowed("A key cannot change its own limits.", "Sign in, or use another key.")
    await _set(services, key_subject(key_id), body, principal, visitor)
    return _limits(await services.records.limiter.limits(key_subject(key_id)))


@administration.get(
    "/users/{user_id}/limits", summary="A user's limits", response_model=LimitsAnswer
)
async def show_limits_of_user(
    user_id: Annotated[str, Path(max_length=64)], services: ServicesDep, _: AdministratorDep
) -> LimitsAnswer:
    """How much a user may take."""
    user = await services.accounts.administration.user(user_id)
    return _limits(await services.records.limiter.limits(user_subject(user.id)))


@administration.post("/users/{user_id}/limits", summary="Limit a user", response_model=LimitsAnswer)
async def limit_user(
    user_id: Annotated[str, Path(max_length=64)],
    body: LimitsBody,
    services: ServicesDep,
    principal: AdministratorDep,
    visitor: VisitorDep,
) -> LimitsAnswer:
    """Say how much a user may take. Replaces what was set; what is left out is as for everybody."""
    user = await services.accounts.administration.user(user_id)
    await _set(services, user_subject(user.id), body, principal, visitor)
    return _limits(await services.records.limiter.limits(user_subject(user.id)))


async def _set(
    services: Services, subject: str, body: LimitsBody, principal: Principal, visitor: Visitor
) -> None:
    stores = services.accounts.stores
    async with stores.storage.writing() as connection:
        await services.records.limiter.store.set(connection, subject, body.changes())
        entry = Entry(
            event=Event.LIMITS_SET, actor=principal.owner, source=visitor.source, detail=subject
        )
        await stores.audit.note(connection, entry)
    services.records.limiter.store.forget(subject)


async def _whose(services: Services, principal: Principal, user: str | None) -> str:
    """Raises `NotAllowed` where it is somebody else's, and `UnknownUser`."""
    if user is None or user == principal.owner:
        return principal.owner
    if not principal.may(Scope.USERS) or not principal.is_signed_in:
        raise NotAllowed("Only administrators see what others used.", "Leave out user.")
    return (await services.accounts.administration.user(user)).id


def _limits(limits: Limits) -> LimitsAnswer:
    return LimitsAnswer(**limits.to_plain())


def _standing(standing: Sequence[Left]) -> StandingAnswer:
    return StandingAnswer(
        limits=[
            LeftAnswer(
                whose=left.whose,
                limit=left.name,
                most=left.most,
                used=left.used,
                left=left.left,
                resets_at=_time(left),
                words=left.words,
            )
            for left in standing
        ]
    )


def _time(left: Left) -> str | None:
    if not left.window.seconds:
        return None
    return datetime.fromtimestamp(left.window.ends_at(left.now), UTC).isoformat()
