"""Evaluations as their owners see them. Each is a job: its row says what is asked and how it ended.

How far one is, and its figures with every row, are files in the data directory.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from penstock.api.evaluations.schemas import ENDED, EvaluationBody, State
from penstock.errors import UnknownEvaluation, UnknownJob
from penstock.jobs.job import Job, JobState
from penstock.jobs.store import JobStore, NewJob
from penstock.storage.paging import Page
from penstock.tracking.durable import write_durably

if TYPE_CHECKING:
    from penstock.evaluation.evaluation import Evaluation
    from penstock.evaluation.progress import Progress

KIND = "evaluation"
PREFIX = "eval-"
FOLDER = "evaluations"  # in the data directory
MOST_LISTED = 100


@dataclass(slots=True)
class Record:
    """One evaluation as it is now. The thread that does it sets `progress`."""

    id: str
    owner: str
    model: str
    adapter: str | None
    tasks: tuple[str, ...]
    data: str
    created_at: float
    state: State = "queued"
    progress: "Progress | None" = None
    error: dict[str, Any] | None = None
    figures: list[dict[str, Any]] | None = None
    is_cancelled: Event = field(default_factory=Event)

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class EvaluationFiles:
    """What evaluations leave in a data directory. All of it blocks."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def keep(self, job_id: str, evaluation: "Evaluation") -> None:
        """Keep the figures with every row, whole or not at all."""
        from penstock.evaluation.evaluation import to_json  # noqa: PLC0415  # by who asks alone

        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps(to_json(evaluation), ensure_ascii=False)
        write_durably(self._folder / f"{job_id}.json", content)

    def read(self, job_id: str) -> "Evaluation":
        """The figures with every row. Raises `EvaluationError`."""
        from penstock.evaluation.evaluation import read_evaluation  # noqa: PLC0415  # as above

        return read_evaluation(self._folder / f"{job_id}.json")

    def note(self, job_id: str, progress: "Progress") -> None:
        """Tell how far it is."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{job_id}.progress"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(progress)), encoding="utf-8")
        partial.replace(path)

    def progress(self, job_id: str) -> "Progress | None":
        """How far it is, if it has begun."""
        from penstock.evaluation.progress import Progress  # noqa: PLC0415  # as above

        path = self._folder / f"{job_id}.progress"
        if not path.is_file():
            return None
        return Progress(**json.loads(path.read_text(encoding="utf-8")))


class Evaluations:
    """The evaluations of one database."""

    def __init__(self, jobs: JobStore, files: EvaluationFiles) -> None:
        self._jobs = jobs
        self._files = files

    async def start(self, record: Record, body: EvaluationBody) -> Record:
        """Have an evaluation done as soon as it is its turn."""
        payload = {
            "body": body.model_dump(mode="json", exclude_unset=True),
            "model": record.model,
            "adapter": record.adapter,
            "tasks": list(record.tasks),
            "data": record.data,
        }
        job = await self._jobs.create(NewJob(owner=record.owner, kind=KIND, payload=payload))
        return record_of(job)

    async def get(self, owner: str, evaluation_id: str) -> Record:
        """The evaluation, if it is the owner's."""
        try:
            job = await self._jobs.get(owner, job_id_of(evaluation_id))
        except UnknownJob:
            raise _unknown(evaluation_id) from None
        if job.kind != KIND:
            raise _unknown(evaluation_id)
        return await self._with_progress(job)

    async def of(self, owner: str) -> Sequence[Record]:
        """The owner's latest, newest first."""
        jobs, _ = await self._jobs.page(owner, Page(limit=MOST_LISTED), kind=KIND)
        return [await self._with_progress(job) for job in jobs]

    async def cancel(self, record: Record) -> Record:
        """End it at the next answer. Does nothing to one that has ended."""
        await self._jobs.cancel(record.owner, job_id_of(record.id))
        return await self.get(record.owner, record.id)

    async def evaluation(self, record: Record) -> "Evaluation":
        """The figures of one that has succeeded, with every row."""
        return await asyncio.to_thread(self._files.read, job_id_of(record.id))

    async def _with_progress(self, job: Job) -> Record:
        record = record_of(job)
        record.progress = await asyncio.to_thread(self._files.progress, job.id)
        return record


def record_of(job: Job) -> Record:
    """The evaluation that a job is."""
    asked, result = job.payload, job.result or {}
    error = result.get("error")
    if job.state is JobState.FAILED and error is None:
        error = {"message": job.error, "type": "server_error", "param": None, "code": None}
    return Record(
        id=PREFIX + job.id.removeprefix("job_"),
        owner=job.owner,
        model=asked["model"],
        adapter=asked["adapter"],
        tasks=tuple(asked["tasks"]),
        data=asked["data"],
        created_at=job.created_at,
        state=job.state.value,
        error=error,
        figures=result.get("figures"),
    )


def job_id_of(evaluation_id: str) -> str:
    """The id of the job that it is."""
    return "job_" + evaluation_id.removeprefix(PREFIX)


def _unknown(evaluation_id: str) -> UnknownEvaluation:
    return UnknownEvaluation(
        f"There is no evaluation {evaluation_id[:80]!r}.",
        f"GET /evaluations lists the latest {MOST_LISTED}.",
    )
