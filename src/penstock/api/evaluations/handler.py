"""Does evaluations as jobs: through the router, on a thread of its own, anew after a restart."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.api.errors import error_body
from penstock.api.evaluations.reading import examples_of
from penstock.api.evaluations.running import EvaluationFiles, Record, record_of
from penstock.api.evaluations.schemas import EvaluationBody
from penstock.api.evaluations.served_subject import ServedSubject
from penstock.api.services import Services
from penstock.errors import EvaluationCancelled, PenstockError
from penstock.jobs.executor import Work
from penstock.jobs.job import Job, JobState
from penstock.serving.callers import CALLER, Caller

if TYPE_CHECKING:
    from penstock.evaluation.evaluation import Evaluation

NOTE_SECONDS = 0.2  # between two looks at how far it is


@dataclass(frozen=True, slots=True)
class EvaluationHandler:
    """The handler of evaluations. Their payload: `body`, and what is shown of it."""

    services: Services

    async def run(self, work: Work) -> None:
        """Evaluate, unless it is cancelled before it has ended."""
        job = work.claim.job
        if work.cancelled.is_set():
            await self._end(work, JobState.CANCELLED)
            return
        # What it asks for is small, whatever the size of the request that brought its rows.
        CALLER.set(Caller(name=job.owner, owner=job.owner))
        try:
            evaluation = await self._evaluated(work)
        except EvaluationCancelled:
            await self._end(work, JobState.CANCELLED)
        except PenstockError as error:
            result = {"error": error_body(error)["error"]}
            await self._end(work, JobState.FAILED, result=result, error=str(error))
        else:
            await asyncio.to_thread(self._files.keep, job.id, evaluation)
            from penstock.api.evaluations.work import figures_of  # noqa: PLC0415  # see routes

            figures = [figure.model_dump(mode="json") for figure in figures_of(evaluation)]
            await self._end(work, JobState.SUCCEEDED, result={"figures": figures})

    async def give_up(self, work: Work) -> None:
        """Whoever did it ended in the middle, every time."""
        error = "The server ended in the middle of each attempt."
        await self._end(work, JobState.FAILED, error=error)

    @property
    def _files(self) -> EvaluationFiles:
        return EvaluationFiles(self.services.lasting.runs.data_dir)

    async def _evaluated(self, work: Work) -> "Evaluation":
        from penstock.api.evaluations.work import carry_out, plan_of  # noqa: PLC0415  # see routes

        job, services = work.claim.job, self.services
        body = EvaluationBody.model_validate(job.payload["body"])
        plan = plan_of(body, services.defaults)
        examples = await examples_of(body, services, job.owner)
        texts = await services.router.texts(job.payload["model"])
        loop = asyncio.get_running_loop()
        subject = ServedSubject(services.router, texts, body.adapter, loop)
        record = record_of(job)
        doing = asyncio.create_task(asyncio.to_thread(carry_out, record, plan, subject, examples))
        noting = asyncio.create_task(self._note(job, record))
        stopping = asyncio.create_task(_stop_when_cancelled(work, record))
        try:
            return await asyncio.shield(doing)
        finally:
            record.is_cancelled.set()  # the thread is not to outlive what it was begun for
            await asyncio.gather(doing, return_exceptions=True)
            for task in (noting, stopping):
                task.cancel()
            await asyncio.gather(noting, stopping, return_exceptions=True)
            if record.progress is not None:
                await asyncio.to_thread(self._files.note, job.id, record.progress)

    async def _note(self, job: Job, record: Record) -> None:
        told = None
        while True:
            if record.progress is not None and record.progress is not told:
                told = record.progress
                await asyncio.to_thread(self._files.note, job.id, told)
            await asyncio.sleep(NOTE_SECONDS)

    async def _end(
        self,
        work: Work,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        lasting = self.services.lasting
        async with lasting.storage.writing() as connection:
            await lasting.queue.end(connection, work.claim, state, result=result, error=error)


async def _stop_when_cancelled(work: Work, record: Record) -> None:
    await work.cancelled.wait()
    record.is_cancelled.set()
