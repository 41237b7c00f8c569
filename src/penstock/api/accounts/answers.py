"""Users, keys and sessions as they go on the wire. Never a secret, but a new key once."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from penstock.accounts.keys import Key
from penstock.accounts.principal import Role, Scope
from penstock.accounts.users import User, UserState
from penstock.api.playground.answers import Answer


class UserAnswer(Answer):
    """An account."""

    id: str | None = Field(description="None while an administrator has not approved it.")
    username: str
    email: str | None
    full_name: str | None
    role: Role
    state: UserState
    must_change_password: bool
    created_at: str | None
    signed_in_at: str | None


class MeAnswer(UserAnswer):
    """The account that a request is from, and what this request may do."""

    scopes: list[Scope]


class UsersAnswer(Answer):
    """Every account."""

    users: list[UserAnswer]


class KeyAnswer(Answer):
    """A key without its secret."""

    id: str
    label: str
    hint: str = Field(description="How it begins.")
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    used_at: str | None


class NewKeyAnswer(KeyAnswer):
    """A key that was just made."""

    key: str = Field(description="The key itself. It is not shown again.")


class KeysAnswer(Answer):
    """The keys that are in use."""

    keys: list[KeyAnswer]


class SessionAnswer(Answer):
    """What the page must know before anybody has signed in."""

    access: Literal["off", "local", "required"]
    registration: Literal["open", "approval", "closed"]
    has_admin: bool = Field(description="False: who sits at the machine may make the first one.")
    user: MeAnswer | None


class EventAnswer(Answer):
    """One thing that was done about accounts."""

    at: str
    event: str
    actor: str
    subject: str | None
    source: str
    detail: str | None


class EventsAnswer(Answer):
    """What was done last, the newest first."""

    events: list[EventAnswer]


def user_answer(user: User) -> UserAnswer:
    """A user as it goes on the wire."""
    return UserAnswer(
        id=user.id,
        username=user.username,
        email=user.email,
        full_name=user.full_name,
        role=user.role,
        state=user.state,
        must_change_password=user.must_change_password,
        created_at=as_time(user.created_at),
        signed_in_at=_as_time_if_any(user.signed_in_at),
    )


def me_answer(user: User, scopes: frozenset[Scope]) -> MeAnswer:
    """A user and what the request may do."""
    return MeAnswer(**dict(user_answer(user)), scopes=sorted(scopes))


def key_answer(key: Key) -> KeyAnswer:
    """A key as it goes on the wire."""
    return KeyAnswer(
        id=key.id,
        label=key.label,
        hint=key.hint,
        scopes=sorted(key.scopes),
        created_at=as_time(key.created_at),
        expires_at=_as_time_if_any(key.expires_at),
        used_at=_as_time_if_any(key.used_at),
    )


def as_time(seconds: float) -> str:
    """Seconds since 1970 as people and programs read them."""
    time = datetime.fromtimestamp(seconds, UTC)
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _as_time_if_any(seconds: float | None) -> str | None:
    return None if seconds is None else as_time(seconds)
