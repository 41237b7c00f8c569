"""Training runs and what they logged, in the form that OpenAI's clients know. Reads their files."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.api.training.presenting import error_of, progress_of
from penstock.jobs.job import ENDED, Job, JobEvent, JobState
from penstock.jobs.trainings.folders import RunFolder

JOB_PREFIX = "ftjob-"
EVENT_PREFIX = "ftevent-"
CHECKPOINT_PREFIX = "ftckpt-"
MESSAGES: Mapping[str, str] = {
    "queued": "The job waits.",
    "running": "The job has begun.",
    "cancelling": "The job is asked to end.",
    "succeeded": "The job has succeeded; the new model is served.",
    "failed": "The job has failed.",
    "cancelled": "The job was cancelled.",
}


def shown_fine_tuning(job: Job, folder: RunFolder) -> dict[str, Any]:
    """The job as OpenAI shows one."""
    asked, result = job.payload["fine_tuning"], job.result or {}
    hyperparameters = asked["hyperparameters"]
    has_succeeded = job.state is JobState.SUCCEEDED
    return {
        "id": JOB_PREFIX + job.id.removeprefix("job_"),
        "object": "fine_tuning.job",
        "created_at": int(job.created_at),
        "finished_at": None if job.finished_at is None else int(job.finished_at),
        "model": asked["model"],
        "fine_tuned_model": result.get("model"),
        "organization_id": "penstock",
        "status": job.state.value,
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "training_file": asked["training_file"],
        "validation_file": asked["validation_file"],
        "result_files": [],  # they are artefacts of the run
        "trained_tokens": result.get("tokens_seen") if has_succeeded else None,
        "error": error_of(job),
        "seed": asked["seed"],
        "estimated_finish": _estimated_finish(job, folder),
        "integrations": None,
        "metadata": asked["metadata"],
    }


def shown_events(job: Job, happened: Sequence[JobEvent], folder: RunFolder) -> list[dict[str, Any]]:
    """What happened and what was logged, the newest first.

    The log has no clock: its lines are told between the job's begin and its end.
    """
    begun = next((int(e.at) for e in happened if e.event == "running"), int(job.created_at))
    before = [e for e in happened if e.event not in ENDED]
    after = [e for e in happened if e.event in ENDED]
    events = [_state_event(job, e) for e in before]
    for number, logged in enumerate(folder.events()):
        event = _log_event(logged)
        if event is not None:
            events.append({"id": _event_id(job, f"l{number}"), "created_at": begun} | event)
    events += [_state_event(job, e) for e in after]
    return [{"object": "fine_tuning.job.event"} | event for event in reversed(events)]


def shown_checkpoints(job: Job, folder: RunFolder) -> list[dict[str, Any]]:
    """The checkpoint that is served, once it is."""
    result = job.result or {}
    if job.state is not JobState.SUCCEEDED or not result.get("exported"):
        return []
    step = int(result["exported"].rpartition("-")[2])
    losses: dict[str, float] = {}
    for logged in folder.events():
        name = {"train": "train_loss", "validation": "valid_loss"}.get(logged["event"])
        if name is not None and logged["step"] <= step:
            losses[name] = logged["loss"]
    return [
        {
            "id": CHECKPOINT_PREFIX + job.id.removeprefix("job_"),
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(job.finished_at or job.created_at),
            "fine_tuned_model_checkpoint": result["model"],
            "step_number": step,
            "metrics": {"step": step, **losses},
            "fine_tuning_job_id": JOB_PREFIX + job.id.removeprefix("job_"),
        }
    ]


def _estimated_finish(job: Job, folder: RunFolder) -> int | None:
    if job.state is not JobState.RUNNING:
        return None
    progress = progress_of(folder.events(), folder.record(), is_running=True)
    path = folder.path / "log.jsonl"
    if progress is None or progress.seconds_left is None:
        return None
    return int(path.stat().st_mtime + progress.seconds_left)


def _state_event(job: Job, event: JobEvent) -> dict[str, Any]:
    message = MESSAGES[event.event]
    has_failed = event.event == JobState.FAILED
    return {
        "id": _event_id(job, f"j{event.number}"),
        "created_at": int(event.at),
        "level": "error" if has_failed else "info",
        "message": f"{message} {job.error}" if has_failed and job.error else message,
        "type": "message",
    }


def _log_event(logged: Mapping[str, Any]) -> dict[str, Any] | None:
    step = logged["step"]
    match logged["event"]:
        case "train":
            told = {"train_loss": logged["loss"], "learning_rate": logged["learning_rate"]}
            message = f"Step {step}: training loss={logged['loss']:.2f}"
        case "validation":
            told = {"valid_loss": logged["loss"]}
            message = f"Step {step}: validation loss={logged['loss']:.2f}"
        case "score":
            names = ("perplexity_per_token", "perplexity_per_word")
            told = {name: logged[name] for name in names}
            message = f"Held-out perplexity: {logged[names[0]]:.2f} per token"
        case _:
            return None
    return {"level": "info", "message": message, "type": "metrics", "data": {"step": step, **told}}


def _event_id(job: Job, number: str) -> str:
    return f"{EVENT_PREFIX}{job.id.removeprefix('job_')}-{number}"
