"""The queue of jobs in the database: who does which, and that each ends once.

What takes a connection is part of the caller's transaction, so that a job's state and what it
brought about are written together or not at all. See decision 33.
"""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import RowMapping, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from penstock.jobs.job import ENDED, JSON, Claim, Job, JobState, LeaseLost
from penstock.storage.database import Storage
from penstock.storage.tables import jobs

MAX_ATTEMPTS = 3
RETRY_SECONDS = 2.0  # before the second attempt; twice as long before each further one
LONGEST_ERROR = 2000


class JobQueue:
    """Jobs in one database. A claim is good for `lease_seconds` unless it is renewed."""

    def __init__(self, storage: Storage, *, lease_seconds: float = 30) -> None:
        self._storage = storage
        self.lease_seconds = lease_seconds

    async def submit(
        self,
        connection: AsyncConnection,
        *,
        owner: str,
        kind: str,
        payload: JSON,
        idempotency_key: str | None = None,
    ) -> Job:
        """A new job; or, for an idempotency key that was used before, the job it made then."""
        now = await self._storage.now(connection)
        row = {
            "id": f"job_{uuid.uuid4().hex}",
            "owner": owner,
            "kind": kind,
            "state": JobState.QUEUED.value,
            "payload": dict(payload),
            "idempotency_key": idempotency_key,
            "attempts": 0,
            "token": 0,
            "not_before": now,
            "cancel_requested": False,
            "created_at": now,
        }
        try:
            async with connection.begin_nested():
                added = await connection.execute(insert(jobs).values(row).returning(jobs))
        except IntegrityError:  # the key was used before
            added = await connection.execute(
                select(jobs).where(
                    jobs.c.owner == owner,
                    jobs.c.kind == kind,
                    jobs.c.idempotency_key == idempotency_key,
                )
            )
        return _job(added.mappings().one())

    async def find(self, connection: AsyncConnection, job_id: str) -> Job | None:
        """The job, if there is one."""
        query = select(jobs).where(jobs.c.id == job_id)
        found = (await connection.execute(query)).mappings().first()
        return None if found is None else _job(found)

    async def claim(self, executor: str, kinds: Collection[str]) -> Claim | None:
        """The oldest job of these kinds that waits, or whose executor has not been heard of."""
        if not await self._has_claimable(kinds):
            return None
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            query = (
                select(jobs.c.id, jobs.c.attempts, jobs.c.token)
                .where(_claimable(kinds, now))
                .order_by(jobs.c.not_before, jobs.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            found = (await connection.execute(query)).mappings().first()
            if found is None:
                return None
            claimed = {
                "state": JobState.RUNNING.value,
                "executor": executor,
                "attempts": found["attempts"] + 1,
                "token": found["token"] + 1,
                "lease_until": now + self.lease_seconds,
            }
            return Claim(await _written(connection, jobs.c.id == found["id"], claimed))

    async def renew(self, claim: Claim) -> Job:
        """Keep the claim for another lease. Raises `LeaseLost`."""
        async with self._storage.writing() as connection:
            until = await self._storage.now(connection) + self.lease_seconds
            return await _written(connection, _held(claim), {"lease_until": until})

    async def hold(self, connection: AsyncConnection, claim: Claim) -> Job:
        """Make sure, until the transaction ends, that the job is still ours. Raises `LeaseLost`.

        To be called before anything else is written on the job's behalf.
        """
        query = select(jobs).where(_held(claim)).with_for_update()
        found = (await connection.execute(query)).mappings().first()
        if found is None:
            raise LeaseLost(claim.job.id)
        return _job(found)

    async def get_on(self, connection: AsyncConnection, claim: Claim) -> Job:
        """As `hold`, for a job that has something to show: its attempts are counted anew."""
        return await _written(connection, _held(claim), {"attempts": 1})

    async def end(
        self,
        connection: AsyncConnection,
        claim: Claim,
        state: JobState,
        *,
        result: JSON | None = None,
        error: str | None = None,
    ) -> Job:
        """End the job for good. Raises `LeaseLost`."""
        assert state in ENDED
        values = {
            "state": state.value,
            "result": None if result is None else dict(result),
            "error": None if error is None else error[:LONGEST_ERROR],
            "finished_at": await self._storage.now(connection),
            **_NOBODYS,
        }
        return await _written(connection, _held(claim), values)

    async def hand_back(self, claim: Claim) -> Job:
        """Give the job up unharmed: the attempt is not counted. Raises `LeaseLost`."""
        values = {"state": JobState.QUEUED.value, "attempts": jobs.c.attempts - 1, **_NOBODYS}
        async with self._storage.writing() as connection:
            return await _written(connection, _held(claim), values)

    async def retry(self, claim: Claim) -> Job:
        """Let the job wait a little for its next attempt. Raises `LeaseLost`."""
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            pause = RETRY_SECONDS * 2 ** (claim.job.attempts - 1)
            values = {"state": JobState.QUEUED.value, "not_before": now + pause, **_NOBODYS}
            return await _written(connection, _held(claim), values)

    async def cancel(self, connection: AsyncConnection, job_id: str) -> Job | None:
        """Ask for the job's end. Who runs it, now or next, is told; nothing else is changed."""
        await connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.state.not_in([s.value for s in ENDED]))
            .values(cancel_requested=True, not_before=jobs.c.created_at)
        )
        return await self.find(connection, job_id)

    async def _has_claimable(self, kinds: Collection[str]) -> bool:
        """Asked first, because looking takes no lock."""
        async with self._storage.reading() as connection:
            now = await self._storage.now(connection)
            query = select(jobs.c.id).where(_claimable(kinds, now)).limit(1)
            return (await connection.execute(query)).first() is not None


_NOBODYS: Mapping[str, Any] = {"executor": None, "lease_until": None}


def is_exhausted(claim: Claim) -> bool:
    """It was tried as often as a job may be without getting on."""
    return claim.job.attempts > MAX_ATTEMPTS


def _claimable(kinds: Collection[str], now: float) -> ColumnElement[bool]:
    waits = and_(jobs.c.state == JobState.QUEUED.value, jobs.c.not_before <= now)
    is_orphan = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until < now)
    return and_(jobs.c.kind.in_(kinds), or_(waits, is_orphan))


def _held(claim: Claim) -> ColumnElement[bool]:
    job_id, token = claim.key
    is_running = jobs.c.state == JobState.RUNNING.value
    return and_(jobs.c.id == job_id, jobs.c.token == token, is_running)


async def _written(
    connection: AsyncConnection, which: ColumnElement[bool], values: Mapping[str, Any]
) -> Job:
    changed = await connection.execute(update(jobs).where(which).values(values).returning(jobs))
    found = changed.mappings().first()
    if found is None:
        raise LeaseLost
    return _job(found)


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": JobState(row["state"])})
