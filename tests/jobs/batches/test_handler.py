"""Batches without a server: expiry, giving up, lost claims and trouble with the database."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import StorageUnavailable
from penstock.jobs.batches.asking import Asker
from penstock.jobs.batches.batch import KIND, Batch, BatchStatus, NewBatch
from penstock.jobs.batches.handler import BatchHandler
from penstock.jobs.batches.results import Answer
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.executor import Executor, Work
from penstock.jobs.job import JobState, LeaseLost
from penstock.jobs.queue import JobQueue
from penstock.storage.contents import Contents
from penstock.storage.database import Storage
from penstock.storage.files import FileStore, NewFile
from penstock.storage.tables import batch_results
from tests.storage.databases import opened

ENDPOINT = "/v1/completions"


class Side:
    """One server's worth of everything, over a database and a folder that others may share."""

    def __init__(self, storage: Storage, folder: Path, *, lease_seconds: float = 30) -> None:
        self.storage = storage
        self.asked: list[int] = []
        self.before: Callable[[int], object] = lambda number: None
        self.queue = JobQueue(storage, lease_seconds=lease_seconds)
        self.files = FileStore(storage, Contents(folder / "files"))
        self.batches = BatchStore(storage, self.queue, self.files, max_unfinished=10)
        self.handler = BatchHandler(
            storage=storage,
            queue=self.queue,
            files=self.files,
            batches=self.batches,
            asker=Asker(self._ask, num_places=2),
            max_line_bytes=10_000,
        )

    async def _ask(self, owner: str, endpoint: str, body: bytes) -> Answer:
        assert owner == "o"
        number = json.loads(body)["number"]
        self.asked.append(number)
        waited = self.before(number)
        if asyncio.iscoroutine(waited):
            await waited
        return Answer(200, "r", {"number": number})

    async def start(self, num_lines: int) -> Batch:
        lines = [
            {"custom_id": str(n), "method": "POST", "url": ENDPOINT, "body": {"number": n}}
            for n in range(num_lines)
        ]
        incoming = self.files.begin()
        incoming.write("\n\n".join(map(json.dumps, lines)).encode())
        new = NewFile(owner="o", purpose=KIND, filename="x")
        file = await self.files.add(new, incoming)
        return await self.batches.create(
            NewBatch(owner="o", endpoint=ENDPOINT, input_file_id=file.id, completion_window="24h")
        )

    async def claimed(self) -> Work:
        claim = await self.queue.claim("e", [KIND])
        assert claim is not None
        return Work(claim)

    async def found(self, batch: Batch) -> Batch:
        return await self.batches.get("o", batch.id)

    async def ids(self, file_id: str | None) -> list[str]:
        """The custom ids in a file."""
        if file_id is None:
            return []
        path = self.files.path(await self.files.get("o", file_id))
        return [json.loads(text)["custom_id"] for text in path.read_text().splitlines()]

    async def num_rows(self) -> int:
        async with self.storage.reading() as connection:
            query = select(func.count()).select_from(batch_results)
            return int((await connection.execute(query)).scalar_one())


@pytest.fixture
def side(storage: Storage, tmp_path: Path) -> Side:
    return Side(storage, tmp_path)


async def test_results_leave_the_database_with_the_files(side: Side) -> None:
    batch = await side.start(5)

    await side.handler.run(await side.claimed())

    batch = await side.found(batch)
    assert batch.status is BatchStatus.COMPLETED
    assert await side.ids(batch.output_file_id) == ["0", "1", "2", "3", "4"]
    assert await side.num_rows() == 0
    async with side.storage.reading() as connection:
        job = await side.queue.find(connection, batch.job_id)
    assert job is not None
    assert job.state is JobState.SUCCEEDED


