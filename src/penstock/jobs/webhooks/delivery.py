"""Tells receivers of jobs that have ended: at least once, later and later while they do not listen.

What is due is in the rows, written with the job's end, so a message outlives any process.
"""

import asyncio
import json
import logging
from dataclasses import dataclass

from sqlalchemy import select, update

from penstock.errors import InvalidParameter, StorageUnavailable
from penstock.jobs.webhooks.addresses import target_of
from penstock.jobs.webhooks.posting import NotTaken, post
from penstock.jobs.webhooks.signing import signed_headers
from penstock.storage.database import Storage
from penstock.storage.tables import jobs, webhooks

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 5.0  # four times as long before each further attempt, up to a day
LONGEST_PAUSE_SECONDS = 86_400.0
POLL_SECONDS = 1.0
SENDING_SECONDS = 60.0  # after so long somebody else may send what was begun
LONGEST_ERROR = 500
MAX_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message to be sent now."""

    job_id: str
    kind: str
    state: str
    error: str | None
    url: str
    secret: str
    attempts: int  # this one included
    now: float

    def body(self) -> bytes:
        """What the receiver gets: which job, and how it ended; the result is asked for."""
        data = {"id": self.job_id, "kind": self.kind, "state": self.state, "error": self.error}
        return json.dumps(
            {"type": f"job.{self.state}", "timestamp": int(self.now), "data": data}
        ).encode()


class Deliveries:
    """Sends what is due, from `start` to `stop`."""

    def __init__(self, storage: Storage, *, allow_private: bool) -> None:
        self._storage = storage
        self._allow_private = allow_private
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. Starting twice is harmless."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Send nothing further. What was being sent may be sent again. Twice is harmless."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            try:
                await self.deliver_due()
            except StorageUnavailable as error:
                logger.warning("No webhook can be sent. %s", error)
            await asyncio.sleep(POLL_SECONDS)

    async def deliver_due(self) -> None:
        """Send all that is due, some at a time."""
        while due := [d for d in [await self._next() for _ in range(MAX_AT_ONCE)] if d]:
            await asyncio.gather(*map(self._send, due))

    async def _next(self) -> Due | None:
        """A message that nobody else sends in the next while."""
        if not await self._has_due():
            return None
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            query = (
                select(webhooks.c.job_id, webhooks.c.url, webhooks.c.secret, webhooks.c.attempts)
                .where(webhooks.c.not_before <= now)
                .order_by(webhooks.c.not_before)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            found = (await connection.execute(query)).mappings().first()
            if found is None:
                return None
            attempts = found["attempts"] + 1
            await connection.execute(
                update(webhooks)
                .where(webhooks.c.job_id == found["job_id"])
                .values(attempts=attempts, not_before=now + SENDING_SECONDS)
            )
            job = select(jobs.c.kind, jobs.c.state, jobs.c.error)
            told = await connection.execute(job.where(jobs.c.id == found["job_id"]))
            return Due(**{**found, **told.mappings().one(), "attempts": attempts}, now=now)

    async def _has_due(self) -> bool:
        async with self._storage.reading() as connection:
            now = await self._storage.now(connection)
            query = select(webhooks.c.job_id).where(webhooks.c.not_before <= now).limit(1)
            return (await connection.execute(query)).first() is not None

    async def _send(self, due: Due) -> None:
        body = due.body()
        headers = signed_headers(due.secret, due.job_id, int(due.now), body)
        try:
            target = target_of(due.url, allow_private=self._allow_private)
            await post(target, headers, body, allow_private=self._allow_private)
        except (NotTaken, InvalidParameter) as error:
            problem = str(error) if isinstance(error, NotTaken) else error.problem
            logger.info("The webhook of job %s: attempt %d, %r.", due.job_id, due.attempts, problem)
            await self._put_off(due, problem)
            return
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            await connection.execute(
                update(webhooks)
                .where(webhooks.c.job_id == due.job_id)
                .values(delivered_at=now, not_before=None, last_error=None)
            )

    async def _put_off(self, due: Due, problem: str) -> None:
        pause = min(FIRST_PAUSE_SECONDS * 4 ** (due.attempts - 1), LONGEST_PAUSE_SECONDS)
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            await connection.execute(
                update(webhooks)
                .where(webhooks.c.job_id == due.job_id)
                .values(
                    not_before=None if due.attempts >= MAX_ATTEMPTS else now + pause,
                    last_error=problem[:LONGEST_ERROR],
                )
            )
