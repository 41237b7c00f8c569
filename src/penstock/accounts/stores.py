"""All rows of accounts in one place, so that what belongs together is one transaction."""

from dataclasses import dataclass
from typing import Self

from penstock.accounts.attempts import Attempts
from penstock.accounts.audit import AuditLog
from penstock.accounts.keys import KeyStore
from penstock.accounts.sessions import SessionStore
from penstock.accounts.users import UserStore
from penstock.storage.database import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores over one database."""

    storage: Storage
    users: UserStore
    sessions: SessionStore
    keys: KeyStore
    attempts: Attempts
    audit: AuditLog

    @classmethod
    def over(cls, storage: Storage) -> Self:
        """Those of this database."""
        return cls(
            storage=storage,
            users=UserStore(storage),
            sessions=SessionStore(storage),
            keys=KeyStore(storage),
            attempts=Attempts(storage),
            audit=AuditLog(storage),
        )

    async def tidy(self) -> None:
        """Forget what is of no use any more."""
        async with self.storage.writing() as connection:
            await self.sessions.tidy(connection)
            await self.attempts.tidy(connection)
            await self.audit.tidy(connection)
