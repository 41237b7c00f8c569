"""A Redis that restarts, forgets or stands still: no job is lost, and texts go on being written.

The same Redis carries the jobs' messages, counts limits and keeps answers. `make stress` has the
full number of faults.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from penstock.api.app import create_app
from penstock.api.building import build_services, with_dispatch
from penstock.jobs.job import JobState
from penstock.scale.choosing import for_executor, for_server
from penstock.settings import Settings
from tests.api.real_server import EDGE
from tests.fakes import FakeEngine, FakeModels, fake_text
from tests.figures import record
from tests.scale.own_redis import OwnRedis, own_redis
from tests.scale.test_broker import Sharing

IS_STRESS = "PENSTOCK_STRESS_JOBS" in os.environ
STILL_SECONDS = 60 if IS_STRESS else 1
FAULTS: dict[str, tuple[Callable[[OwnRedis], None], int]] = {
    "restarts": (OwnRedis.restart, 20 if IS_STRESS else 2),
    "FLUSHALL": (OwnRedis.forget, 5 if IS_STRESS else 1),
    f"stands still for {STILL_SECONDS} s": (
        lambda redis: redis.hold_up(STILL_SECONDS),
        5 if IS_STRESS else 1,
    ),
}
PATIENCE_SECONDS = 60
MOST_JOBS = 80


@pytest.fixture
async def shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[OwnRedis, Sharing]]:
    """A Redis, and a server and an executor that have nothing else to tell each other by."""
    if not IS_STRESS:
        monkeypatch.setattr("penstock.scale.publishing.SWEEP_SECONDS", 0.3)
        monkeypatch.setattr("penstock.scale.consuming.SWEEP_SECONDS", 0.3)
        monkeypatch.setattr("penstock.scale.consuming.LATE_SECONDS", 0.6)
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(own_redis(tmp_path))
        settings = Settings(
            data_dir=tmp_path,
            executor="celery",
            broker_url=redis.url,
            limits_url=redis.url,
            cache_url=redis.url,
        )
        models = FakeModels(lambda: FakeEngine(step_seconds=0.005))
        server, executor = (
            create_app(with_dispatch(settings, build_services(settings, models), choose), EDGE)
            for choose in (for_server, for_executor)
        )
        for app in (server, executor):
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield redis, Sharing(server, executor, "")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_job_is_lost_and_texts_are_written_whatever_befalls_redis(
    fault: str, shared: tuple[OwnRedis, Sharing]
) -> None:
    redis, sharing = shared
    befall, times = FAULTS[fault]
    waits, job_ids = [], []
    transport = httpx2.ASGITransport(app=sharing.server)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", timeout=PATIENCE_SECONDS
    ) as client:
        for _ in range(times):
            job_ids += [await sharing.submitted(len(job_ids)) for _ in range(3)]
            befalling = asyncio.create_task(asyncio.to_thread(befall, redis))
            while not befalling.done():
                waits.append(await seconds_for_a_text(client))
                if len(job_ids) < MOST_JOBS:  # more than a queue takes would be refused
                    job_ids.append(await sharing.submitted(len(job_ids)))
                await asyncio.sleep(0.2)
            await befalling
        returned = time.monotonic()
        jobs = [await sharing.ended(job_id) for job_id in job_ids]

    figures = {
        "times": times,
        "jobs": len(jobs),
        "succeeded": sum(job.state is JobState.SUCCEEDED for job in jobs),
        "seconds until the last had ended": round(time.monotonic() - returned, 1),
        "texts meanwhile": len(waits),
        "the slowest of them in seconds": round(max(waits), 2),
    }
    record("B4 Redis in trouble", fault, figures)
    assert figures["succeeded"] == len(jobs)


async def test_jobs_end_while_redis_stands_still(shared: tuple[OwnRedis, Sharing]) -> None:
    redis, sharing = shared
    standing = asyncio.create_task(asyncio.to_thread(redis.hold_up, 30 if IS_STRESS else 10))
    await asyncio.sleep(0.2)

    jobs = [await sharing.submitted(number) for number in range(6)]
    ended = [await sharing.ended(job_id) for job_id in jobs]

    assert not standing.done()
    assert {job.state for job in ended} == {JobState.SUCCEEDED}
    await standing


async def seconds_for_a_text(client: httpx2.AsyncClient) -> float:
    """How long somebody waits for a text that is not asked for as a job."""
    started = time.monotonic()
    body = {"prompt": "Now", "max_new_tokens": 3, "seed": 1}
    answer = await client.post("/generate", json=body)
    assert answer.json()["sequences"][0]["text"] == fake_text(3)
    return time.monotonic() - started