async def test_what_is_not_answered_in_time_is_told_as_expired(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await side.start(6)
    work = await side.claimed()
    reached = asyncio.Event()

    async def stuck() -> None:
        reached.set()
        await asyncio.Event().wait()

    side.before = lambda number: stuck() if number >= 3 else None
    real_now = side.storage.now

    async def nearly_over(connection: AsyncConnection) -> float:
        return await real_now(connection) + 24 * 3600 - 2

    monkeypatch.setattr(side.storage, "now", nearly_over)
    await side.handler.run(work)

    batch = await side.found(batch)
    assert reached.is_set()
    assert batch.status is BatchStatus.EXPIRED
    assert await side.ids(batch.output_file_id) == ["0", "1", "2"]
    assert await side.ids(batch.error_file_id) == ["3", "4", "5"]
    assert (batch.completed, batch.failed) == (3, 3)


async def test_a_batch_that_is_given_up_keeps_its_answers(side: Side) -> None:
    batch = await side.start(4)
    work = await side.claimed()
    side.before = lambda number: asyncio.Event().wait() if number >= 2 else None
    running = asyncio.create_task(side.handler.run(work))
    while (await side.found(batch)).completed < 2:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    await side.handler.give_up(work)

    batch = await side.found(batch)
    assert batch.status is BatchStatus.FAILED
    assert batch.errors is not None
    assert batch.errors[0]["code"] == "batch_failed"
    assert await side.ids(batch.output_file_id) == ["0", "1"]
    assert await side.ids(batch.error_file_id) == ["2", "3"]


async def test_one_that_was_paused_writes_nothing_once_another_has_its_batch(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        slow, quick = Side(one, tmp_path, lease_seconds=0), Side(other, tmp_path)
        batch = await slow.start(4)
        late = await slow.claimed()
        paused = asyncio.Event()
        slow.before = lambda number: paused.wait()
        running = asyncio.create_task(slow.handler.run(late))
        while not slow.asked:
            await asyncio.sleep(0.01)

        await quick.handler.run(await quick.claimed())
        paused.set()
        with pytest.raises(LeaseLost):
            await running

        batch = await quick.found(batch)
        assert batch.status is BatchStatus.COMPLETED
        assert (batch.completed, batch.failed) == (4, 0)
        assert await quick.ids(batch.output_file_id) == ["0", "1", "2", "3"]
        assert await quick.num_rows() == 0


async def test_cancelling_and_finishing_at_once_ends_in_one_of_the_two(side: Side) -> None:
    for _ in range(4):
        batch = await side.start(3)
        work = await side.claimed()

        async def cancel(batch: Batch = batch, work: Work = work) -> None:
            await side.batches.cancel("o", batch.id)
            work.cancelled.set()

        await asyncio.gather(side.handler.run(work), cancel())

        batch = await side.found(batch)
        assert batch.status in (BatchStatus.COMPLETED, BatchStatus.CANCELLED)
        ids = await side.ids(batch.output_file_id) + await side.ids(batch.error_file_id)
        assert sorted(ids) in ([], ["0", "1", "2"])
        assert batch.status is BatchStatus.CANCELLED or ids


async def test_a_database_that_fails_for_a_while_costs_no_result(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every second transaction fails until twenty have."""
    monkeypatch.setattr("penstock.jobs.queue.RETRY_SECONDS", 0.0)
    batch = await side.start(8)
    writing = side.storage.writing
    num = 0

    @asynccontextmanager
    async def shaky() -> AsyncIterator[AsyncConnection]:
        nonlocal num
        num += 1
        if num % 2 == 0 and num < 40:
            raise StorageUnavailable("Locked.", "Wait.")
        async with writing() as connection:
            yield connection

    monkeypatch.setattr(side.storage, "writing", shaky)
    side.queue.lease_seconds = 0.5
    executor = Executor(side.storage, side.queue, {KIND: side.handler})
    executor.start()
    deadline = time.monotonic() + 60
    while (batch := await side.found(batch)).status not in (
        BatchStatus.COMPLETED,
        BatchStatus.FAILED,
    ):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await executor.stop()

    assert sorted(await side.ids(batch.output_file_id)) == [str(n) for n in range(8)]
    assert (batch.completed, batch.failed) == (8, 0)


async def test_a_batch_whose_file_is_lost_from_the_disk_fails_and_says_so(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.jobs.queue.RETRY_SECONDS", 0.0)
    batch = await side.start(3)
    side.files.path(await side.files.get("o", batch.input_file_id)).unlink()
    side.queue.lease_seconds = 0.5
    executor = Executor(side.storage, side.queue, {KIND: side.handler})
    executor.start()
    while (batch := await side.found(batch)).status is not BatchStatus.FAILED:
        await asyncio.sleep(0.02)
    await executor.stop()

    assert batch.errors is not None
    assert batch.errors[0]["code"] in ("batch_failed", "file_unreadable")


@dataclass
class Place:
    """How often a line was asked at once."""

    now: int = 0
    most: int = 0


async def test_all_batches_share_the_places(side: Side) -> None:
    place = Place()

    async def count() -> None:
        place.now += 1
        place.most = max(place.most, place.now)
        await asyncio.sleep(0.002)
        place.now -= 1

    side.before = lambda number: count()
    batches = [await side.start(5) for _ in range(3)]
    works = [await side.claimed() for _ in batches]

    await asyncio.gather(*(side.handler.run(work) for work in works))

    assert place.most == 2
    assert [(await side.found(batch)).completed for batch in batches] == [5, 5, 5]
