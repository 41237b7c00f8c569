"""The queue against a model of it, under any order of claims, crashes, waits and late writers."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.jobs.job import ENDED, Claim, Job, JobState, LeaseLost
from penstock.jobs.queue import JobQueue, is_exhausted
from penstock.storage.database import Storage
from penstock.storage.tables import jobs
from tests.storage.databases import fresh_database, opened

T = TypeVar("T")
LEASE = 30.0


class HandSetStorage(Storage):
    """Storage whose clock is set by hand."""

    seconds = 1000.0

    async def now(self, connection: AsyncConnection) -> float:
        return self.seconds


@dataclass
class Expected:
    """What is known of one job."""

    token: int = 0
    attempts: int = 0
    state: JobState = JobState.QUEUED
    lease_until: float = 0.0
    not_before: float = 0.0
    results: list[int] = field(default_factory=list)  # the tokens that ended it


class QueueMachine(RuleBasedStateMachine):
    """Two servers that share a database, whose executors stop, crash and come late."""

    kind = "sqlite"
    claims = Bundle("claims")

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        url = self.stack.enter_context(fresh_database(self.kind, folder))
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.stores = [HandSetStorage(url), HandSetStorage(url)]
        self.queues = [JobQueue(s, lease_seconds=LEASE) for s in self.stores]
        for storage in self.stores:
            self.runner.run(storage.open())
        self.expected: dict[str, Expected] = {}
        self.keys: dict[str, str | None] = {}
        self.submit(None)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            for storage in self.stores:
                self.runner.run(storage.close())
            self.stack.close()

    @property
    def now(self) -> float:
        return self.stores[0].seconds

    def write(self, act: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async def write() -> T:
            async with self.stores[0].writing() as connection:
                return await act(connection)

        return self.runner.run(write())

    @rule(key=st.sampled_from([None, "a", "b"]))
    def submit(self, key: str | None) -> None:
        self.wait(0.001)  # no two at once, so that which is the oldest is no matter of chance
        job = self.write(
            lambda connection: self.queues[0].submit(
                connection, owner="o", kind="k", payload={}, idempotency_key=key
            )
        )
        if key is None or not any(name == key for name in self.keys.values()):
            assert job.id not in self.expected
            self.keys[job.id] = key
            self.expected[job.id] = Expected(not_before=self.now)
        else:
            assert self.keys[job.id] == key

    @rule(target=claims, server=st.sampled_from([0, 1]))
    def claim(self, server: int) -> Any:
        claim = self.runner.run(self.queues[server].claim(f"e{server}", ["k"]))
        free = {
            job_id
            for job_id, job in self.expected.items()
            if (job.state is JobState.QUEUED and job.not_before <= self.now)
            or (job.state is JobState.RUNNING and job.lease_until < self.now)
        }
        if claim is None:
            assert free == set()
            return multiple()
        assert claim.job.id in free
        job = self.expected[claim.job.id]
        job.state, job.lease_until = JobState.RUNNING, self.now + LEASE
        job.token += 1
        job.attempts += 1
        assert (claim.job.token, claim.job.attempts) == (job.token, job.attempts)
        assert is_exhausted(claim) == (job.attempts > 3)
        return claim

    @rule(target=claims, server=st.sampled_from([0, 1]))
    def claim_after_silence(self, server: int) -> Any:
        """So long that whoever had a job and said nothing has lost it."""
        self.wait(LEASE + 1)
        return self.claim(server)

    @rule(seconds=st.sampled_from([1.0, 5.0, LEASE + 1]))
    def wait(self, seconds: float) -> None:
        for storage in self.stores:
            storage.seconds += seconds

    @rule(server=st.sampled_from([0, 1]))
    def drop(self, server: int) -> None:
        """The owner of the newest job gives it up, whether or not somebody has begun it."""
        job_id, job = list(self.expected.items())[-1]
        dropped = self.write(lambda c: self.queues[server].drop(c, job_id))
        if job.state is JobState.QUEUED and job.token == 0:
            job.state = JobState.CANCELLED
            assert dropped is not None and dropped.finished_at == self.now
        else:
            assert dropped is None

    def if_held(self, claim: Claim, act: Callable[[], object]) -> Expected | None:
        """Do what only the holder of the latest claim may; the job, if it was done."""
        job = self.expected[claim.job.id]
        if job.state is JobState.RUNNING and job.token == claim.job.token:
            act()
            return job
        with pytest.raises(LeaseLost):
            act()
        return None

    @rule(claim=claims, what=st.sampled_from(["renew", "get_on", "end", "hand_back", "retry"]))
    def act(self, claim: Claim, what: str) -> None:
        """Whoever ever had a claim acts as if it still held."""
        queue = self.queues[0]
        if what == "renew":
            job = self.if_held(claim, lambda: self.runner.run(queue.renew(claim)))
        elif what == "get_on":
            job = self.if_held(claim, lambda: self.write(lambda c: queue.get_on(c, claim)))
        elif what == "hand_back":
            job = self.if_held(claim, lambda: self.runner.run(queue.hand_back(claim)))
        elif what == "retry":
            job = self.if_held(claim, lambda: self.runner.run(queue.retry(claim)))
        else:
            job = self.if_held(claim, lambda: self.write(lambda c: self.ended(c, claim)))
        if job is not None:
            self.expect(job, claim, what)

    async def ended(self, connection: AsyncConnection, claim: Claim) -> Job:
        queue = self.queues[0]
        await queue.hold(connection, claim)
        result = {"token": claim.job.token}
        return await queue.end(connection, claim, JobState.SUCCEEDED, result=result)

    def expect(self, job: Expected, claim: Claim, what: str) -> None:
        if what == "renew":
            job.lease_until = self.now + LEASE
        elif what == "get_on":
            job.attempts = 1
        elif what == "end":
            job.state = JobState.SUCCEEDED
            job.results.append(claim.job.token)
        else:
            job.state = JobState.QUEUED
            if what == "hand_back":
                job.attempts -= 1
            else:
                job.not_before = self.now + 2.0 * 2 ** (claim.job.attempts - 1)

    @invariant()
    def the_database_holds_what_is_expected(self) -> None:
        if not hasattr(self, "stores"):
            return
        rows = {row["id"]: row for row in self.runner.run(all_rows(self.stores[1]))}
        assert rows.keys() == self.expected.keys()
        for job_id, job in self.expected.items():
            row = rows[job_id]
            assert (row["state"], row["token"], row["attempts"]) == (
                job.state,
                job.token,
                job.attempts,
            )
            assert len(job.results) == (job.state is JobState.SUCCEEDED)
            assert (row["finished_at"] is not None) == (job.state in ENDED)
            assert row["result"] == ({"token": job.results[0]} if job.results else None)


async def all_rows(storage: Storage) -> list[Any]:
    async with storage.reading() as connection:
        return list((await connection.execute(select(jobs))).mappings())


class PostgresqlMachine(QueueMachine):
    kind = "postgresql"


TestOnSqlite = QueueMachine.TestCase
TestOnSqlite.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
TestOnPostgresql = PostgresqlMachine.TestCase
TestOnPostgresql.settings = settings(max_examples=6, stateful_step_count=30, deadline=None)


async def test_racing_servers_claim_each_job_once(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        queues = [JobQueue(one), JobQueue(other)]
        async with one.writing() as connection:
            for _ in range(20):
                await queues[0].submit(connection, owner="o", kind="k", payload={})

        async def claim_all(number: int) -> list[str]:
            claimed = []
            while (claim := await queues[number % 2].claim(f"e{number}", ["k"])) is not None:
                claimed.append(claim.job.id)
            return claimed

        lists = await asyncio.gather(*(claim_all(number) for number in range(4)))
        claimed = [job_id for ids in lists for job_id in ids]

    assert len(claimed) == len(set(claimed)) == 20


async def test_a_key_sent_twice_at_once_makes_one_job(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:

        async def submit(storage: Storage) -> str:
            async with storage.writing() as connection:
                job = await JobQueue(storage).submit(
                    connection, owner="o", kind="k", payload={}, idempotency_key="same"
                )
            return job.id

        assert len(set(await asyncio.gather(*map(submit, [one, other] * 3)))) == 1


async def test_what_is_written_for_a_lost_claim_is_not_kept(storage: Storage) -> None:
    queue = JobQueue(storage, lease_seconds=0)
    async with storage.writing() as connection:
        first = await queue.submit(connection, owner="o", kind="k", payload={})
    late = await queue.claim("slow", ["k"])
    now = await queue.claim("quick", ["k"])
    assert late is not None
    assert now is not None

    async def write_late() -> None:
        async with storage.writing() as connection:
            await queue.submit(connection, owner="o", kind="of the late", payload={})
            await queue.end(connection, late, JobState.SUCCEEDED)

    with pytest.raises(LeaseLost):
        await write_late()

    async with storage.reading() as connection:
        assert list((await connection.execute(select(jobs.c.id))).scalars()) == [first.id]
