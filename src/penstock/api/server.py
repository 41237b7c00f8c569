"""Runs the application under uvicorn: binds the port, reports it, drains on a signal.

The port is bound first, so a server answers before anything is loaded.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from penstock.api.app import Edge, create_app
from penstock.api.middleware import LOOPBACK_NAMES
from penstock.api.permission import model_changes
from penstock.api.services import Defaults, Lasting, ModelChanges, Services
from penstock.errors import ConfigError
from penstock.jobs.batches.store import BatchStore
from penstock.jobs.executor import Executor
from penstock.jobs.queue import JobQueue
from penstock.serving.adapters import AdapterFolders, Adapters
from penstock.serving.admission import Admission
from penstock.serving.launching import Launcher, ProcessLauncher
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_models import LocalModels, num_cores
from penstock.serving.models import LoadingOptions, ModelSource
from penstock.serving.router import Router
from penstock.serving.spawn import WorkerChild
from penstock.serving.upkeep import Rules
from penstock.settings import Settings, is_loopback
from penstock.storage.contents import Contents
from penstock.storage.database import Storage
from penstock.storage.files import FileStore
from penstock.storage.urls import default_url

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 5
LAST_WORDS_SECONDS = 5  # for error events and final bytes, once draining has ended
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    settings: Settings,
    *,
    worker: WorkerChild | None = None,
    announce: Callable[[str], None] | None = None,
) -> int:
    """Serve until told to stop; the exit status. `announce` hears the URL once it answers.

    Each model gets a process of its own; `worker` is one that was started beforehand.
    """
    source = LocalModels(settings.preload, loading_options(settings), hf_token=settings.hub_token)
    launcher = ProcessLauncher(source, ready=worker)
    return serve(settings, build_services(settings, source, launcher), announce=announce)


def serve(
    settings: Settings, services: Services, *, announce: Callable[[str], None] | None = None
) -> int:
    """Serve with these services."""
    with _bound(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        app = create_app(services, _edge(settings))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_WORDS_SECONDS,
        )
        server = DrainingServer(
            config,
            services,
            app.state.executor,
            drain_seconds=settings.limits.drain_seconds,
            on_start=lambda: _announce(f"http://{_in_url(host)}:{port}", announce),
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve_from_storage(server, services, listener))
    return server.exit_status


async def _serve_from_storage(
    server: uvicorn.Server, services: Services, listener: socket.socket
) -> None:
    """Serve once the database is known to serve."""
    await services.lasting.storage.open()
    try:
        await server.serve(sockets=[listener])
    finally:
        await services.lasting.storage.close()


def build_services(
    settings: Settings, source: ModelSource, launcher: Launcher | None = None
) -> Services:
    """The services for these settings. Without a launcher, models run in this process."""
    lifecycle = Lifecycle(source, launcher, rules=_rules(settings))
    admission = Admission(
        max_in_flight=settings.limits.max_in_flight,
        max_waiting_tokens=settings.limits.max_waiting_tokens,
    )
    return Services(
        lifecycle=lifecycle,
        admission=admission,
        router=Router(lifecycle, admission),
        adapters=Adapters(lifecycle, adapter_folders(settings)),
        defaults=Defaults(
            model=settings.model,
            comparison_models=settings.comparison_models,
            max_length=settings.max_length,
            temperature=settings.temperature,
        ),
        lasting=_lasting(settings),
        preload=settings.preload,
        model_changes=model_changes(settings),
        cors_origins=settings.cors_origins,
    )


def _lasting(settings: Settings) -> Lasting:
    limits = settings.limits
    url = settings.database_url
    storage = Storage(default_url(settings.data_dir) if url is None else url.get_secret_value())
    queue = JobQueue(storage, lease_seconds=limits.lease_seconds)
    files = FileStore(storage, Contents(settings.data_dir / "files"))
    return Lasting(
        storage=storage,
        queue=queue,
        files=files,
        batches=BatchStore(storage, queue, files, max_unfinished=limits.max_jobs),
        max_upload_bytes=limits.max_upload_bytes,
        max_line_bytes=limits.max_body_bytes,
        batch_lines=limits.batch_lines,
    )


def _rules(settings: Settings) -> Rules:
    memory_mib = settings.limits.memory_mib
    return Rules(
        memory_bytes=None if memory_mib is None else memory_mib * 2**20,
        keep_alive_seconds=settings.limits.keep_alive_seconds,
        obeys_keep_alive=model_changes(settings) is not ModelChanges.NOBODY,
    )


class DrainingServer(uvicorn.Server):
    """On a first signal takes nothing new and lets what runs finish; on a second stops at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        services: Services,
        executor: Executor,
        *,
        drain_seconds: float,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._services = services
        self._executor = executor
        self._drain_seconds = drain_seconds
        self._on_start = on_start
        self._draining: asyncio.Task[None] | None = None
        self.exit_status = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals go to `_take_signal`, on the event loop, while the server runs."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._take_signal, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _take_signal(self, number: int) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
            return
        self.exit_status = 128 + number
        self.should_exit = self.force_exit = True

    async def _drain(self) -> None:
        logger.info("Stopping: what runs may finish within %s s.", self._drain_seconds)
        await self._executor.stop()
        finished = await self._services.router.drain(timeout_seconds=self._drain_seconds)
        if not finished:
            logger.warning("Some requests did not finish in time; they are told so.")
        await self._services.lifecycle.close()
        self.should_exit = True


def _in_url(host: str) -> str:
    """An address as it stands in a URL and in a Host header."""
    return f"[{host}]" if ":" in host else host


def _announce(url: str, announce: Callable[[str], None] | None) -> None:
    logger.info("Listening on %s", url)
    if announce is not None:
        announce(url)


def _edge(settings: Settings) -> Edge:
    hosts = (*LOOPBACK_NAMES, _in_url(settings.host), *settings.allowed_hosts)
    is_open = not is_loopback(settings.host) and not settings.allowed_hosts
    return Edge(
        allowed_hosts=None if is_open else hosts,
        cors_origins=settings.cors_origins,
        max_body_bytes=settings.limits.max_body_bytes,
        max_upload_bytes=settings.limits.max_upload_bytes,
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
    )


def adapter_folders(settings: Settings) -> AdapterFolders:
    """Where the adapters of these settings lie."""
    named = tuple(Path(name).expanduser() for name in settings.adapters)
    return AdapterFolders(data_dir=settings.data_dir, named=named)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, or a `ConfigError` that says why there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on {host}:{port}: {error.strerror or error}.",
                "Stop what uses it, or choose another with --port or PENSTOCK_PORT.",
                param="port",
            ) from error
        yield listener
