"""What was done about accounts, by whom and from where; never a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.accounts.credentials import new_id
from penstock.storage.database import Storage
from penstock.storage.tables import audit

KEPT_SECONDS = 365 * 86_400
MAX_SHOWN = 1000


class Event(StrEnum):
    """What is written down."""

    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_BLOCKED = "sign_in_blocked"
    SIGNED_OUT = "signed_out"
    TOKEN_REUSED = "token_reused"  # noqa: S105
    REGISTERED = "registered"
    USER_CREATED = "user_created"
    USER_CHANGED = "user_changed"
    USER_REMOVED = "user_removed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    LIMITS_SET = "limits_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was done. `actor` is a user's id, or who needs no account."""

    event: Event
    actor: str
    source: str = ""
    subject: str | None = None
    detail: str | None = None
    created_at: float = 0


class AuditLog:
    """The entries in one database. They are written with what they tell of, or not at all."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def note(self, connection: AsyncConnection, entry: Entry) -> None:
        """Write an entry."""
        row = {
            "id": new_id(),
            "created_at": await self._storage.now(connection),
            "event": entry.event,
            "actor": entry.actor[:64],
            "source": entry.source[:64],
            "subject": entry.subject,
            "detail": None if entry.detail is None else _plain(entry.detail),
        }
        await connection.execute(insert(audit).values(row))

    async def latest(self, connection: AsyncConnection, limit: int) -> Sequence[Entry]:
        """So many, the newest first."""
        query = select(audit).order_by(audit.c.created_at.desc(), audit.c.id)
        rows = (await connection.execute(query.limit(min(limit, MAX_SHOWN)))).mappings()
        names = [name for name in Entry.__dataclass_fields__ if name != "event"]
        return [Entry(event=Event(row["event"]), **{n: row[n] for n in names}) for row in rows]

    async def tidy(self, connection: AsyncConnection) -> None:
        """Forget those of more than a year ago."""
        before = await self._storage.now(connection) - KEPT_SECONDS
        await connection.execute(delete(audit).where(audit.c.created_at < before))


def _plain(text: str) -> str:
    """On one line, whatever somebody put into it."""
    return "".join(c if c.isprintable() else "�" for c in text)[:200]
