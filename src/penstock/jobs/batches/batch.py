"""What a batch is. Plain values; knows no database and no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

KIND = "batch"  # of its job
WINDOWS = {"24h": 24 * 3600}  # seconds
ENDPOINTS = ("/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions")


class BatchStatus(StrEnum):
    """Where a batch is on its way."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


DONE = frozenset(
    {BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as it was when it was read."""

    id: str
    owner: str
    job_id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    status: BatchStatus
    errors: Sequence[Mapping[str, Any]] | None
    output_file_id: str | None
    error_file_id: str | None
    output_lifetime_seconds: int | None
    labels: Mapping[str, str] | None
    total: int
    completed: int
    failed: int
    times: Mapping[str, float]
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What is asked for."""

    owner: str
    endpoint: str
    input_file_id: str
    completion_window: str
    labels: Mapping[str, str] | None = None
    output_lifetime_seconds: int | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one line, as the line it becomes of the output or the error file."""

    line: int
    is_error: bool
    content: str
