"""Executors behind the real Redis: lost ids come again, those that come twice do no harm."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from penstock.accounts.principal import LOCAL_OWNER
from penstock.api.app import create_app
from penstock.api.building import build_services, with_dispatch
from penstock.errors import ConfigError
from penstock.jobs.generations import KIND
from penstock.jobs.job import ENDED, Job, JobState
from penstock.jobs.store import NewJob
from penstock.scale.broker import Broker
from penstock.scale.choosing import for_executor, for_server
from penstock.settings import Settings
from tests.api.real_server import EDGE
from tests.fakes import FakeEngine, FakeModels
from tests.scale.brokers import REDIS, connected, fresh_queue

ASKED = {"endpoint": "/generate", "body": {"prompt": "x", "max_new_tokens": 2}}


@dataclass(frozen=True)
class Sharing:
    """A server's application and an executor's, over one database and one broker."""

    server: FastAPI
    executor: FastAPI
    queue: str

    async def submitted(self, number: int) -> str:
        """The id of a new job."""
        payload: dict[str, Any] = {**ASKED, "number": number}
        new = NewJob(owner=LOCAL_OWNER, kind=KIND, payload=payload)
        job = await self.server.state.services.lasting.jobs.create(new)
        self.server.state.dispatch.submitted(job.id)
        return job.id

    async def ended(self, job_id: str) -> Job:
        """The job once it is at its end."""
        jobs = self.server.state.services.lasting.jobs
        async with asyncio.timeout(60):
            while (job := await jobs.of_anyone(job_id)).state not in ENDED:
                await asyncio.sleep(0.02)
        return job


@pytest.fixture
def queue() -> Iterator[str]:
    with fresh_queue() as name:
        yield name


@pytest.fixture
async def sharing(
    queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sharing]:
    monkeypatch.setattr("penstock.scale.publishing.SWEEP_SECONDS", 0.3)
    settings = Settings(
        data_dir=tmp_path, executor="celery", broker_url=REDIS, broker_queue=queue, cache_mib=0
    )
    models = FakeModels(lambda: FakeEngine(step_seconds=0.005))
    server, executor = (
        create_app(with_dispatch(settings, build_services(settings, models), choose), EDGE)
        for choose in (for_server, for_executor)
    )
    async with contextlib.AsyncExitStack() as stack:
        for app in (server, executor):
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield Sharing(server, executor, queue)


async def test_jobs_are_done_by_the_executor_whatever_becomes_of_their_messages(
    sharing: Sharing,
) -> None:
    broker = Broker(REDIS, sharing.queue)
    first = await sharing.ended(await sharing.submitted(0))

    with connected() as redis:
        ids = []
        for number in range(1, 6):
            ids.append(await sharing.submitted(number))
            redis.delete(sharing.queue)  # lost, unless it was taken already
        jobs = [await sharing.ended(job_id) for job_id in ids]
        await asyncio.to_thread(broker.publish, [*ids, *ids, "job_unknown"])  # come again
        last = await sharing.ended(await sharing.submitted(6))
        again = [await sharing.ended(job_id) for job_id in ids]

    assert {job.state for job in (first, *jobs, last)} == {JobState.SUCCEEDED}
    assert [job.token for job in again] == [1] * 5
    assert sharing.server.state.executor.name != sharing.executor.state.executor.name


async def test_a_broker_that_is_away_costs_time_and_no_job(queue: str, tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    settings = Settings(data_dir=tmp_path, executor="celery", broker_url=nowhere)
    app = create_app(
        with_dispatch(settings, build_services(settings, FakeModels()), for_server), EDGE
    )
    async with app.router.lifespan_context(app):
        new = NewJob(owner=LOCAL_OWNER, kind=KIND, payload=ASKED)
        job = await app.state.services.lasting.jobs.create(new)
        app.state.dispatch.submitted(job.id)
        await asyncio.sleep(0)

    settings = Settings(data_dir=tmp_path)
    app = create_app(build_services(settings, FakeModels()), EDGE)
    async with app.router.lifespan_context(app):
        ended = await Sharing(app, app, queue).ended(job.id)

    assert ended.state is JobState.SUCCEEDED


def test_celery_without_a_broker_is_refused_by_name(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, executor="celery")

    with pytest.raises(ConfigError, match="PENSTOCK_BROKER_URL") as refused:
        with_dispatch(settings, build_services(settings, FakeModels()), for_server)

    assert refused.value.param == "broker_url"
