"""Everything a handler can reach, in one typed place that a test can fill itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request

from penstock.accounts.accounts import Accounts
from penstock.accounts.limits.limiter import Limiter
from penstock.accounts.usage import UsageStore
from penstock.api.receipts.store import ReceiptStore
from penstock.api.telemetry.metrics import Metrics
from penstock.api.telemetry.tracing import Telemetry
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.dispatch import Dispatch
from penstock.jobs.executor import Executor
from penstock.jobs.queue import JobQueue
from penstock.jobs.store import JobStore
from penstock.jobs.trainings.folders import RunFolders
from penstock.jobs.webhooks.delivery import Deliveries
from penstock.serving.adapters import Adapters
from penstock.serving.admission import Admission
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.records.history import HistoryStore
from penstock.serving.records.ledger import Ledger
from penstock.serving.router import Router
from penstock.storage.database import Storage
from penstock.storage.files import FileStore

MakeDispatch = Callable[[Executor], Dispatch]


def does_its_own(executor: Executor) -> Dispatch:
    """This process does its jobs."""
    return executor


class ModelChanges(StrEnum):
    """Who may load, unload, fetch and remove models."""

    NOBODY = "nobody"
    ADMINISTRATORS = "administrators"
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
    jobs: JobStore
    runs: RunFolders
    deliveries: Deliveries
    private_webhooks: bool
    jobs_at_once: int
    max_upload_bytes: int
    max_line_bytes: int
    batch_lines: int
    training_nice: int
    training_threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What is written down of requests, and what their senders may take."""

    limiter: Limiter
    usage: UsageStore
    history: HistoryStore
    ledger: Ledger
    keeps_history: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes work with."""

    lifecycle: Lifecycle
    admission: Admission
    router: Router
    adapters: Adapters
    defaults: Defaults
    lasting: Lasting
    accounts: Accounts
    records: Records
    metrics: Metrics
    preload: tuple[str, ...]
    model_changes: ModelChanges = ModelChanges.NOBODY
    receipts: ReceiptStore = field(default_factory=ReceiptStore)
    cors_origins: tuple[str, ...] = ()
    make_dispatch: MakeDispatch = does_its_own
    telemetry: Telemetry | None = None


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
