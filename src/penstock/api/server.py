"""Runs the application under uvicorn: binds the port, reports it, drains on a signal.

The port is bound first, so a server answers before anything is loaded.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from penstock.api.access import prepare_accounts
from penstock.api.app import create_app
from penstock.api.building import Choose, build_services, loading_options, with_dispatch
from penstock.api.connections import ConnectionLimits, guarded
from penstock.api.edge import Edge
from penstock.api.middleware import LOOPBACK_NAMES
from penstock.api.services import Services
from penstock.errors import ConfigError
from penstock.jobs.dispatch import Dispatch
from penstock.serving.launching import ProcessLauncher
from penstock.serving.local_models import LocalModels
from penstock.serving.spawn import WorkerChild
from penstock.settings import Settings, is_loopback

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 5
LAST_WORDS_SECONDS = 5  # for error events and final bytes, once draining has ended
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    settings: Settings,
    *,
    worker: WorkerChild | None = None,
    announce: Callable[[str], None] | None = None,
    choose: Choose | None = None,
) -> int:
    """Serve until told to stop; the exit status. `announce` hears the URL once it answers.

    Each model gets a process of its own; `worker` is one that was started beforehand. `choose`
    says who does jobs; without it this process does.
    """
    source = LocalModels(settings.preload, loading_options(settings), hf_token=settings.hub_token)
    launcher = ProcessLauncher(source, ready=worker)
    services = with_dispatch(settings, build_services(settings, source, launcher), choose)
    return serve(settings, services, announce=announce)


def serve(
    settings: Settings, services: Services, *, announce: Callable[[str], None] | None = None
) -> int:
    """Serve with these services."""
    with _bound(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        app = create_app(services, edge_of(settings))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            http=guarded(ConnectionLimits(max_connections=settings.limits.max_connections)),
            proxy_headers=False,  # a middleware heeds those of the proxies that are trusted
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_WORDS_SECONDS,
        )
        server = DrainingServer(
            config,
            services,
            app.state.dispatch,
            drain_seconds=settings.limits.drain_seconds,
            on_start=lambda: _announce(f"http://{_in_url(host)}:{port}", announce),
        )
        gc.freeze()  # what is there now stays: to look through it again made requests wait 0.1 s
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve_from_storage(server, settings, services, listener))
    return server.exit_status


async def _serve_from_storage(
    server: uvicorn.Server, settings: Settings, services: Services, listener: socket.socket
) -> None:
    """Serve once the database is known to serve, and somebody can sign in where that is needed."""
    await services.lasting.storage.open()
    try:
        password = await prepare_accounts(settings, services.accounts)
        if password is not None:
            _tell_password(settings.admin_username, password)
        await server.serve(sockets=[listener])
    finally:
        await services.lasting.storage.close()


class DrainingServer(uvicorn.Server):
    """On a first signal takes nothing new and lets what runs finish; on a second stops at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        services: Services,
        dispatch: Dispatch,
        *,
        drain_seconds: float,
        on_start: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._services = services
        self._dispatch = dispatch
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
        await self._dispatch.stop()
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


def _tell_password(username: str, password: str) -> None:
    """Once, to who started the server, and into no log."""
    sys.stderr.write(
        f"There is no administrator yet. Sign in as {username} with the password {password} "
        "and change it; it is not shown again.\n"
    )
    sys.stderr.flush()


def edge_of(settings: Settings) -> Edge:
    """What these settings let in."""
    hosts = (*LOOPBACK_NAMES, _in_url(settings.host), *settings.allowed_hosts)
    is_open = not is_loopback(settings.host) and not settings.allowed_hosts
    return Edge(
        allowed_hosts=None if is_open else hosts,
        cors_origins=settings.cors_origins,
        trusted_proxies=settings.trusted_proxies,
        max_body_bytes=settings.limits.max_body_bytes,
        max_upload_bytes=settings.limits.max_upload_bytes,
    )


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
