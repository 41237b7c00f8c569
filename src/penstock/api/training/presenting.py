"""Training runs as clients see them: the job, and how far its process is by what it logged."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from penstock.api.playground.answers import Answer
from penstock.jobs.job import Job, JobState
from penstock.jobs.trainings.folders import RunFolder


class RunProgress(Answer):
    """How far a run is."""

    step: int
    max_steps: int
    tokens_seen: int | None
    loss: float | None = Field(description="Of the last logged step, in nats per learnt token.")
    validation_loss: float | None
    learning_rate: float | None
    tokens_per_second: float | None
    seconds_left: float | None


class RunAnswer(Answer):
    """A training run as it is now."""

    id: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    name: str = Field(description="As its recipe says.")
    recipe: dict[str, Any]
    serve_as: str | None
    model: str | None = Field(description="The id that its model is served by, once it is.")
    error: dict[str, Any] | None = Field(description="Why it failed.")
    progress: RunProgress | None
    artefacts: list[str] = Field(description="Files to fetch.")
    attempts: int
    created_at: float
    finished_at: float | None


class RunsAnswer(Answer):
    """A page of runs, the newest first."""

    data: list[RunAnswer]
    has_more: bool


def shown_run(job: Job, folder: RunFolder) -> RunAnswer:
    """The run for its owner. Reads its files."""
    result = job.result or {}
    events, record = folder.events(), folder.record()
    return RunAnswer(
        id=job.id,
        state=job.state.value,
        name=job.payload["recipe"]["name"],
        recipe=dict(job.payload["recipe"]),
        serve_as=job.payload["serve_as"],
        model=result.get("model"),
        error=error_of(job),
        progress=progress_of(events, record, is_running=job.state is JobState.RUNNING),
        artefacts=[path.as_posix() for path in folder.artefacts()],
        attempts=job.attempts,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def error_of(job: Job) -> dict[str, Any] | None:
    """Why it failed, if it has."""
    if job.state is not JobState.FAILED:
        return None
    problem = (job.result or {}).get("problem")
    return dict(problem or {"message": job.error, "code": "training_failed", "param": None})


def progress_of(
    events: Sequence[Mapping[str, Any]], record: Mapping[str, Any], *, is_running: bool
) -> RunProgress | None:
    """How far it is; nothing before its first step."""
    if not record.get("max_steps"):
        return None
    train, validation = _last(events, "train"), _last(events, "validation")
    step = max(record.get("step") or 0, train.get("step", 0))
    return RunProgress(
        step=step,
        max_steps=record["max_steps"],
        tokens_seen=train.get("tokens_seen", record.get("tokens_seen")),
        loss=train.get("loss"),
        validation_loss=validation.get("loss"),
        learning_rate=train.get("learning_rate"),
        tokens_per_second=train.get("tokens_per_second") if is_running else None,
        seconds_left=seconds_left(train, record["max_steps"]) if is_running else None,
    )


def _last(events: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    return next((event for event in reversed(events) if event["event"] == kind), {})


def seconds_left(train: Mapping[str, Any], max_steps: int) -> float | None:
    """About how long the steps take that are left, at the pace of the last logged one."""
    speed, step = train.get("tokens_per_second"), train.get("step")
    if not speed or not step:
        return None
    tokens_per_step = train["tokens_seen"] / step
    seconds: float = (max_steps - step) * tokens_per_step / speed
    return round(seconds, 1)
