"""The rows of limits that were set for one user or key, instead of the server's own."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.accounts.limits.limits import WINDOWS
from penstock.storage.database import Storage
from penstock.storage.tables import limits

Changes = Mapping[str, int | None]  # none: no limit; what is not named is as for everybody
SECONDS_REMEMBERED = 5.0  # so long another server's change may take to hold here
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    changes: Changes
    until: float


class LimitStore:
    """What was set, by `user:ID` or `key:ID`; remembered a few seconds."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}

    async def of(self, subjects: Sequence[str]) -> Sequence[Changes]:
        """What was set for each of them. Raises `StorageUnavailable`."""
        now = self._clock()
        missing = [s for s in subjects if s not in self._remembered or self._is_old(s, now)]
        if missing:
            await self._read(missing, now)
        return [self._remembered[subject].changes for subject in subjects]

    async def set(self, connection: AsyncConnection, subject: str, changes: Changes) -> None:
        """Have these instead of what was set before, once the transaction ends; then `forget`."""
        await connection.execute(delete(limits).where(limits.c.subject == subject))
        if changes:
            row = {"subject": subject, "limits": dict(changes)}
            await connection.execute(insert(limits).values(row))

    def forget(self, subject: str) -> None:
        """What was remembered does not hold any more."""
        self._remembered.pop(subject, None)

    def _is_old(self, subject: str, now: float) -> bool:
        return self._remembered[subject].until < now

    async def _read(self, subjects: Sequence[str], now: float) -> None:
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.clear()
        query = select(limits).where(limits.c.subject.in_(subjects))
        async with self._storage.reading() as connection:
            found = {
                r["subject"]: r["limits"] for r in (await connection.execute(query)).mappings()
            }
        for subject in subjects:
            changes = {
                name: most for name, most in found.get(subject, {}).items() if name in WINDOWS
            }
            self._remembered[subject] = _Remembered(changes, now + SECONDS_REMEMBERED)
