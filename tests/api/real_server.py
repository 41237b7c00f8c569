"""A server on a real socket, on a thread of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from penstock.api.app import create_app
from penstock.api.building import build_services, loading_options
from penstock.api.edge import Edge
from penstock.api.middleware import LOOPBACK_NAMES
from penstock.serving.local_models import LocalModels
from penstock.serving.models import ModelSource
from penstock.settings import Settings

EDGE = Edge(allowed_hosts=tuple(LOOPBACK_NAMES))


class ServerThread(threading.Thread):
    """The application on a thread of its own, so that a blocking client can be tested."""

    def __init__(self, settings: Settings, source: ModelSource) -> None:
        super().__init__(daemon=True)
        app = create_app(build_services(settings, source), EDGE)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        self.server.run(sockets=[self.listener])

    def stop(self) -> None:
        self.server.should_exit = True
        self.join(20)
        self.listener.close()


@contextlib.contextmanager
def serving(settings: Settings, source: ModelSource | None = None) -> Iterator[str]:
    """The address of a server with these settings, and their models unless others are given."""
    thread = ServerThread(
        settings, source or LocalModels(settings.preload, loading_options(settings))
    )
    thread.start()
    deadline = time.monotonic() + 60
    while not thread.server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    yield thread.url
    thread.stop()
