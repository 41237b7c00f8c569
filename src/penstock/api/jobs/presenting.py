"""Jobs as they are shown."""

from typing import Any, Literal

from pydantic import Field

from penstock.api.playground.answers import Answer
from penstock.jobs.job import Job, JobEvent


class JobAnswer(Answer):
    """A job as it is now."""

    id: str
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    payload: dict[str, Any]
    result: dict[str, Any] | None = Field(description="What came of it, once it has ended.")
    error: str | None
    attempts: int = Field(description="How often it was begun since it last got on.")
    cancel_requested: bool
    created_at: float = Field(description="Seconds since 1970, as all times here.")
    finished_at: float | None


class JobList(Answer):
    """A page of jobs, the newest first."""

    data: list[JobAnswer]
    has_more: bool


def shown_job(job: Job) -> JobAnswer:
    """The job for its owner."""
    return JobAnswer(
        id=job.id,
        kind=job.kind,
        state=job.state.value,
        payload=dict(job.payload),
        result=None if job.result is None else dict(job.result),
        error=job.error,
        attempts=job.attempts,
        cancel_requested=job.cancel_requested,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def shown_event(event: JobEvent) -> dict[str, Any]:
    """What happened, as an event of the stream."""
    return {"number": event.number, "event": event.event, "at": event.at, **event.details}
