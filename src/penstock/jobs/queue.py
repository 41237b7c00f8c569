"""The queue of jobs in the database: who does which, and that each ends once.

What takes a connection is part of the caller's transaction, so that a job's state and what it
brought about are written together or not at all. See decision 33.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, and_, delete, func, insert, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from penstock.jobs.job import ENDED, JSON, Claim, Job, JobEvent, JobState, LeaseLost, Webhook
from penstock.storage.database import Storage
from penstock.storage.tables import job_events, jobs, webhooks

MAX_ATTEMPTS = 3
RETRY_SECONDS = 2.0  # before the second attempt; twice as long before each further one
LONGEST_ERROR = 2000
LEASE_SECONDS = 8.0
CANCELLING = "cancelling"  # the event of being asked to end


class JobQueue:
    """Jobs in one database. A claim is good for `lease_seconds` unless it is renewed."""

    def __init__(self, storage: Storage, *, lease_seconds: float = LEASE_SECONDS) -> None:
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
        webhook: Webhook | None = None,
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
            "num_events": 1,
            "created_at": now,
        }
        try:
            async with connection.begin_nested():
                added = await connection.execute(insert(jobs).values(row).returning(jobs))
        except IntegrityError:  # the key was used before
            found = await connection.execute(
                select(jobs).where(
                    jobs.c.owner == owner,
                    jobs.c.kind == kind,
                    jobs.c.idempotency_key == idempotency_key,
                )
            )
            return job_of(found.mappings().one())
        job = job_of(added.mappings().one())
        await _note(connection, job, JobState.QUEUED, {}, now)
        if webhook is not None:
            values = {"job_id": job.id, "url": webhook.url, "secret": webhook.secret}
            await connection.execute(insert(webhooks).values(**values, attempts=0))
        return job

    async def find(self, connection: AsyncConnection, job_id: str) -> Job | None:
        """The job, if there is one."""
        query = select(jobs).where(jobs.c.id == job_id)
        found = (await connection.execute(query)).mappings().first()
        return None if found is None else job_of(found)

    async def num_by_state(self, connection: AsyncConnection) -> dict[str, int]:
        """How many jobs there are of each state."""
        query = select(jobs.c.state, func.count().label("num")).group_by(jobs.c.state)
        found = {row.state: row.num for row in await connection.execute(query)}
        return {state.value: found.get(state.value, 0) for state in JobState}

    async def claim(
        self, executor: str, kinds: Collection[str], job_id: str | None = None
    ) -> Claim | None:
        """The oldest job of these kinds that waits, or whose executor has not been heard of.

        With an id that job and no other.
        """
        if not await self._has_claimable(kinds, job_id):
            return None
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            query = (
                select(jobs.c.id, jobs.c.attempts, jobs.c.token)
                .where(_claimable(kinds, now, job_id))
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
            job = await _written(connection, jobs.c.id == found["id"], claimed, is_event=True)
            await _note(connection, job, JobState.RUNNING, {"attempt": job.attempts}, now)
            return Claim(job)

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
        return job_of(found)

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
            **_NOBODYS,
        }
        return await self._ended(connection, _held(claim), values)

    async def _ended(
        self, connection: AsyncConnection, which: ColumnElement[bool], values: Mapping[str, Any]
    ) -> Job:
        now = await self._storage.now(connection)
        job = await _written(connection, which, {**values, "finished_at": now}, is_event=True)
        await _note(connection, job, job.state, {}, now)
        await connection.execute(
            update(webhooks).where(webhooks.c.job_id == job.id).values(not_before=now)
        )
        return job

    async def hand_back(self, claim: Claim) -> Job:
        """Give the job up unharmed: the attempt is not counted. Raises `LeaseLost`."""
        values = {"state": JobState.QUEUED.value, "attempts": jobs.c.attempts - 1, **_NOBODYS}
        async with self._storage.writing() as connection:
            job = await _written(connection, _held(claim), values, is_event=True)
            await _note(connection, job, JobState.QUEUED, {}, await self._storage.now(connection))
            return job

    async def retry(self, claim: Claim) -> Job:
        """Let the job wait a little for its next attempt. Raises `LeaseLost`."""
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            pause = RETRY_SECONDS * 2 ** (claim.job.attempts - 1)
            values = {"state": JobState.QUEUED.value, "not_before": now + pause, **_NOBODYS}
            job = await _written(connection, _held(claim), values, is_event=True)
            details = {"attempt": job.attempts, "pause_seconds": pause}
            await _note(connection, job, JobState.QUEUED, details, now)
            return job

    async def drop(self, connection: AsyncConnection, job_id: str) -> Job | None:
        """End a job that nobody has begun. Nothing, and no job, where somebody has."""
        which = and_(jobs.c.id == job_id, jobs.c.state == JobState.QUEUED.value, jobs.c.token == 0)
        values = {"state": JobState.CANCELLED.value, "cancel_requested": True}
        try:
            return await self._ended(connection, which, values)
        except LeaseLost:
            return None

    async def cancel(self, connection: AsyncConnection, job_id: str) -> Job | None:
        """Ask for the job's end. Who runs it, now or next, is told; nothing else is changed."""
        which = and_(
            jobs.c.id == job_id,
            jobs.c.state.not_in([s.value for s in ENDED]),
            jobs.c.cancel_requested.is_(False),
        )
        values = {"cancel_requested": True, "not_before": jobs.c.created_at}
        try:
            job = await _written(connection, which, values, is_event=True)
        except LeaseLost:  # it has ended, or was asked to before
            return await self.find(connection, job_id)
        await _note(connection, job, CANCELLING, {}, await self._storage.now(connection))
        return job

    async def events(
        self, connection: AsyncConnection, job_id: str, *, after: int
    ) -> Sequence[JobEvent]:
        """What happened to the job after the event with this number."""
        columns = (job_events.c[name] for name in JobEvent.__dataclass_fields__)
        query = (
            select(*columns)
            .where(job_events.c.job_id == job_id, job_events.c.number > after)
            .order_by(job_events.c.number)
        )
        return [JobEvent(**row) for row in (await connection.execute(query)).mappings()]

    async def overdue(
        self, connection: AsyncConnection, kinds: Collection[str], *, by_seconds: float, limit: int
    ) -> Sequence[str]:
        """The ids of jobs that could have been claimed so long ago and were not, oldest first."""
        now = await self._storage.now(connection) - by_seconds
        query = select(jobs.c.id).where(_claimable(kinds, now)).order_by(jobs.c.not_before)
        return (await connection.execute(query.limit(limit))).scalars().all()

    async def forget_ended(self, *, before_seconds: float) -> int:
        """Delete the jobs that ended so long ago, with all that is known of them; how many."""
        async with self._storage.writing() as connection:
            end = await self._storage.now(connection) - before_seconds
            old = select(jobs.c.id).where(jobs.c.finished_at < end)
            for table in (job_events, webhooks):
                await connection.execute(delete(table).where(table.c.job_id.in_(old)))
            deleted = await connection.execute(delete(jobs).where(jobs.c.finished_at < end))
            return deleted.rowcount

    async def _has_claimable(self, kinds: Collection[str], job_id: str | None) -> bool:
        """Asked first, because looking takes no lock."""
        async with self._storage.reading() as connection:
            now = await self._storage.now(connection)
            query = select(jobs.c.id).where(_claimable(kinds, now, job_id)).limit(1)
            return (await connection.execute(query)).first() is not None


