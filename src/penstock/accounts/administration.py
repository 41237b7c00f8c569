"""What administrators do to accounts, and what users do to their own."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.accounts.audit import Entry, Event
from penstock.accounts.keys import Key, NewKey
from penstock.accounts.password_rules import check_password
from penstock.accounts.passwords import Passwords
from penstock.accounts.principal import Principal, Role
from penstock.accounts.signing_in import SigningIn, Visitor
from penstock.accounts.stores import Stores
from penstock.accounts.users import User, UserState
from penstock.errors import InvalidParameter, NotAllowed


class Administration:
    """Changes accounts. Each change and the note of it are one transaction."""

    def __init__(self, stores: Stores, passwords: Passwords, signing_in: SigningIn) -> None:
        self._stores = stores
        self._passwords = passwords
        self._signing_in = signing_in

    async def user(self, user_id: str) -> User:
        """The user. Raises `UnknownUser`."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.users.get(connection, user_id)

    async def user_named(self, username: str) -> User | None:
        """The user of that name, if there is one."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.users.with_name(connection, username)

    async def users(self) -> Sequence[User]:
        """Every user, the oldest first."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.users.all(connection)

    async def events(self, limit: int) -> Sequence[Entry]:
        """What was done last."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.audit.latest(connection, limit)

    async def change(
        self,
        user_id: str,
        *,
        role: Role | None,
        state: UserState | None,
        actor: str,
        visitor: Visitor,
    ) -> User:
        """Give an account another role or state; it holds at once, for what is under way not.

        Raises `NotAllowed` where nobody were left to administer.
        """
        stores = self._stores
        async with stores.storage.writing() as connection:
            await stores.users.lock_admins(connection)
            user = await stores.users.get(connection, user_id)
            values = {"role": role or user.role, "state": state or user.state}
            changed = await stores.users.change(connection, user, **values)
            await self._check_administered(connection, without=user)
            if changed.state is not UserState.ACTIVE:
                await stores.sessions.end_all(connection, user.id)
            entry = Entry(
                event=Event.USER_CHANGED,
                actor=actor,
                source=visitor.source,
                subject=user.id,
                detail=f"{changed.role}, {changed.state}",
            )
            await stores.audit.note(connection, entry)
        return changed

    async def remove(self, user_id: str, *, actor: str, visitor: Visitor) -> User:
        """Delete an account with its sessions and keys; who it was.

        Raises `UnknownUser`, or `NotAllowed` where nobody were left to administer.
        """
        stores = self._stores
        async with stores.storage.writing() as connection:
            await stores.users.lock_admins(connection)
            user = await stores.users.get(connection, user_id)
            await stores.users.remove(connection, user.id)
            await self._check_administered(connection, without=user)
            await stores.sessions.remove_all(connection, user.id)
            await stores.keys.remove_all(connection, user.id)
            entry = Entry(
                event=Event.USER_REMOVED,
                actor=actor,
                source=visitor.source,
                subject=user.id,
                detail=user.username,
            )
            await stores.audit.note(connection, entry)
        return user

    async def change_password(
        self, principal: Principal, current: str, new: str, visitor: Visitor
    ) -> None:
        """Change one's own password. All other sessions and all access tokens end."""
        check_password(new, principal.username, param="new_password")
        user = await self._signing_in.check(principal.username, current, visitor)
        if current == new:
            raise InvalidParameter(
                "The new password is the old one.", "Choose another.", param="new_password"
            )
        await self.set_password(
            user, new, actor=user.id, visitor=visitor, keep=principal.session_id
        )

    async def set_password(
        self, user: User, new: str, *, actor: str, visitor: Visitor, keep: str | None = None
    ) -> None:
        """Give a user a password, and end all sessions but the one to `keep`."""
        check_password(new, user.username, param="new_password")
        hashed = await self._passwords.hash(new)
        stores = self._stores
        async with stores.storage.writing() as connection:
            user = await stores.users.get(connection, user.id)
            await stores.users.change(
                connection,
                user,
                password_hash=hashed,
                must_change_password=False,
                token_version=user.token_version + 1,
            )
            await stores.sessions.end_all(connection, user.id, but=keep)
            entry = Entry(
                event=Event.PASSWORD_CHANGED,
                actor=actor,
                source=visitor.source,
                subject=user.id,
            )
            await stores.audit.note(connection, entry)

    async def create_key(self, new: NewKey, *, actor: str, visitor: Visitor) -> tuple[Key, str]:
        """A key and its secret, which cannot be told again."""
        stores = self._stores
        async with stores.storage.writing() as connection:
            key, secret = await stores.keys.insert(connection, new)
            entry = Entry(
                event=Event.KEY_CREATED,
                actor=actor,
                source=visitor.source,
                subject=new.user_id,
                detail=key.id,
            )
            await stores.audit.note(connection, entry)
        return key, secret

    async def keys(self, user_id: str) -> Sequence[Key]:
        """The keys of a user that are in use."""
        async with self._stores.storage.reading() as connection:
            return await self._stores.keys.of_user(connection, user_id)

    async def check_key(self, key_id: str) -> None:
        """Raises `UnknownKey` where no key in use has this id."""
        async with self._stores.storage.reading() as connection:
            await self._stores.keys.check(connection, key_id)

    async def revoke_key(
        self, key_id: str, *, user_id: str | None, actor: str, visitor: Visitor
    ) -> None:
        """End a key of that user's, or of whosever it is. Raises `UnknownKey`."""
        stores = self._stores
        async with stores.storage.writing() as connection:
            if user_id is None:
                await stores.keys.revoke_any(connection, key_id)
            else:
                await stores.keys.revoke(connection, user_id, key_id)
            entry = Entry(
                event=Event.KEY_REVOKED,
                actor=actor,
                source=visitor.source,
                subject=user_id,
                detail=key_id[:64],
            )
            await stores.audit.note(connection, entry)

    async def _check_administered(self, connection: AsyncConnection, *, without: User) -> None:
        """Raises `NotAllowed` where this user was the last who could administer."""
        could = without.role is Role.ADMIN and without.state is UserState.ACTIVE
        if could and await self._stores.users.num_admins(connection) == 0:
            raise NotAllowed(
                f"{without.username} is the only administrator.", "Make another user one first."
            )
