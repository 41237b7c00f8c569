"""Does batches: checks the file, asks what has no answer yet, makes the files of the answers.

Whatever it writes, it writes only while the job is its own. Knows no model and no HTTP.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import UnknownFile
from penstock.jobs.batches import lines
from penstock.jobs.batches.asking import Asker
from penstock.jobs.batches.batch import KIND, Batch, BatchStatus, Result
from penstock.jobs.batches.lines import Line, Problem
from penstock.jobs.batches.results import Answer, answered, unanswered
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.executor import Work
from penstock.jobs.job import JobState
from penstock.jobs.queue import JobQueue
from penstock.storage.contents import Incoming
from penstock.storage.database import Storage
from penstock.storage.files import FileStore, NewFile

logger = logging.getLogger(__name__)

RESULTS_AT_ONCE = 64
OUTPUT_PURPOSE = f"{KIND}_output"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a batch ends, and what is said of the lines that were not asked then."""

    status: BatchStatus
    state: JobState
    code: str = ""
    message: str = ""


COMPLETED = Ending(BatchStatus.COMPLETED, JobState.SUCCEEDED)
CANCELLED = Ending(
    BatchStatus.CANCELLED,
    JobState.CANCELLED,
    "batch_cancelled",
    "The batch was cancelled before this request was answered.",
)
EXPIRED = Ending(
    BatchStatus.EXPIRED,
    JobState.FAILED,
    "batch_expired",
    "The batch's time was over before this request was answered.",
)
GIVEN_UP = Ending(
    BatchStatus.FAILED,
    JobState.FAILED,
    "batch_failed",
    "The server failed several times in a row before this request was answered.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHandler:
    """The handler of jobs that are batches."""

    storage: Storage
    queue: JobQueue
    files: FileStore
    batches: BatchStore
    asker: Asker
    max_line_bytes: int

    async def run(self, work: Work) -> None:
        """From wherever the batch is to its end."""
        batch = await self._batch(work)
        if batch.total == 0 and work.cancelled.is_set():
            await self._finish(work, batch, CANCELLED)
            return
        if batch.total == 0:
            batch = await self._checked(work, batch)
        if batch.status is BatchStatus.FAILED:
            return
        await self._finish(work, batch, await self._ask_lines(work, batch))

    async def give_up(self, work: Work) -> None:
        """Keep the answers there are; the rest failed."""
        batch = await self._batch(work)
        try:
            await self._finish(work, batch, GIVEN_UP)
        except (OSError, UnknownFile) as error:
            logger.warning("Batch %s loses its answers: %s", batch.id, error)
            message = "Its input cannot be read, or its output not be written."
            await self._fail(work, batch, [Problem("file_unreadable", message)])

    async def _batch(self, work: Work) -> Batch:
        async with self.storage.reading() as connection:
            return await self.batches.of_job(connection, work.claim.job.payload["batch_id"])

    async def _checked(self, work: Work, batch: Batch) -> Batch:
        """The batch in progress; or failed, where its file cannot be used."""
        path = await self._path(batch)
        total, problems = await asyncio.to_thread(
            lines.check, path, batch.endpoint, self.max_line_bytes
        )
        if problems:
            return await self._fail(work, batch, problems)
        async with self.storage.writing() as connection:
            await self.queue.get_on(connection, work.claim)
            batch = await self.batches.of_job(connection, batch.id)
            status = BatchStatus.IN_PROGRESS
            if batch.status is BatchStatus.CANCELLING:
                status = batch.status
            return await self.batches.change(connection, batch, status=status, total=total)

    async def _fail(self, work: Work, batch: Batch, problems: Sequence[Problem]) -> Batch:
        """End the batch without files."""
        async with self.storage.writing() as connection:
            error = problems[0].message
            await self.queue.end(connection, work.claim, JobState.FAILED, error=error)
            batch = await self.batches.of_job(connection, batch.id)
            await self.batches.forget_results(connection, batch)
            return await self.batches.change(
                connection, batch, status=BatchStatus.FAILED, errors=_shown(problems)
            )

    async def _ask_lines(self, work: Work, batch: Batch) -> Ending:
        """Ask what has no result, until all have one or the batch should stop."""
        done = await self.batches.answered_lines(batch)
        results: asyncio.Queue[Result | None] = asyncio.Queue()

        def tell(line: Line, answer: Answer) -> None:
            results.put_nowait(answered(line, answer))

        path = await self._path(batch)
        waiting = (
            line
            for line in lines.read(path, batch.endpoint, self.max_line_bytes)
            if line.number not in done
        )
        asking = asyncio.create_task(self.asker.ask_all(batch, waiting, tell))
        keeping = asyncio.create_task(self._keep(work, batch, results))
        stopping = asyncio.create_task(self._stopped(work, batch))
        tasks = {asking, keeping, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ending = stopping.result() if stopping.done() else COMPLETED
            if not keeping.done() and ending is COMPLETED:
                await asking
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            results.put_nowait(None)
            await keeping
            return ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(
        self, work: Work, batch: Batch, results: "asyncio.Queue[Result | None]"
    ) -> None:
        """Write results as they come, those that came together in one transaction."""
        is_last = False
        while not is_last:
            together = [await results.get()]
            while not results.empty() and len(together) < RESULTS_AT_ONCE:
                together.append(results.get_nowait())
            is_last = None in together
            kept = [result for result in together if result is not None]
            if kept:
                async with self.storage.writing() as connection:
                    await self.queue.get_on(connection, work.claim)
                    await self.batches.add_results(connection, batch, kept)

    async def _stopped(self, work: Work, batch: Batch) -> Ending:
        """Wait until the batch is cancelled or its time is over."""
        async with self.storage.reading() as connection:
            seconds_left = batch.expires_at - await self.storage.now(connection)
        try:
            async with asyncio.timeout(max(0, seconds_left)):
                await work.cancelled.wait()
        except TimeoutError:
            return EXPIRED
        return CANCELLED

    async def _finish(self, work: Work, batch: Batch, ending: Ending) -> None:
        """Make the files, and end batch and job in the transaction that makes them known."""
        async with self.storage.writing() as connection:
            await self.queue.hold(connection, work.claim)
            batch = await self.batches.of_job(connection, batch.id)
            if ending is COMPLETED and batch.status is not BatchStatus.CANCELLING:
                batch = await self.batches.change(connection, batch, status=BatchStatus.FINALIZING)
        output, errors = self.files.begin(), self.files.begin()
        try:
            num_unanswered = await self._write(batch, ending, output, errors)
            await self._end(work, batch, ending, num_unanswered, (output, errors))
        finally:
            output.drop()
            errors.drop()

    async def _write(self, batch: Batch, ending: Ending, output: Incoming, errors: Incoming) -> int:
        """Write the results to the files, and those of lines that have none; how many these are."""
        done: set[int] = set()
        async for results in self.batches.results(batch):
            for result in results:
                (errors if result.is_error else output).write(_as_line(result))
                done.add(result.line)
        if len(done) == batch.total:
            return 0
        num_unanswered = 0
        for line in lines.read(await self._path(batch), batch.endpoint, self.max_line_bytes):
            if line.number not in done:
                errors.write(_as_line(unanswered(line, ending.code, ending.message)))
                num_unanswered += 1
        return num_unanswered

    async def _end(
        self,
        work: Work,
        batch: Batch,
        ending: Ending,
        num_unanswered: int,
        written: tuple[Incoming, Incoming],
    ) -> None:
        async with self.files.linking():
            contents = [await self.files.keep(i) if i.num_bytes else None for i in written]
            async with self.storage.writing() as connection:
                await self.queue.hold(connection, work.claim)
                batch = await self.batches.of_job(connection, batch.id)
                ids: list[str | None] = []
                for content, name in zip(contents, ("output", "error"), strict=True):
                    if content is None:
                        ids.append(None)
                        continue
                    new = NewFile(
                        owner=batch.owner,
                        purpose=OUTPUT_PURPOSE,
                        filename=f"{batch.id}_{name}.jsonl",
                        lifetime_seconds=batch.output_lifetime_seconds,
                    )
                    ids.append((await self.files.insert(connection, new, content)).id)
                given_up = [Problem(ending.code, ending.message)] if ending is GIVEN_UP else []
                batch = await self.batches.change(
                    connection,
                    batch,
                    status=ending.status,
                    output_file_id=ids[0],
                    error_file_id=ids[1],
                    failed=batch.failed + num_unanswered,
                    errors=_shown(given_up),
                )
                await self.batches.forget_results(connection, batch)
                await self.queue.end(
                    connection, work.claim, ending.state, result={"batch_id": batch.id}
                )

    async def _path(self, batch: Batch) -> Path:
        return self.files.path(await self.files.get(batch.owner, batch.input_file_id))


def _shown(problems: Sequence[Problem]) -> list[dict[str, object]] | None:
    return [problem.shown() for problem in problems] or None


def _as_line(result: Result) -> bytes:
    return result.content.encode() + b"\n"