_NOBODYS: Mapping[str, Any] = {"executor": None, "lease_until": None}


def is_exhausted(claim: Claim) -> bool:
    """It was tried as often as a job may be without getting on."""
    return claim.job.attempts > MAX_ATTEMPTS


def _claimable(
    kinds: Collection[str], now: float, job_id: str | None = None
) -> ColumnElement[bool]:
    waits = and_(jobs.c.state == JobState.QUEUED.value, jobs.c.not_before <= now)
    is_orphan = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until < now)
    is_wanted = true() if job_id is None else jobs.c.id == job_id
    return and_(is_wanted, jobs.c.kind.in_(kinds), or_(waits, is_orphan))


def _held(claim: Claim) -> ColumnElement[bool]:
    job_id, token = claim.key
    is_running = jobs.c.state == JobState.RUNNING.value
    return and_(jobs.c.id == job_id, jobs.c.token == token, is_running)


async def _written(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    values: Mapping[str, Any],
    *,
    is_event: bool = False,
) -> Job:
    """Change a job. With `is_event` it gets the number of an event, which must be noted."""
    if is_event:
        values = {**values, "num_events": jobs.c.num_events + 1}
    changed = await connection.execute(update(jobs).where(which).values(values).returning(jobs))
    found = changed.mappings().first()
    if found is None:
        raise LeaseLost
    return job_of(found)


async def _note(
    connection: AsyncConnection, job: Job, event: str, details: JSON, now: float
) -> None:
    """Note what happened to a job that was just changed."""
    row = {
        "job_id": job.id,
        "number": job.num_events,
        "event": str(event),
        "details": dict(details),
        "at": now,
    }
    await connection.execute(insert(job_events).values(row))


def job_of(row: RowMapping) -> Job:
    """The job that a row of the table holds."""
    return Job(**{**row, "state": JobState(row["state"])})
