"""Does jobs on the event loop of the server: claims them, keeps the claims, hands them back.

Knows no kind of job; each kind has a handler. The one place where a job's unforeseen failure is
caught.
"""

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from penstock.errors import StorageUnavailable
from penstock.jobs.job import Claim, JobState, LeaseLost
from penstock.jobs.queue import JobQueue, is_exhausted
from penstock.storage.database import Storage

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4
POLL_SECONDS = 0.5  # where others may have submitted a job
MAX_JOBS = 4


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed job, and what is set once it should be cancelled."""

    claim: Claim
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)


class Handler(Protocol):
    """Does jobs of one kind. Must end the job, in the transaction that keeps what it brought."""

    async def run(self, work: Work) -> None:
        """Do the job, from wherever an earlier attempt got to."""

    async def give_up(self, work: Work) -> None:
        """End a job that failed as often as it may."""


class Executor:
    """Does up to `max_jobs` jobs at once, from `start` to `stop`.

    Kinds in `own_places` take none of these: those with the same place are done one at a time.
    """

    def __init__(
        self,
        storage: Storage,
        queue: JobQueue,
        handlers: Mapping[str, Handler],
        *,
        max_jobs: int = MAX_JOBS,
        poll_seconds: float = POLL_SECONDS,
        own_places: Mapping[str, str] | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()[:64]}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._storage = storage
        self._queue = queue
        self._handlers = handlers
        self._max_jobs = max_jobs
        self._own_places = own_places or {}
        self._pause_seconds = queue.lease_seconds / RENEWALS_PER_LEASE
        self._poll_seconds = min(poll_seconds, self._pause_seconds)
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._doing: dict[asyncio.Task[None], Work] = {}

    def start(self) -> None:
        """Begin to look for jobs. Starting twice is harmless."""
        self._stopped.clear()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Do nothing further and hand back what was begun. Stopping twice is harmless."""
        self._stopped.set()
        looking, self._looking = self._looking, None
        if looking is not None:
            await _ended(looking)
        begun = dict(self._doing)
        await _ended(*begun)
        for work in begun.values():
            await self._put_off(work.claim)

    def submitted(self, job_id: str) -> None:
        """Look for jobs now: one was just submitted."""
        self._wake()

    async def do(self, job_id: str) -> None:
        """Do this job until it ends or must be given up; nothing if it is not to be had."""
        if self._stopped.is_set():
            return
        claim = await self._queue.claim(self.name, self._kinds_in_free_places(), job_id)
        if claim is None:
            return
        if self._stopped.is_set() or claim.job.kind not in self._kinds_in_free_places():
            await self._put_off(claim)
            return
        await asyncio.wait([self._begin(claim)])

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of jobs that it knows how to do."""
        return self._handlers.keys()

    def _wake(self) -> None:
        self._woken.set()

    def cancel(self, job_id: str) -> None:
        """Tell a job of ours, before it would hear of it by itself, that it should be cancelled."""
        for work in self._doing.values():
            if work.claim.job.id == job_id:
                work.cancelled.set()
        self._wake()

    async def _look(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.take_waiting()
            except StorageUnavailable as error:
                logger.warning("No job can be claimed. %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()

    async def take_waiting(self) -> None:
        """Begin jobs that wait, as many as there are places for."""
        while kinds := self._kinds_with_room():
            claim = await self._queue.claim(self.name, kinds)
            if claim is None:
                return
            self._begin(claim)

    def _kinds_with_room(self) -> list[str]:
        """The kinds of which another job may be begun."""
        shared = [k for k in self._doing_kinds() if k not in self._own_places]
        is_full = len(shared) >= self._max_jobs
        return [k for k in self._kinds_in_free_places() if k in self._own_places or not is_full]

    def _kinds_in_free_places(self) -> list[str]:
        """As `_kinds_with_room` where others count the jobs that have no place of their own."""
        taken = {self._own_places.get(kind) for kind in self._doing_kinds()} - {None}
        return [kind for kind in self._handlers if self._own_places.get(kind) not in taken]

    def _doing_kinds(self) -> list[str]:
        return [work.claim.job.kind for work in self._doing.values()]

    def _begin(self, claim: Claim) -> asyncio.Task[None]:
        work = Work(claim)
        if claim.job.cancel_requested:
            work.cancelled.set()
        task = asyncio.create_task(self._do(work))
        self._doing[task] = work
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._doing[task]
        self._wake()

    async def _do(self, work: Work) -> None:
        """Run the job as long as the claim holds."""
        job = work.claim.job
        handler = self._handlers[job.kind]
        act = handler.give_up if is_exhausted(work.claim) else handler.run
        acting = asyncio.create_task(act(work))
        keeping = asyncio.create_task(self._keep(work))
        try:
            await asyncio.wait({acting, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if not acting.done():
                logger.warning("Job %s is somebody else's now.", job.id)
                return
            await acting
        except LeaseLost:
            logger.warning("Job %s is somebody else's now.", job.id)
        except StorageUnavailable as error:  # not the job's fault
            logger.warning("Job %s is put off. %s", job.id, error)
            await self._put_off(work.claim)
        except Exception:
            logger.exception("Job %s failed in attempt %d.", job.id, job.attempts)
            await self._again(work.claim)
        finally:
            await _ended(acting, keeping)

    async def _keep(self, work: Work) -> None:
        """Renew the lease until it is lost."""
        loop = asyncio.get_running_loop()
        expires_at = loop.time() + self._queue.lease_seconds
        while loop.time() < expires_at:
            await asyncio.sleep(self._pause_seconds)
            asked_at = loop.time()
            try:
                job = await self._queue.renew(work.claim)
            except StorageUnavailable as error:
                logger.warning("Job %s cannot be kept. %s", work.claim.job.id, error)
                continue
            except LeaseLost:
                return
            expires_at = asked_at + self._queue.lease_seconds
            if job.cancel_requested:
                work.cancelled.set()

    async def _put_off(self, claim: Claim) -> None:
        """Hand the job back; where that cannot be done either, its lease runs out."""
        with contextlib.suppress(LeaseLost, StorageUnavailable):
            await self._queue.hand_back(claim)

    async def _again(self, claim: Claim) -> None:
        """Try again later; one that could not even be given up ends without its handler."""
        with contextlib.suppress(LeaseLost, StorageUnavailable):
            if not is_exhausted(claim):
                await self._queue.retry(claim)
                return
            async with self._storage.writing() as connection:
                error = f"It failed in each of {claim.job.attempts} attempts."
                await self._queue.end(connection, claim, JobState.FAILED, error=error)


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
