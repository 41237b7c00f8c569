"""Everything a handler can reach, in one typed place that a test can fill itself."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request

from penstock.api.receipts.store import ReceiptStore
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.queue import JobQueue
from penstock.serving.adapters import Adapters
from penstock.serving.admission import Admission
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.router import Router
from penstock.storage.database import Storage
from penstock.storage.files import FileStore


class ModelChanges(StrEnum):
    """Who may load, unload, fetch and remove models."""

    NOBODY = "nobody"
    THIS_MACHINE = "this machine"
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What an operator decides for requests that leave it open."""

    model: str
    comparison_models: tuple[str, ...] = ()
    max_length: int = 100
    temperature: float | None = None  # each strategy's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """What outlasts the server, and how much of it one caller may have."""

    storage: Storage
    queue: JobQueue
    files: FileStore
    batches: BatchStore
    max_upload_bytes: int
    max_line_bytes: int
    batch_lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes work with."""

    lifecycle: Lifecycle
    admission: Admission
    router: Router
    adapters: Adapters
    defaults: Defaults
    lasting: Lasting
    preload: tuple[str, ...]
    model_changes: ModelChanges = ModelChanges.NOBODY
    receipts: ReceiptStore = field(default_factory=ReceiptStore)
    cors_origins: tuple[str, ...] = ()


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
