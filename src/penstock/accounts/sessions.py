"""The rows of sessions: of the page, and of clients that refresh their access tokens.

A session has one secret that is good now. A refresh token that was good once and comes again was
stolen, from the client or from the thief: the session ends for both.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.accounts.credentials import (
    PAGE_SESSION,
    REFRESH,
    Credential,
    is_same,
    new_credential,
    new_id,
)
from penstock.storage.database import Storage
from penstock.storage.tables import sessions

KEPT_SECONDS = 7 * 86_400  # after its end, so that reuse is still noticed


class SessionKind(StrEnum):
    """What holds the session's secret."""

    PAGE = "page"
    TOKEN = "token"  # noqa: S105


PREFIX_OF = {SessionKind.PAGE: PAGE_SESSION, SessionKind.TOKEN: REFRESH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as its row tells."""

    id: str
    user_id: str
    kind: SessionKind
    digest: str
    expires_at: float
    ended_at: float | None


class SessionStore:
    """The sessions in one database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def begin(
        self, connection: AsyncConnection, user_id: str, kind: SessionKind, seconds: float
    ) -> tuple[str, str]:
        """A new session's id, and its secret."""
        session_id = new_id()
        credential, digest = new_credential(PREFIX_OF[kind], session_id)
        now = await self._storage.now(connection)
        row = {
            "id": session_id,
            "user_id": user_id,
            "kind": kind,
            "digest": digest,
            "created_at": now,
            "expires_at": now + seconds,
        }
        await connection.execute(insert(sessions).values(row))
        return session_id, credential

    async def find(self, connection: AsyncConnection, session_id: str) -> Session | None:
        """The session with that id, also if it has ended."""
        query = select(sessions).where(sessions.c.id == session_id)
        row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        fields = {name: row[name] for name in Session.__dataclass_fields__}
        return Session(**{**fields, "kind": SessionKind(row["kind"])})

    async def rotate(
        self, connection: AsyncConnection, session: Session, presented: Credential
    ) -> str | None:
        """The secret that takes the place of the presented one; none if that was not good.

        Of two that present the same at once, one gets none.
        """
        if not is_same(session.digest, presented.digest):
            return None
        credential, digest = new_credential(PREFIX_OF[session.kind], session.id)
        rotating = (
            update(sessions)
            .where(sessions.c.id == session.id, sessions.c.digest == presented.digest)
            .where(sessions.c.ended_at.is_(None))
            .values(digest=digest)
        )
        return credential if (await connection.execute(rotating)).rowcount == 1 else None

    async def end(self, connection: AsyncConnection, session_id: str) -> None:
        """End a session. What has ended stays so."""
        ending = update(sessions).where(sessions.c.id == session_id, sessions.c.ended_at.is_(None))
        await connection.execute(ending.values(ended_at=await self._storage.now(connection)))

    async def end_all(
        self, connection: AsyncConnection, user_id: str, *, but: str | None = None
    ) -> None:
        """End all sessions of a user, `but` one."""
        ending = update(sessions).where(
            sessions.c.user_id == user_id,
            sessions.c.ended_at.is_(None),
            sessions.c.id != (but or ""),
        )
        await connection.execute(ending.values(ended_at=await self._storage.now(connection)))

    async def remove_all(self, connection: AsyncConnection, user_id: str) -> None:
        """Delete all sessions of a user who is gone."""
        await connection.execute(delete(sessions).where(sessions.c.user_id == user_id))

    async def tidy(self, connection: AsyncConnection) -> None:
        """Forget those that ended long ago."""
        before = await self._storage.now(connection) - KEPT_SECONDS
        old = or_(sessions.c.expires_at < before, sessions.c.ended_at < before)
        await connection.execute(delete(sessions).where(old))
