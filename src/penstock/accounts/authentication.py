"""From what a request carries to who it is from. Reads one row for it, and writes none."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, RowMapping, Select, bindparam, select

from penstock.accounts.access_tokens import TokenSigner, bad_token
from penstock.accounts.credentials import KEY, PAGE_SESSION, is_same, read_credential
from penstock.accounts.keys import scopes_of
from penstock.accounts.principal import LOCAL, LOCAL_OWNER, SCOPES_OF, Principal, Role, Scope
from penstock.accounts.sessions import SessionKind
from penstock.accounts.stores import Stores
from penstock.accounts.users import UserState
from penstock.storage.tables import api_keys, sessions, users

WHO = (
    users.c.id.label("user_id"),
    users.c.username,
    users.c.role,
    users.c.state,
    users.c.must_change_password,
    users.c.token_version,
)
OF_SESSION = select(
    *WHO,
    sessions.c.id,
    sessions.c.kind,
    sessions.c.digest,
    sessions.c.expires_at,
    sessions.c.ended_at,
).join_from(sessions, users, users.c.id == sessions.c.user_id)
OF_KEY = select(
    *WHO,
    api_keys.c.id,
    api_keys.c.digest,
    api_keys.c.scopes,
    api_keys.c.expires_at,
    api_keys.c.revoked_at.label("ended_at"),
).join_from(api_keys, users, users.c.id == api_keys.c.user_id)


class Authentication:
    """Says who presents a credential. Used on the event loop alone."""

    def __init__(
        self, stores: Stores, signer: TokenSigner, clock: Callable[[], float] = time.time
    ) -> None:
        self._stores = stores
        self._signer = signer
        self._clock = clock
        self._uses: dict[str, float] = {}
        # Built once: that is a good part of what a look costs.
        now = stores.storage.clock().label("now")
        wanted: BindParameter[str] = bindparam("wanted")
        self._of_session = OF_SESSION.add_columns(now).where(sessions.c.id == wanted)
        self._of_key = OF_KEY.add_columns(now).where(api_keys.c.id == wanted)

    async def by_bearer(self, text: str) -> Principal:
        """Whose key or access token it is. Raises `NotSignedIn`."""
        if text.startswith(f"{KEY}_"):
            return await self._by_key(text)
        claims = self._signer.read(text)
        row = await self._living(self._of_session, claims.session_id)
        is_meant = row["user_id"] == claims.user_id and row["kind"] == SessionKind.TOKEN
        if not is_meant or row["token_version"] != claims.token_version:
            raise bad_token()
        return _principal(row, session_id=row["id"])

    async def by_page(self, text: str) -> Principal:
        """Whose page has this session. Raises `NotSignedIn`."""
        presented = read_credential(text, PAGE_SESSION)
        if presented is None:
            raise bad_token()
        row = await self._living(self._of_session, presented.id)
        if row["kind"] != SessionKind.PAGE or not is_same(row["digest"], presented.digest):
            raise bad_token()
        return _principal(row, session_id=row["id"])

    async def of_owner(self, owner: str) -> Principal:
        """Who owns something that the server itself goes on with. Raises `NotSignedIn`."""
        if owner == LOCAL_OWNER:
            return LOCAL
        row = await self._stores.storage.first(select(*WHO).where(users.c.id == owner))
        if row is None or row["state"] != UserState.ACTIVE:
            raise bad_token()
        return _principal(row)

    async def note_uses(self) -> None:
        """Write down when keys were last used, since this was last asked for."""
        uses, self._uses = self._uses, {}
        if uses:
            async with self._stores.storage.writing() as connection:
                await self._stores.keys.note_uses(connection, uses)

    async def _by_key(self, text: str) -> Principal:
        presented = read_credential(text, KEY)
        if presented is None:
            raise bad_token()
        row = await self._living(self._of_key, presented.id)
        if not is_same(row["digest"], presented.digest):
            raise bad_token()
        self._uses[presented.id] = self._clock()
        return _principal(row, key_id=presented.id, scopes=scopes_of(row["scopes"].split()))

    async def _living(self, query: Select[Any], wanted: str) -> RowMapping:
        """The row of a credential that can be used. Raises `NotSignedIn`.

        Asked for anew each time: what is revoked is revoked for the next request, wherever that
        was done.
        """
        row = await self._stores.storage.first(query, wanted=wanted)
        if row is None or row["ended_at"] is not None or row["state"] != UserState.ACTIVE:
            raise bad_token()
        if row["expires_at"] is not None and row["now"] >= row["expires_at"]:
            raise bad_token()
        return row


def _principal(
    row: RowMapping,
    *,
    session_id: str | None = None,
    key_id: str | None = None,
    scopes: frozenset[Scope] | None = None,
) -> Principal:
    """What it may do is what its role may now, and of a key no more than it was made for."""
    role = Role(row["role"])
    of_role = SCOPES_OF[role]
    return Principal(
        owner=row["user_id"],
        username=row["username"],
        role=role,
        scopes=of_role if scopes is None else of_role & scopes,
        session_id=session_id,
        key_id=key_id,
        must_change_password=row["must_change_password"],
    )
