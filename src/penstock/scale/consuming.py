"""Takes the ids of jobs from a broker and has the executor of this process do them.

Celery's worker runs on a thread of its own, with threads that wait for the event loop's work. Jobs
of which nobody hears for long are looked for in the database: a broker that stands still, or a
client of it that does not find back, costs time and no job.
"""

import asyncio
import logging
import threading
from typing import Any

from penstock.errors import StorageUnavailable
from penstock.jobs.executor import Executor
from penstock.scale.broker import Broker
from penstock.scale.publishing import SWEEP_SECONDS, Publisher

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
LATE_SECONDS = 2 * SWEEP_SECONDS  # a job that waits longer is not left to the broker


class Consumer:
    """Hears of jobs from a broker, from `start` to `stop`; one at a time in a process."""

    def __init__(
        self, broker: Broker, executor: Executor, publisher: Publisher, *, max_jobs: int
    ) -> None:
        self._broker = broker
        self._executor = executor
        self._publisher = publisher
        self._max_jobs = max_jobs
        self._thread: threading.Thread | None = None
        self._helping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to take ids. Starting twice is harmless."""
        if self._thread is not None:
            return
        loop = asyncio.get_running_loop()

        def do(job_id: str) -> None:
            try:
                asyncio.run_coroutine_threadsafe(self._executor.do(job_id), loop).result()
            except StorageUnavailable as error:
                logger.warning("Job %s waits for the sweep. %s", job_id, error)

        self._broker.register(do)
        self._thread = threading.Thread(target=self._consume, name="broker", daemon=True)
        self._thread.start()
        self._publisher.start()
        self._helping = asyncio.create_task(self._help())

    async def stop(self) -> None:
        """Take no further id and hand back what was begun. Stopping twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        from celery.worker import state

        await self._publisher.stop()
        if self._helping is not None:
            self._helping.cancel()
        state.should_stop = 0
        await self._executor.stop()
        await asyncio.to_thread(thread.join, STOP_SECONDS)

    def submitted(self, job_id: str) -> None:
        """Put its id, for whichever executor comes first."""
        self._publisher.submitted(job_id)

    def cancel(self, job_id: str) -> None:
        """As for any other."""
        self._executor.cancel(job_id)
        self._publisher.cancel(job_id)

    async def _help(self) -> None:
        """Take up what the broker told nobody of, where there is a place."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                if await self._publisher.overdue(by_seconds=LATE_SECONDS):
                    await self._executor.take_waiting()
            except StorageUnavailable as error:
                logger.warning("Jobs that nobody took up stay for now. %s", error)

    def _consume(self) -> None:
        from celery.worker import WorkController, state

        state.should_stop = None
        worker: Any = WorkController(
            app=self._broker.app,
            pool_cls="threads",
            concurrency=self._max_jobs,
            hostname=self._executor.name,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        worker.start()
