"""Many jobs while servers and executors are killed at random: each that was accepted ends once.

`make stress` has a thousand of them and tells how it went.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from penstock.jobs.job import ENDED, JobState
from penstock.storage.database import Storage
from penstock.storage.tables import job_events, jobs
from tests.figures import record
from tests.scale.job_kills import GIVEN_UP, Ledger, Submitters, check_outcome, sharing
from tests.scale.processes import Restarted
from tests.storage.databases import KINDS, opened

NUM_JOBS = int(os.environ.get("PENSTOCK_STRESS_JOBS", "40"))
NUM_KILLS = max(2, NUM_JOBS // 25)
NUM_EXECUTORS = 2
PAUSES = (0.3, 1.5)  # seconds between kills
ENDS = [state.value for state in ENDED]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_accepted_job_ends_once_through_kills_of_all(kind: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    ledger = Ledger()
    started_at = time.monotonic()
    with sharing(kind, tmp_path) as (url, environment), contextlib.ExitStack() as stack:
        modules = ["tests.api.fake_server", *["tests.scale.fake_executor"] * NUM_EXECUTORS]
        processes = [
            Restarted(module, environment, tmp_path / f"process{number}.log")
            for number, module in enumerate(modules)
        ]
        for process in processes:
            stack.callback(process.close)
        submitters = Submitters(processes[0], NUM_JOBS, ledger, num_threads=4)
        async with opened(url) as storage:
            await kill_some(processes, random.Random(seed), storage)
            await asyncio.to_thread(submitters.join, 600)
            rows = await all_ended(storage)
            ends = await ends_of_each(storage)

    states = Counter(row["state"] for row in rows)
    figures = {
        "accepted": len(ledger.accepted),
        **{state: states[state] for state in ("succeeded", "failed", "cancelled")},
        "ended more than once": sum(count > 1 for count in ends.values()),
        "begun more than once": sum(row["token"] > 1 for row in rows),
        "given up": sum(GIVEN_UP in (row["error"] or "") for row in rows),
        "kills of the server": processes[0].num_kills,
        "kills of executors": sum(process.num_kills for process in processes[1:]),
        "requests without an answer": ledger.num_unanswered,
        "seconds": round(time.monotonic() - started_at, 1),
    }
    record("jobs through kills", "SQLite" if kind == "sqlite" else "PostgreSQL, Celery", figures)
    assert len(ledger.accepted) == sum(states.values()) == NUM_JOBS
    assert {row["idempotency_key"]: row["id"] for row in rows} == ledger.accepted
    assert ends == dict.fromkeys(ledger.accepted.values(), 1)
    assert states["succeeded"] > NUM_JOBS / 2
    for row in rows:
        check_outcome(row)


async def kill_some(
    processes: Sequence[Restarted], chance: random.Random, storage: Storage
) -> None:
    """Kill the server, or an executor in the middle of a job, again and again."""
    for _ in range(NUM_KILLS):
        await asyncio.sleep(chance.uniform(*PAUSES))
        if chance.random() < 1 / 3:
            await asyncio.to_thread(processes[0].kill)
            continue
        while not (busy := await at_work(processes, storage)):
            await asyncio.sleep(0.02)
        await asyncio.to_thread(chance.choice(busy).kill)


async def at_work(processes: Sequence[Restarted], storage: Storage) -> list[Restarted]:
    """The executors that have a job now."""
    query = select(jobs.c.executor).where(jobs.c.state == JobState.RUNNING.value)
    async with storage.reading() as connection:
        names = (await connection.execute(query)).scalars().all()
    pids = {int(name.split("/")[1]) for name in names}
    return [process for process in processes if process.process.pid in pids]


async def all_ended(storage: Storage) -> Sequence[Any]:
    """All jobs, once every one is at its end."""
    deadline = time.monotonic() + 600
    while True:
        async with storage.reading() as connection:
            rows = (await connection.execute(select(jobs))).mappings().all()
        unfinished = Counter(row["state"] for row in rows if row["state"] not in ENDS)
        if not unfinished:
            return rows
        assert time.monotonic() < deadline, unfinished
        await asyncio.sleep(0.2)


async def ends_of_each(storage: Storage) -> dict[str, int]:
    """How often each job came to an end."""
    query = (
        select(job_events.c.job_id, func.count())
        .where(job_events.c.event.in_(ENDS))
        .group_by(job_events.c.job_id)
    )
    async with storage.reading() as connection:
        rows = (await connection.execute(query)).all()
    return {job_id: count for job_id, count in rows}  # noqa: C416
