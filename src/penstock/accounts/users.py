"""The rows of users. Every change happens in the caller's transaction; no rule is known here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.accounts.credentials import new_id
from penstock.accounts.principal import Role
from penstock.errors import InvalidParameter, NameTaken, UnknownUser
from penstock.storage.database import Storage
from penstock.storage.tables import users

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class UserState(StrEnum):
    """Whether an account can be used."""

    ACTIVE = "active"
    PENDING = "pending"  # registered, and not approved yet
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account as its row tells."""

    id: str
    username: str
    email: str | None
    full_name: str | None
    role: Role
    state: UserState
    must_change_password: bool
    created_at: float
    signed_in_at: float | None
    token_version: int
    password_hash: str

    def __repr__(self) -> str:
        return f"User({self.id}, {self.username})"  # never its hash


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What an account is to be."""

    username: str
    password_hash: str
    email: str | None = None
    full_name: str | None = None
    role: Role = Role.USER
    state: UserState = UserState.ACTIVE
    must_change_password: bool = False


class UserStore:
    """The users in one database. A name is one whatever the case of its letters."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def insert(self, connection: AsyncConnection, new: NewUser) -> User:
        """Add a user. Raises `NameTaken`."""
        row = {
            "id": f"user_{new_id()}",
            "username": new.username,
            "name_key": new.username.lower(),
            "email": new.email,
            "full_name": new.full_name,
            "password_hash": new.password_hash,
            "role": new.role,
            "state": new.state,
            "must_change_password": new.must_change_password,
            "token_version": 1,
            "created_at": await self._storage.now(connection),
        }
        try:
            async with connection.begin_nested():
                added = await connection.execute(insert(users).values(row).returning(users))
        except IntegrityError as error:
            raise NameTaken(
                f"There is a user {new.username!r} already.", "Choose another.", param="username"
            ) from error
        return _user(added.mappings().one())

    async def with_name(self, connection: AsyncConnection, username: str) -> User | None:
        """The user of that name, if there is one."""
        if USERNAME.fullmatch(username) is None:
            return None
        query = select(users).where(users.c.name_key == username.lower())
        row = (await connection.execute(query)).mappings().first()
        return None if row is None else _user(row)

    async def get(self, connection: AsyncConnection, user_id: str) -> User:
        """The user with that id. Raises `UnknownUser`."""
        query = select(users).where(users.c.id == user_id)
        row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise UnknownUser(f"There is no user {user_id[:80]!r}.", "GET /users lists them.")
        return _user(row)

    async def all(self, connection: AsyncConnection) -> Sequence[User]:
        """Every user, the oldest first."""
        query = select(users).order_by(users.c.created_at, users.c.id)
        return [_user(row) for row in (await connection.execute(query)).mappings()]

    async def has_admin(self, connection: AsyncConnection) -> bool:
        """Whether somebody can administer accounts by signing in."""
        return await self.num_admins(connection) > 0

    async def num_admins(self, connection: AsyncConnection) -> int:
        """How many there are whose account can be used."""
        query = select(func.count()).where(
            users.c.role == Role.ADMIN, users.c.state == UserState.ACTIVE
        )
        return int((await connection.execute(query)).scalar_one())

    async def lock_admins(self, connection: AsyncConnection) -> None:
        """Until the transaction ends nobody else changes who administers."""
        query = select(users.c.id).where(users.c.role == Role.ADMIN).order_by(users.c.id)
        await connection.execute(query.with_for_update())

    async def remove(self, connection: AsyncConnection, user_id: str) -> None:
        """Delete a user's row. The name can be taken again, by somebody with another id."""
        await connection.execute(delete(users).where(users.c.id == user_id))

    async def change(self, connection: AsyncConnection, user: User, **values: Any) -> User:
        """Change columns of a user's row."""
        changing = update(users).where(users.c.id == user.id).values(values).returning(users)
        row = (await connection.execute(changing)).mappings().first()
        if row is None:
            raise UnknownUser(f"There is no user {user.id!r} any more.", "GET /users lists them.")
        return _user(row)


def check_username(username: str) -> None:
    """Raises `InvalidParameter` for what cannot be a name."""
    if USERNAME.fullmatch(username) is None:
        raise InvalidParameter(
            f"username={username[:80]!r} cannot be used.",
            "Use up to 64 of A-Z, a-z, 0-9 and . _ @ + -, beginning with a letter or a digit.",
            param="username",
        )


def user_of(row: RowMapping, prefix: str = "") -> User:
    """A user from a row of a join, whose columns of the user begin with `prefix`."""
    return _user({name: row[f"{prefix}{name}"] for name in User.__dataclass_fields__})


def _user(row: Any) -> User:
    fields = {name: row[name] for name in User.__dataclass_fields__}
    return User(**{**fields, "role": Role(row["role"]), "state": UserState(row["state"])})
