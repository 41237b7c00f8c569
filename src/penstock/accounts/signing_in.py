"""From a name and a password to a user, and from a user to sessions and tokens.

Whatever is wrong, the answer is the same and takes as long: who guesses learns nothing.
"""

from dataclasses import dataclass

from penstock.accounts.access_tokens import Claims, TokenSigner, bad_token
from penstock.accounts.attempts import BY_ACCOUNT, BY_SOURCE, Counted
from penstock.accounts.audit import Entry, Event
from penstock.accounts.credentials import REFRESH, Credential, read_credential
from penstock.accounts.passwords import Passwords
from penstock.accounts.policy import Policy
from penstock.accounts.sessions import SessionKind
from penstock.accounts.stores import Stores
from penstock.accounts.users import User, UserState
from penstock.errors import NotAllowed, UnknownUser, WrongCredentials


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where an attempt comes from. A device that signed in here before has a name of its own."""

    source: str
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a client gets: an access token for a while, and what gets the next one."""

    access_token: str
    refresh_token: str
    expires_in: int


class SigningIn:
    """Checks passwords and begins, renews and ends sessions."""

    def __init__(
        self, stores: Stores, passwords: Passwords, signer: TokenSigner, policy: Policy
    ) -> None:
        self._stores = stores
        self._passwords = passwords
        self._signer = signer
        self._policy = policy

    async def check(self, username: str, password: str, visitor: Visitor) -> User:
        """The user. Raises `WrongCredentials`, `TooManyAttempts`, or `NotAllowed`."""
        stores = self._stores
        counted = await self._count(username, visitor)
        async with stores.storage.reading() as connection:
            user = await stores.users.with_name(connection, username)
        is_right = await self._passwords.is_right(
            password, None if user is None else user.password_hash
        )
        if user is None or not is_right:
            await self._note_failure(user, username, visitor)
            raise WrongCredentials(
                "The user name or the password is wrong.", "Check both and try again."
            )
        await self._note_success(user, password, visitor, counted)
        _refuse_unusable(user)
        return user

    async def open_page(self, user: User) -> str:
        """A session of the page; its secret goes into a cookie."""
        stores, seconds = self._stores, self._policy.page_session_seconds
        async with stores.storage.writing() as connection:
            _, secret = await stores.sessions.begin(connection, user.id, SessionKind.PAGE, seconds)
        return secret

    async def issue(self, user: User) -> Tokens:
        """The tokens of a new session."""
        stores, seconds = self._stores, self._policy.refresh_seconds
        async with stores.storage.writing() as connection:
            session_id, secret = await stores.sessions.begin(
                connection, user.id, SessionKind.TOKEN, seconds
            )
        return self._tokens(user, session_id, secret)

    async def refresh(self, refresh_token: str, visitor: Visitor) -> Tokens:
        """New tokens for an old one, which is good no more.

        One that was good once ends the session: it, or its successor, was stolen.
        """
        presented = read_credential(refresh_token, REFRESH)
        if presented is None:
            raise _bad_refresh()
        stores = self._stores
        async with stores.storage.writing() as connection:
            found = await stores.sessions.find(connection, presented.id)
            if found is None or found.ended_at is not None:
                raise _bad_refresh()
            if await stores.storage.now(connection) >= found.expires_at:
                raise _bad_refresh()
            try:
                user = await stores.users.get(connection, found.user_id)
            except UnknownUser as error:
                raise _bad_refresh() from error
            if user.state is not UserState.ACTIVE:
                raise _bad_refresh()
            secret = await stores.sessions.rotate(connection, found, presented)
        if secret is None:
            await self._end_stolen(presented, user, visitor)
            raise _bad_refresh()
        return self._tokens(user, found.id, secret)

    async def sign_out(self, user_id: str, session_id: str, visitor: Visitor) -> None:
        """End a session; its access tokens end with it."""
        stores = self._stores
        async with stores.storage.writing() as connection:
            await stores.sessions.end(connection, session_id)
            await stores.audit.note(
                connection, Entry(event=Event.SIGNED_OUT, actor=user_id, source=visitor.source)
            )

    def _tokens(self, user: User, session_id: str, secret: str) -> Tokens:
        claims = Claims(user_id=user.id, session_id=session_id, token_version=user.token_version)
        return Tokens(
            access_token=self._signer.sign(claims),
            refresh_token=secret,
            expires_in=self._signer.lifetime_seconds,
        )

    async def _count(self, username: str, visitor: Visitor) -> tuple[Counted, Counted]:
        """Count the attempt for its source and for the account, or for the device it knows."""
        stores = self._stores
        name = username[:200].lower()
        kind, of = ("account", name)
        if visitor.device is not None:
            kind, of = ("device", f"{visitor.device} {name}")
        async with stores.storage.writing() as connection:
            source = await stores.attempts.count(connection, "source", visitor.source, BY_SOURCE)
            account = await stores.attempts.count(connection, kind, of, BY_ACCOUNT)
            if account.begins_block:
                entry = Entry(
                    event=Event.SIGN_IN_BLOCKED,
                    actor="nobody",
                    source=visitor.source,
                    detail=username[:64],
                )
                await stores.audit.note(connection, entry)
        return source, account

    async def _note_failure(self, user: User | None, username: str, visitor: Visitor) -> None:
        stores = self._stores
        entry = Entry(
            event=Event.SIGN_IN_FAILED,
            actor="nobody",
            source=visitor.source,
            subject=None if user is None else user.id,
            detail=username[:64],
        )
        async with stores.storage.writing() as connection:
            await stores.audit.note(connection, entry)

    async def _note_success(
        self, user: User, password: str, visitor: Visitor, counted: tuple[Counted, Counted]
    ) -> None:
        stores = self._stores
        hashed = user.password_hash
        if self._passwords.is_outdated(hashed):
            hashed = await self._passwords.hash(password)
        async with stores.storage.writing() as connection:
            source, account = counted
            await stores.attempts.take_back(connection, source)
            await stores.attempts.forget(connection, account)
            now = await stores.storage.now(connection)
            await stores.users.change(connection, user, signed_in_at=now, password_hash=hashed)
            entry = Entry(event=Event.SIGNED_IN, actor=user.id, source=visitor.source)
            await stores.audit.note(connection, entry)

    async def _end_stolen(self, presented: Credential, user: User, visitor: Visitor) -> None:
        stores = self._stores
        async with stores.storage.writing() as connection:
            await stores.sessions.end(connection, presented.id)
            entry = Entry(
                event=Event.TOKEN_REUSED, actor="nobody", source=visitor.source, subject=user.id
            )
            await stores.audit.note(connection, entry)


def _refuse_unusable(user: User) -> None:
    """Told only to who knows the password."""
    if user.state is UserState.PENDING:
        raise NotAllowed(
            "The account waits for an administrator's approval.", "Ask one, and sign in then."
        )
    if user.state is UserState.DISABLED:
        raise NotAllowed("The account is disabled.", "Ask an administrator.")


def _bad_refresh() -> WrongCredentials:
    told = bad_token()
    return WrongCredentials("The refresh token is not valid.", told.hint)
