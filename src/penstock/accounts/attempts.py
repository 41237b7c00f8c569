"""How often somebody may try to sign in: counted before the password is looked at, in one row.

So attempts that come at once, or at several servers, are counted as if they came in turn. What
succeeds is taken back.
"""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import TooManyAttempts
from penstock.storage.database import Storage
from penstock.storage.tables import attempts

FREE_FAILURES = 5
FIRST_BLOCK_SECONDS = 60
LONGEST_BLOCK_SECONDS = 15 * 60
FORGOTTEN_AFTER_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Rule:
    """So many failures are free; each further one blocks for twice as long as the one before.

    With `window_seconds`, failures count that long and the rest of it is what is waited for.
    """

    max_failures: int = FREE_FAILURES
    window_seconds: float | None = None


BY_ACCOUNT = Rule()
BY_SOURCE = Rule(max_failures=30, window_seconds=60)


@dataclass(frozen=True, slots=True)
class Counted:
    """An attempt that was counted as a failure until it is known to be none."""

    name: str
    begins_block: bool


class Attempts:
    """The counts in one database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def count(self, connection: AsyncConnection, kind: str, of: str, rule: Rule) -> Counted:
        """Count an attempt. Raises `TooManyAttempts` while those of this name are blocked."""
        name = f"{kind}:{sha256(of.encode()).hexdigest()}"
        now = await self._storage.now(connection)
        num_failed, since, blocked_until = await self._row(connection, name, now)
        if now < blocked_until:
            raise too_many(blocked_until - now)
        is_over = now - since >= (rule.window_seconds or FORGOTTEN_AFTER_SECONDS)
        if is_over:
            num_failed, since = 0, now
        num_failed += 1
        changing = update(attempts).where(attempts.c.name == name)
        until = _blocked_until(rule, num_failed, since, now)
        if rule.window_seconds is None:
            since = now  # what counts is the time since the latest
        await connection.execute(
            changing.values(num_failed=num_failed, since=since, blocked_until=until)
        )
        return Counted(name, begins_block=until > now)

    async def take_back(self, connection: AsyncConnection, counted: Counted) -> None:
        """One attempt less."""
        changing = update(attempts).where(
            attempts.c.name == counted.name, attempts.c.num_failed > 0
        )
        values = {"num_failed": attempts.c.num_failed - 1, "blocked_until": 0}
        await connection.execute(changing.values(values))

    async def forget(self, connection: AsyncConnection, counted: Counted) -> None:
        """It was the right one: all that failed before is forgiven."""
        await connection.execute(delete(attempts).where(attempts.c.name == counted.name))

    async def tidy(self, connection: AsyncConnection) -> None:
        """Forget what counts no more."""
        before = await self._storage.now(connection) - FORGOTTEN_AFTER_SECONDS
        old = (attempts.c.since < before) & (attempts.c.blocked_until < before)
        await connection.execute(delete(attempts).where(old))

    async def _row(
        self, connection: AsyncConnection, name: str, now: float
    ) -> tuple[int, float, float]:
        """The counts, whose row is locked from here to the end of the transaction."""
        columns = (attempts.c.num_failed, attempts.c.since, attempts.c.blocked_until)
        query = select(*columns).where(attempts.c.name == name).with_for_update()
        row = (await connection.execute(query)).first()
        if row is None:
            new = {"name": name, "num_failed": 0, "since": now, "blocked_until": 0.0}
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(attempts).values(new))
            except IntegrityError:  # another server was quicker
                pass
            row = (await connection.execute(query)).one()
        return row[0], row[1], row[2]


def too_many(seconds: float) -> TooManyAttempts:
    """The error for who must wait so long."""
    wait = max(1, int(-(-seconds // 1)))
    return TooManyAttempts(
        "There were too many attempts that failed.",
        f"Try again in {wait} seconds.",
        retry_after_seconds=wait,
    )


def _blocked_until(rule: Rule, num_failed: int, since: float, now: float) -> float:
    if num_failed < rule.max_failures:
        return 0
    if rule.window_seconds is not None:
        return since + rule.window_seconds
    doublings = min(num_failed - rule.max_failures, 10)
    return float(now + min(FIRST_BLOCK_SECONDS * 2**doublings, LONGEST_BLOCK_SECONDS))
