"""From the settings to the services of a server, and to how its models are loaded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from penstock.api.access import build_accounts, storage_of
from penstock.api.permission import model_changes
from penstock.api.recording import build_records
from penstock.api.services import Defaults, Lasting, MakeDispatch, ModelChanges, Services
from penstock.api.telemetry.metrics import Metrics
from penstock.api.telemetry.tracing import GenerationSpans, otlp_telemetry
from penstock.jobs.batches import batch
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.queue import JobQueue
from penstock.jobs.store import JobStore
from penstock.jobs.trainings.folders import RunFolders
from penstock.jobs.webhooks.delivery import Deliveries
from penstock.serving.adapters import AdapterFolders, Adapters
from penstock.serving.admission import Admission
from penstock.serving.launching import Launcher
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_models import num_cores
from penstock.serving.models import LoadingOptions, ModelSource
from penstock.serving.response_cache.cache import ResponseCache
from penstock.serving.response_cache.stores import AnswerStore, answer_store
from penstock.serving.router import Router
from penstock.serving.upkeep import Rules
from penstock.settings import Settings
from penstock.storage.contents import Contents
from penstock.storage.database import Storage
from penstock.storage.files import FileStore

Choose = Callable[[Settings, Lasting], MakeDispatch]


def build_services(
    settings: Settings, source: ModelSource, launcher: Launcher | None = None
) -> Services:
    """The services for these settings. Without a launcher, models run in this process."""
    lasting = lasting_of(settings, storage_of(settings))
    lifecycle = Lifecycle(source, launcher, rules=_rules(settings))
    admission = Admission(
        max_in_flight=settings.limits.max_in_flight,
        max_waiting_tokens=settings.limits.max_waiting_tokens,
    )
    metrics = Metrics(lifecycle, admission)
    telemetry = otlp_telemetry() if settings.telemetry == "otlp" else None
    spans = () if telemetry is None else (GenerationSpans(telemetry),)
    records = build_records(settings, lasting.storage)
    return Services(
        lifecycle=lifecycle,
        admission=admission,
        router=Router(
            lifecycle,
            admission,
            ResponseCache(_answers(settings)),
            observers=(metrics.note_ended, records.ledger, *spans),
        ),
        metrics=metrics,
        telemetry=telemetry,
        adapters=Adapters(lifecycle, adapter_folders(settings)),
        defaults=Defaults(
            model=settings.model,
            comparison_models=settings.comparison_models,
            max_length=settings.max_length,
            temperature=settings.temperature,
        ),
        lasting=lasting,
        accounts=build_accounts(settings, lasting.storage),
        records=records,
        preload=settings.preload,
        model_changes=model_changes(settings),
        cors_origins=settings.cors_origins,
    )


def with_dispatch(settings: Settings, services: Services, choose: Choose | None) -> Services:
    """The services with the chosen way for jobs to be done."""
    if choose is None:
        return services
    return replace(services, make_dispatch=choose(settings, services.lasting))


def lasting_of(settings: Settings, storage: Storage) -> Lasting:
    """What outlasts the server under these settings, over this database."""
    limits = settings.limits
    queue = JobQueue(storage, lease_seconds=limits.lease_seconds)
    files = FileStore(storage, Contents(settings.data_dir / "files"))
    return Lasting(
        storage=storage,
        queue=queue,
        files=files,
        batches=BatchStore(storage, queue, files, max_unfinished=limits.max_jobs),
        jobs=JobStore(
            storage,
            queue,
            max_unfinished=limits.max_jobs,
            days_kept=limits.days_jobs_kept,
            settled_by_handlers={batch.KIND},
        ),
        runs=RunFolders(settings.data_dir),
        deliveries=Deliveries(storage, allow_private=settings.private_webhooks),
        private_webhooks=settings.private_webhooks,
        jobs_at_once=limits.jobs_at_once,
        max_upload_bytes=limits.max_upload_bytes,
        max_line_bytes=limits.max_body_bytes,
        batch_lines=limits.batch_lines,
        training_nice=settings.training.nice,
        training_threads=settings.training.threads,
    )


def loading_options(settings: Settings) -> LoadingOptions:
    """How models are loaded and run under these settings."""
    return LoadingOptions(
        data_dir=settings.data_dir,
        dtype=settings.engine.dtype,
        num_threads=settings.threads or num_cores(),
        max_batch_tokens=settings.engine.max_batch_tokens,
        max_sequences=settings.engine.max_sequences,
        cache_bytes=settings.engine.cache_mib * 2**20,
        prefix_cache=settings.engine.prefix_cache,
        watermark_key=settings.watermark_number,
        max_wait_seconds=settings.limits.max_wait_seconds,
        adapter_folders=adapter_folders(settings).named,
        adapter_bytes=settings.limits.adapter_mib * 2**20,
        drafts=settings.drafts,
    )


def patient_loading_options(settings: Settings) -> LoadingOptions:
    """As `loading_options`, for who has the model alone: what waits, waits for its own work."""
    return replace(loading_options(settings), max_wait_seconds=None)


def adapter_folders(settings: Settings) -> AdapterFolders:
    """Where the adapters of these settings lie."""
    named = tuple(Path(name).expanduser() for name in settings.adapters)
    return AdapterFolders(data_dir=settings.data_dir, named=named)


def _answers(settings: Settings) -> AnswerStore:
    url = settings.cache_url
    return answer_store(None if url is None else url.get_secret_value(), settings.cache_mib * 2**20)


def _rules(settings: Settings) -> Rules:
    memory_mib = settings.limits.memory_mib
    return Rules(
        memory_bytes=None if memory_mib is None else memory_mib * 2**20,
        keep_alive_seconds=settings.limits.keep_alive_seconds,
        obeys_keep_alive=model_changes(settings)
        in (ModelChanges.THIS_MACHINE, ModelChanges.ANYBODY),
    )
