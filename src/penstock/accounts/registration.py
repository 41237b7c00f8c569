"""How accounts come to be: by strangers where they may, by administrators, by the operator."""

import contextlib
import secrets
from dataclasses import dataclass, replace

from penstock.accounts.attempts import BY_SOURCE
from penstock.accounts.audit import Entry, Event
from penstock.accounts.password_rules import check_password
from penstock.accounts.passwords import Passwords
from penstock.accounts.policy import Policy, RegistrationMode
from penstock.accounts.principal import Role
from penstock.accounts.signing_in import Visitor
from penstock.accounts.stores import Stores
from penstock.accounts.users import NewUser, User, UserState, check_username
from penstock.errors import InvalidParameter, NameTaken, NotAllowed

OPERATOR = "operator"  # who has the database needs no account


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An account that somebody asks for."""

    username: str
    password: str
    email: str | None = None
    full_name: str | None = None

    def __repr__(self) -> str:
        return f"Wanted({self.username})"  # never the password


class Registration:
    """Makes accounts."""

    def __init__(self, stores: Stores, passwords: Passwords, policy: Policy) -> None:
        self._stores = stores
        self._passwords = passwords
        self._policy = policy

    async def register(self, wanted: Wanted, visitor: Visitor) -> UserState | User:
        """Make a stranger an account. Raises `NotAllowed`, `NameTaken`, `TooManyAttempts`.

        Where an administrator must approve, nobody learns here which names are taken: the answer
        is the state alone.
        """
        mode = self._policy.registration
        if mode is RegistrationMode.CLOSED:
            raise NotAllowed(
                "This server does not let strangers register.",
                "Ask an administrator for an account.",
            )
        async with self._stores.storage.writing() as connection:
            await self._stores.attempts.count(connection, "register", visitor.source, BY_SOURCE)
        if mode is RegistrationMode.OPEN:
            return await self._add(wanted, Event.REGISTERED, "nobody", visitor)
        pending = UserState.PENDING
        with contextlib.suppress(NameTaken):  # the administrator sees that there is one already
            await self._add(wanted, Event.REGISTERED, "nobody", visitor, state=pending)
        return pending

    async def create(
        self,
        wanted: Wanted,
        *,
        role: Role,
        actor: str,
        visitor: Visitor,
        must_change_password: bool = False,
    ) -> User:
        """Make an account for somebody. Raises `NameTaken`."""
        return await self._add(
            wanted,
            Event.USER_CREATED,
            actor,
            visitor,
            role=role,
            must_change_password=must_change_password,
        )

    async def create_with_password_told_once(self, username: str, visitor: Visitor) -> str:
        """The first administrator, who must change the password that is returned."""
        password = secrets.token_urlsafe(15)
        await self.create(
            Wanted(username=username, password=password),
            role=Role.ADMIN,
            actor=OPERATOR,
            visitor=visitor,
            must_change_password=True,
        )
        return password

    async def has_admin(self) -> bool:
        """Whether somebody can administer accounts by signing in."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.users.has_admin(connection)

    async def _add(
        self, wanted: Wanted, event: Event, actor: str, visitor: Visitor, **values: object
    ) -> User:
        check_username(wanted.username)
        check_password(wanted.password, wanted.username)
        check_texts(wanted.email, wanted.full_name)
        hashed = await self._passwords.hash(wanted.password)
        new = replace(
            NewUser(
                username=wanted.username,
                password_hash=hashed,
                email=wanted.email,
                full_name=wanted.full_name,
            ),
            **values,  # type: ignore[arg-type]
        )
        stores = self._stores
        async with stores.storage.writing() as connection:
            user = await stores.users.insert(connection, new)
            entry = Entry(event=event, actor=actor, source=visitor.source, subject=user.id)
            await stores.audit.note(connection, entry)
        return user


def check_texts(email: str | None, full_name: str | None) -> None:
    """Raises `InvalidParameter` for what could be neither."""
    if email is not None and (len(email) > 254 or "@" not in email or not email.isprintable()):
        raise InvalidParameter(
            "email is no address.", "Correct it, or leave it out.", param="email"
        )
    if full_name is not None and (len(full_name) > 200 or not full_name.isprintable()):
        raise InvalidParameter(
            "full_name is too long or holds control characters.",
            "Use up to 200 characters.",
            param="full_name",
        )
