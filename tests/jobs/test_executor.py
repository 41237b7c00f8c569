"""The executor: jobs are done once, kept, cancelled, tried again, given up and handed back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.jobs.executor import Executor, Work
from penstock.jobs.job import ENDED, Job, JobState, LeaseLost
from penstock.jobs.queue import JobQueue
from penstock.storage.database import Storage
from tests.figures import record
from tests.storage.databases import opened

NUM_JUMPS = 20
SOON = 0.05  # seconds; a lease that a test can wait for


class Doing:
    """A handler that does as a test says, and ends jobs with how often each was begun."""

    def __init__(self, storage: Storage, queue: JobQueue) -> None:
        self.storage = storage
        self.queue = queue
        self.begun: list[str] = []
        self.act: Callable[[Work], Awaitable[None]] | None = None

    async def run(self, work: Work) -> None:
        self.begun.append(work.claim.job.id)
        if self.act is not None:
            await self.act(work)
        state = JobState.CANCELLED if work.cancelled.is_set() else JobState.SUCCEEDED
        await self.end(work, state)

    async def give_up(self, work: Work) -> None:
        await self.end(work, JobState.FAILED)

    async def end(self, work: Work, state: JobState) -> None:
        async with self.storage.writing() as connection:
            await self.queue.end(connection, work.claim, state)


async def submitted(storage: Storage, queue: JobQueue) -> str:
    async with storage.writing() as connection:
        return (await queue.submit(connection, owner="o", kind="k", payload={})).id


async def found(storage: Storage, queue: JobQueue, job_id: str) -> Job:
    async with storage.reading() as connection:
        job = await queue.find(connection, job_id)
    assert job is not None
    return job


async def ended(storage: Storage, queue: JobQueue, job_id: str) -> Job:
    async with asyncio.timeout(60):
        while (job := await found(storage, queue, job_id)).state not in ENDED:
            await asyncio.sleep(0.01)
    return job


async def test_two_servers_do_every_job_once(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        queues = [JobQueue(one), JobQueue(other)]
        doings = [Doing(one, queues[0]), Doing(other, queues[1])]
        ids = [await submitted(one, queues[0]) for _ in range(10)]
        executors = [
            Executor(s, q, {"k": d}) for s, q, d in zip([one, other], queues, doings, strict=True)
        ]
        for executor in executors:
            executor.start()
        jobs = [await ended(one, queues[0], job_id) for job_id in ids]
        for executor in executors:
            await executor.stop()

    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert sorted(doings[0].begun + doings[1].begun) == sorted(ids)


async def test_a_long_job_is_kept_beyond_its_lease(storage: Storage) -> None:
    queue = JobQueue(storage, lease_seconds=1)
    doing = Doing(storage, queue)
    finish = asyncio.Event()
    doing.act = lambda work: finish.wait()  # type: ignore[assignment,return-value]
    job_id = await submitted(storage, queue)
    executor = Executor(storage, queue, {"k": doing})
    executor.start()
    first = None
    async with asyncio.timeout(60):
        while first is None or (await found(storage, queue, job_id)).lease_until == first:
            first = first or (await found(storage, queue, job_id)).lease_until
            await asyncio.sleep(0.02)

    assert await JobQueue(storage).claim("thief", ["k"]) is None
    finish.set()
    job = await ended(storage, queue, job_id)
    await executor.stop()

    assert (job.state, doing.begun) == (JobState.SUCCEEDED, [job_id])


async def test_a_job_whose_executor_fell_silent_is_done_by_another(storage: Storage) -> None:
    silent = JobQueue(storage, lease_seconds=SOON)
    job_id = await submitted(storage, silent)
    lost = await silent.claim("killed", ["k"])
    assert lost is not None
    queue = JobQueue(storage, lease_seconds=SOON)
    executor = Executor(storage, JobQueue(storage, lease_seconds=5), {"k": Doing(storage, queue)})
    await asyncio.sleep(2 * SOON)
    executor.start()

    job = await ended(storage, queue, job_id)
    await executor.stop()

    assert (job.state, job.token) == (JobState.SUCCEEDED, 2)
    with pytest.raises(LeaseLost):
        await silent.renew(lost)


async def test_a_cancelled_job_is_told_so(storage: Storage) -> None:
    queue = JobQueue(storage)
    doing = Doing(storage, queue)
    doing.act = lambda work: work.cancelled.wait()  # type: ignore[assignment,return-value]
    job_id = await submitted(storage, queue)
    executor = Executor(storage, queue, {"k": doing})
    executor.start()
    while not doing.begun:
        await asyncio.sleep(0.01)

    async with storage.writing() as connection:
        await queue.cancel(connection, job_id)
    executor.cancel(job_id)
    job = await ended(storage, queue, job_id)
    await executor.stop()

    assert job.state is JobState.CANCELLED


async def test_a_job_cancelled_before_it_begins_is_told_so(storage: Storage) -> None:
    queue = JobQueue(storage)
    job_id = await submitted(storage, queue)
    async with storage.writing() as connection:
        await queue.cancel(connection, job_id)
    executor = Executor(storage, queue, {"k": Doing(storage, queue)})
    executor.start()

    job = await ended(storage, queue, job_id)
    await executor.stop()

    assert job.state is JobState.CANCELLED


async def test_a_job_that_always_fails_is_given_up_after_three_attempts(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.jobs.queue.RETRY_SECONDS", 0.0)
    queue = JobQueue(storage, lease_seconds=1)
    doing = Doing(storage, queue)

    async def fail(work: Work) -> None:
        raise ValueError

    doing.act = fail
    job_id = await submitted(storage, queue)
    executor = Executor(storage, queue, {"k": doing})
    executor.start()

    job = await ended(storage, queue, job_id)
    await executor.stop()

    assert (job.state, doing.begun) == (JobState.FAILED, [job_id] * 3)


async def test_stopping_hands_a_job_back_unharmed_for_the_next_server(storage: Storage) -> None:
    queue = JobQueue(storage)
    doing = Doing(storage, queue)
    doing.act = lambda work: asyncio.Event().wait()  # type: ignore[assignment,return-value]
    job_id = await submitted(storage, queue)
    executor = Executor(storage, queue, {"k": doing})
    executor.start()
    while not doing.begun:
        await asyncio.sleep(0.01)

    await executor.stop()

    job = await found(storage, queue, job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)


async def test_jobs_end_once_though_the_clock_jumps_by_an_hour_and_back(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump ahead ends every lease: another takes over, and whoever had it ends nothing."""
    hours, true_now = 0, storage.now

    async def jumping(connection: AsyncConnection) -> float:
        return await true_now(connection) + 3600 * hours

    monkeypatch.setattr(storage, "now", jumping)
    queue = JobQueue(storage)
    doing = Doing(storage, queue)
    finish = asyncio.Event()
    doing.act = lambda work: finish.wait()  # type: ignore[assignment,return-value]
    executors = [Executor(storage, queue, {"k": doing}, poll_seconds=0.01) for _ in range(2)]
    for executor in executors:
        executor.start()
    jobs = []
    for _ in range(NUM_JUMPS):
        finish.clear()
        job_id = await submitted(storage, queue)
        async with asyncio.timeout(30):
            while job_id not in doing.begun:
                await asyncio.sleep(0.005)
        hours = 1 - hours
        if hours:  # wait for the other to take it over
            async with asyncio.timeout(30):
                while doing.begun.count(job_id) < 2:
                    await asyncio.sleep(0.005)
        finish.set()
        jobs.append(await ended(storage, queue, job_id))
    for executor in executors:
        await executor.stop()

    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * NUM_JUMPS
    assert [job.token for job in jobs] == [2, 1] * (NUM_JUMPS // 2)
    record("B15 a clock that jumps", "by an hour and back", {"jumps": NUM_JUMPS, "jobs": len(jobs)})
