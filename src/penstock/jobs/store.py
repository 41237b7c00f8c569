"""Jobs as their owners see them: every question names the owner; somebody else's does not exist."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import IdempotencyKeyReused, TooManyJobs, UnknownJob
from penstock.jobs.job import ENDED, JSON, Job, JobEvent, JobState, Webhook
from penstock.jobs.queue import JobQueue, job_of
from penstock.storage.database import Storage
from penstock.storage.ids import may_be_id
from penstock.storage.paging import Page, page_of
from penstock.storage.tables import jobs

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is asked for."""

    owner: str
    kind: str
    payload: JSON
    idempotency_key: str | None = None
    webhook: Webhook | None = None


class JobStore:
    """The jobs in one database. `max_unfinished` is how many of them one owner may have.

    Jobs of the kinds in `settled_by_handlers` have more to end than their row.
    """

    def __init__(
        self,
        storage: Storage,
        queue: JobQueue,
        *,
        max_unfinished: int,
        days_kept: float,
        settled_by_handlers: Collection[str] = (),
    ) -> None:
        self._storage = storage
        self._queue = queue
        self._max_unfinished = max_unfinished
        self._days_kept = days_kept
        self._settled_by_handlers = settled_by_handlers

    async def create(self, new: NewJob) -> Job:
        """A job that waits; or the one that the same idempotency key made before.

        Raises `IdempotencyKeyReused` where that one was asked for something else.
        """
        async with self._storage.writing() as connection:
            job = await self._queue.submit(
                connection,
                owner=new.owner,
                kind=new.kind,
                payload=new.payload,
                idempotency_key=new.idempotency_key,
                webhook=new.webhook,
            )
            if job.payload != new.payload:
                raise IdempotencyKeyReused(
                    f"This Idempotency-Key made job {job.id}, which was asked for something else.",
                    "Send a key of its own with each different request.",
                )
            if job.num_events == 1:  # nothing happened to it yet: it may be new
                await self._check_number(connection, new.owner)
            return job

    async def get(self, owner: str, job_id: str) -> Job:
        """The job. Raises `UnknownJob`."""
        async with self._storage.reading() as connection:
            return await self._seen(connection, owner, job_id)

    async def page(
        self, owner: str, page: Page, *, kind: str | None = None, state: JobState | None = None
    ) -> tuple[Sequence[Job], bool]:
        """A page of the owner's jobs, and whether there are more."""
        query = select(jobs).where(jobs.c.owner == owner)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if state is not None:
            query = query.where(jobs.c.state == state.value)
        async with self._storage.reading() as connection:
            found = await page_of(connection, jobs, query, page)
        return [job_of(row) for row in found.rows], found.has_more

    async def cancel(self, owner: str, job_id: str) -> Job:
        """Ask for the job's end; nothing where it has ended. Raises `UnknownJob`.

        One that nobody has begun ends at once, however many wait for the same place.
        """
        async with self._storage.writing() as connection:
            seen = await self._seen(connection, owner, job_id)
            if seen.kind not in self._settled_by_handlers:
                dropped = await self._queue.drop(connection, job_id)
                if dropped is not None:
                    return dropped
            job = await self._queue.cancel(connection, job_id)
            assert job is not None
            return job

    async def news(self, owner: str, job_id: str, *, after: int) -> tuple[Job, Sequence[JobEvent]]:
        """What happened after the event with this number, and the job as it is then."""
        async with self._storage.reading() as connection:
            job = await self._seen(connection, owner, job_id)
            return job, await self._queue.events(connection, job_id, after=after)

    async def latest(self, limit: int) -> Sequence[Job]:
        """The newest jobs, whoever they belong to."""
        async with self._storage.reading() as connection:
            found = await page_of(connection, jobs, select(jobs), Page(limit=limit))
        return [job_of(row) for row in found.rows]

    async def of_anyone(self, job_id: str) -> Job:
        """The job, whoever it belongs to. Raises `UnknownJob`."""
        async with self._storage.reading() as connection:
            job = await self._queue.find(connection, job_id)
        if job is None:
            raise UnknownJob(
                f"There is no job {job_id[:80]!r}.", "`penstock jobs list` lists them."
            )
        return job

    async def cancel_anyones(self, job_id: str) -> Job:
        """Ask for the end of whosesoever job. Raises `UnknownJob`."""
        return await self.cancel((await self.of_anyone(job_id)).owner, job_id)

    async def cancel_all(self, owner: str) -> None:
        """Ask for the end of all of the owner's jobs that have not ended."""
        ended = [state.value for state in ENDED]
        query = select(jobs.c.id).where(jobs.c.owner == owner, jobs.c.state.not_in(ended))
        async with self._storage.writing() as connection:
            for job_id in (await connection.execute(query)).scalars().all():
                await self._queue.cancel(connection, job_id)

    async def tidy(self) -> None:
        """Delete the jobs that ended too long ago."""
        await self._queue.forget_ended(before_seconds=self._days_kept * SECONDS_PER_DAY)

    async def _seen(self, connection: AsyncConnection, owner: str, job_id: str) -> Job:
        query = select(jobs).where(jobs.c.id == job_id, jobs.c.owner == owner)
        is_id = may_be_id(job_id)
        row = (await connection.execute(query)).mappings().first() if is_id else None
        if row is None:
            raise UnknownJob(
                f"There is no job {job_id[:80]!r}.", "GET /jobs lists those there are."
            )
        return job_of(row)

    async def _check_number(self, connection: AsyncConnection, owner: str) -> None:
        query = (
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.owner == owner, jobs.c.state.not_in([s.value for s in ENDED]))
        )
        if (await connection.execute(query)).scalar_one() > self._max_unfinished:
            raise TooManyJobs(
                f"{self._max_unfinished} jobs are unfinished.",
                "Wait for one to end, or cancel one.",
            )
