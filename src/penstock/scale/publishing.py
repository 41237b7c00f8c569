"""Puts the ids of jobs on a broker, and again those of jobs that nobody took up.

A broker that is down, or that loses what it was given, costs time and no job.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence

from penstock.errors import StorageUnavailable
from penstock.jobs.queue import JobQueue
from penstock.scale.broker import Broker
from penstock.storage.database import Storage

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 3.0
MAX_AT_ONCE = 1000


class Publisher:
    """Tells executors of jobs through a broker, from `start` to `stop`."""

    def __init__(
        self, broker: Broker, storage: Storage, queue: JobQueue, kinds: Collection[str]
    ) -> None:
        self._broker = broker
        self._storage = storage
        self._queue = queue
        self._kinds = kinds
        self._waiting: list[str] = []
        self._woken = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin. Starting twice is harmless."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._publish()),
                asyncio.create_task(self._sweep()),
            ]

    async def stop(self) -> None:
        """End. What was not put is put by another's sweep. Stopping twice is harmless."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submitted(self, job_id: str) -> None:
        """Put its id soon."""
        self._waiting.append(job_id)
        self._woken.set()

    def cancel(self, job_id: str) -> None:
        """Whoever does it sees that in its row; one that waits should be taken up to end."""
        self.submitted(job_id)

    async def overdue(self, *, by_seconds: float) -> Sequence[str]:
        """Ids of jobs that somebody should have taken up so long ago."""
        async with self._storage.reading() as connection:
            return await self._queue.overdue(
                connection, self._kinds, by_seconds=by_seconds, limit=MAX_AT_ONCE
            )

    async def _publish(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            job_ids, self._waiting = self._waiting[:MAX_AT_ONCE], self._waiting[MAX_AT_ONCE:]
            if self._waiting:
                self._woken.set()
            try:
                await asyncio.to_thread(self._broker.publish, job_ids)
            except Exception as error:  # of whichever client the broker has
                logger.warning("%d jobs wait for the sweep: %r", len(job_ids), error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self._put_overdue()
            except StorageUnavailable as error:
                logger.warning("Jobs that nobody took up stay for now. %s", error)
            except Exception as error:  # of whichever client the broker has
                logger.warning("The broker does not serve: %r", error)

    async def _put_overdue(self) -> None:
        """Put what should have been taken up by now, unless the broker still has as many ids.

        So that ids do not pile up while executors are busy.
        """
        overdue = await self.overdue(by_seconds=SWEEP_SECONDS)
        if overdue and await asyncio.to_thread(self._broker.num_waiting) < len(overdue):
            logger.info("%d jobs are put on the broker again.", len(overdue))
            await asyncio.to_thread(self._broker.publish, overdue)
