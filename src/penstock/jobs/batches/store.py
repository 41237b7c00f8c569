"""Batches and their results as rows. Knows no model and no file's content."""

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import FileInUse, InvalidParameter, TooManyJobs, UnknownBatch, UnknownFile
from penstock.jobs.batches.batch import DONE, KIND, WINDOWS, Batch, BatchStatus, NewBatch, Result
from penstock.jobs.queue import JobQueue
from penstock.storage.database import Storage
from penstock.storage.files import FileStore, StoredFile
from penstock.storage.ids import may_be_id
from penstock.storage.paging import Page, page_of
from penstock.storage.tables import batch_results, batches

RESULTS_AT_ONCE = 200


class BatchStore:
    """The batches in one database."""

    def __init__(
        self, storage: Storage, queue: JobQueue, files: FileStore, *, max_unfinished: int
    ) -> None:
        self._storage = storage
        self._queue = queue
        self._files = files
        self._max_unfinished = max_unfinished

    async def create(self, new: NewBatch) -> Batch:
        """A batch that waits; or the one that the same idempotency key made before."""
        async with self._storage.writing() as connection:
            await self._check_input(connection, new)
            batch_id = f"batch_{uuid.uuid4().hex}"
            job = await self._queue.submit(
                connection,
                owner=new.owner,
                kind=KIND,
                payload={"batch_id": batch_id},
                idempotency_key=new.idempotency_key,
            )
            if job.payload["batch_id"] != batch_id:
                return await self._seen(connection, new.owner, job.payload["batch_id"])
            await self._check_number(connection, new.owner)
            row = {
                "id": batch_id,
                "owner": new.owner,
                "job_id": job.id,
                "endpoint": new.endpoint,
                "input_file_id": new.input_file_id,
                "completion_window": new.completion_window,
                "status": BatchStatus.VALIDATING.value,
                "output_lifetime_seconds": new.output_lifetime_seconds,
                "labels": None if new.labels is None else dict(new.labels),
                "total": 0,
                "completed": 0,
                "failed": 0,
                "times": {},
                "created_at": job.created_at,
                "expires_at": job.created_at + WINDOWS[new.completion_window],
            }
            added = await connection.execute(insert(batches).values(row).returning(batches))
            return _batch(added.mappings().one())

    async def get(self, owner: str, batch_id: str) -> Batch:
        """The batch. Raises `UnknownBatch`."""
        async with self._storage.reading() as connection:
            return await self._seen(connection, owner, batch_id)

    async def of_job(self, connection: AsyncConnection, batch_id: str) -> Batch:
        """The batch that a job is about; until the transaction ends nobody else changes it."""
        query = select(batches).where(batches.c.id == batch_id).with_for_update()
        return _batch((await connection.execute(query)).mappings().one())

    async def page(self, owner: str, page: Page) -> tuple[Sequence[Batch], bool]:
        """A page of the owner's batches, and whether there are more."""
        async with self._storage.reading() as connection:
            query = select(batches).where(batches.c.owner == owner)
            found = await page_of(connection, batches, query, page)
        return [_batch(row) for row in found.rows], found.has_more

    async def cancel(self, owner: str, batch_id: str) -> Batch:
        """Ask for the batch's end. Asking twice is harmless. Raises `InvalidParameter`."""
        async with self._storage.writing() as connection:
            batch = await self._seen(connection, owner, batch_id)
            await self._queue.cancel(connection, batch.job_id)  # locked first, as executors do
            batch = await self.of_job(connection, batch_id)
            if batch.status is BatchStatus.CANCELLING:
                return batch
            if batch.status in DONE:
                raise InvalidParameter(
                    f"The batch is {batch.status.value} and cannot be cancelled.",
                    "Nothing is left to cancel.",
                    param="batch_id",
                )
            return await self.change(connection, batch, status=BatchStatus.CANCELLING)

    async def change(
        self, connection: AsyncConnection, batch: Batch, *, status: BatchStatus, **values: Any
    ) -> Batch:
        """Change the batch's status, noting when, and what else is given."""
        now = await self._storage.now(connection)
        times = {**batch.times, f"{status.value}_at": now}
        changed = await connection.execute(
            update(batches)
            .where(batches.c.id == batch.id)
            .values(status=status.value, times=times, **values)
            .returning(batches)
        )
        return _batch(changed.mappings().one())

    async def remove_file(self, owner: str, file_id: str) -> StoredFile:
        """Delete a file, unless a batch that is under way reads it. Raises `FileInUse`."""
        async with self._storage.writing() as connection:
            file = await self._files.find(connection, owner, file_id)
            unfinished = select(batches.c.id).where(
                batches.c.input_file_id == file_id, batches.c.status.not_in(_DONE)
            )
            used_by = (await connection.execute(unfinished.limit(1))).scalar()
            if used_by is not None:
                raise FileInUse(
                    f"Batch {used_by} is under way and reads this file.",
                    "Wait for its end, or cancel it first.",
                )
            await self._files.remove(connection, file)
        await self._files.discard(file.digest)
        return file

    async def add_results(
        self, connection: AsyncConnection, batch: Batch, results: Sequence[Result]
    ) -> None:
        """Keep results and count them. A line that has one already is an error."""
        rows = [
            {
                "batch_id": batch.id,
                "line": r.line,
                "is_error": r.is_error,
                "content": r.content,
            }
            for r in results
        ]
        await connection.execute(insert(batch_results), rows)
        num_failed = sum(result.is_error for result in results)
        await connection.execute(
            update(batches)
            .where(batches.c.id == batch.id)
            .values(
                completed=batches.c.completed + len(results) - num_failed,
                failed=batches.c.failed + num_failed,
            )
        )

    async def answered_lines(self, batch: Batch) -> set[int]:
        """The numbers of the lines that have a result."""
        query = select(batch_results.c.line).where(batch_results.c.batch_id == batch.id)
        async with self._storage.reading() as connection:
            return set((await connection.execute(query)).scalars())

    async def results(self, batch: Batch) -> AsyncIterator[Sequence[Result]]:
        """All results in the order of their lines, some at a time."""
        last = 0
        while True:
            query = (
                select(batch_results.c.line, batch_results.c.is_error, batch_results.c.content)
                .where(batch_results.c.batch_id == batch.id, batch_results.c.line > last)
                .order_by(batch_results.c.line)
                .limit(RESULTS_AT_ONCE)
            )
            async with self._storage.reading() as connection:
                rows = (await connection.execute(query)).all()
            if not rows:
                return
            last = rows[-1].line
            yield [Result(row.line, row.is_error, row.content) for row in rows]

    async def forget_results(self, connection: AsyncConnection, batch: Batch) -> None:
        """Their files have them now."""
        await connection.execute(delete(batch_results).where(batch_results.c.batch_id == batch.id))

    async def _seen(self, connection: AsyncConnection, owner: str, batch_id: str) -> Batch:
        query = select(batches).where(batches.c.id == batch_id, batches.c.owner == owner)
        is_id = may_be_id(batch_id)
        row = (await connection.execute(query)).mappings().first() if is_id else None
        if row is None:
            raise UnknownBatch(
                f"There is no batch {batch_id[:80]!r}.", "GET /v1/batches lists those there are."
            )
        return _batch(row)

    async def _check_input(self, connection: AsyncConnection, new: NewBatch) -> None:
        try:
            file = await self._files.find(connection, new.owner, new.input_file_id)
        except UnknownFile as error:
            raise InvalidParameter(error.problem, error.hint, param="input_file_id") from error
        if file.purpose != KIND:
            raise InvalidParameter(
                f"The file's purpose is {file.purpose}.",
                "Upload it with the purpose batch.",
                param="input_file_id",
            )
        window = WINDOWS[new.completion_window]
        now = await self._storage.now(connection)
        if file.expires_at is not None and file.expires_at < now + window:
            raise InvalidParameter(
                f"The file expires within the batch's {window} seconds.",
                "Upload it with a longer life, or without an end.",
                param="input_file_id",
            )

    async def _check_number(self, connection: AsyncConnection, owner: str) -> None:
        query = (
            select(func.count())
            .select_from(batches)
            .where(batches.c.owner == owner, batches.c.status.not_in(_DONE))
        )
        if (await connection.execute(query)).scalar_one() >= self._max_unfinished:
            raise TooManyJobs(
                f"{self._max_unfinished} batches are unfinished.",
                "Wait for one to end, or cancel one.",
            )


_DONE = [status.value for status in DONE]


def _batch(row: RowMapping) -> Batch:
    return Batch(**{**row, "status": BatchStatus(row["status"])})
