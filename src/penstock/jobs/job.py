"""What a job is. Plain values; knows no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

JSON = Mapping[str, Any]


class JobState(StrEnum):
    """Where a job is on its way. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was when it was read."""

    id: str
    owner: str
    kind: str
    state: JobState
    payload: JSON
    result: JSON | None
    error: str | None
    idempotency_key: str | None
    attempts: int  # since it last got on, this one included
    token: int  # grows with every claim
    executor: str | None
    lease_until: float | None
    not_before: float
    cancel_requested: bool
    num_events: int
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job."""

    number: int  # from 1
    event: str  # the state it came into, or "cancelling"
    details: JSON
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where to tell of a job's end, and what to sign that with."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a job, as long as nobody else has claimed it since."""

    job: Job

    @property
    def key(self) -> tuple[str, int]:
        """The job's id and the fencing token."""
        return self.job.id, self.job.token


class LeaseLost(Exception):
    """Somebody else has the job now, or it has ended: whatever was being written is not."""
