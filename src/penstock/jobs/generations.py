"""Does generations as jobs: asks the application as a client would, and keeps the answer.

Knows no model and no HTTP.
"""

import asyncio
import json
from dataclasses import dataclass

from penstock.jobs.batches.asking import Asker
from penstock.jobs.batches.results import Answer
from penstock.jobs.executor import Work
from penstock.jobs.job import JobState
from penstock.jobs.queue import JobQueue
from penstock.storage.database import Storage

KIND = "generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationHandler:
    """The handler of jobs that are one request. Its payload: `endpoint` and `body`."""

    storage: Storage
    queue: JobQueue
    asker: Asker

    async def run(self, work: Work) -> None:
        """Ask, unless the job is cancelled before the answer is there."""
        job = work.claim.job
        body = json.dumps(job.payload["body"]).encode()
        asking = asyncio.create_task(self.asker.ask(job.owner, job.payload["endpoint"], body))
        stopping = asyncio.create_task(work.cancelled.wait())
        try:
            await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.cancelled.is_set():
                await self._end(work, JobState.CANCELLED)
            else:
                await self._keep(work, asking.result())
        finally:
            asking.cancel()
            stopping.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)

    async def give_up(self, work: Work) -> None:
        """Whoever did it ended in the middle, every time."""
        await self._end(
            work, JobState.FAILED, error="The server ended in the middle of each attempt."
        )

    async def _keep(self, work: Work, answer: Answer) -> None:
        result = {"status": answer.status, "body": answer.body}
        state = JobState.SUCCEEDED if answer.status == 200 else JobState.FAILED
        error = None if answer.status == 200 else _message(answer)
        async with self.storage.writing() as connection:
            await self.queue.end(connection, work.claim, state, result=result, error=error)

    async def _end(self, work: Work, state: JobState, *, error: str | None = None) -> None:
        async with self.storage.writing() as connection:
            await self.queue.end(connection, work.claim, state, error=error)


def _message(answer: Answer) -> str:
    error = answer.body.get("error") if isinstance(answer.body, dict) else None
    text = str(error.get("message")) if isinstance(error, dict) else f"Status {answer.status}."
    return text.replace("\0", "")  # which no database takes
