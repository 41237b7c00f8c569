"""An application over the fake engine: in process, or listening on a real socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.api.edge import Edge
from penstock.api.services import Services
from penstock.serving.launching import Launcher
from penstock.serving.models import ModelSource
from penstock.settings import Settings
from tests.api.real_server import EDGE, serving
from tests.fakes import FakeEngine, FakeModels


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The address of a server with the built-in model. One thread: tests run side by side."""
    with serving(Settings(threads=1, cache_mib=0)) as url:
        yield url


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def client(models: FakeModels) -> Iterator[TestClient]:
    """A client of a server whose default model is loaded."""
    with connected(models) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client() -> Iterator[TestClient]:
    """As `client`, for tests that leave no trace."""
    with connected(FakeModels()) as client:
        yield client


@contextlib.contextmanager
def connected(
    models: FakeModels, settings: Settings | None = None, edge: Edge = EDGE
) -> Iterator[TestClient]:
    app = create_app(build_services(settings or Settings(cache_mib=0), models), edge)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        while models.may_load.is_set() and client.get("/readyz").json()["status"] == "loading":
            pass
        yield client


@dataclass(frozen=True)
class Live:
    """A server on a real socket, in this event loop."""

    port: int
    services: Services
    http: httpx2.AsyncClient


class _QuietServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def listening(
    models: ModelSource,
    settings: Settings | None = None,
    *,
    http: Any = "auto",
    launcher: Launcher | None = None,
) -> AsyncIterator[Live]:
    """Serve `models` on a free port."""
    services = build_services(settings or Settings(cache_mib=0), models, launcher)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(create_app(services, EDGE), log_config=None, ws="none", http=http)
        server = _QuietServer(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            await _ready(client)
            yield Live(port, services, client)
        server.should_exit = True
        await serving


async def _ready(client: httpx2.AsyncClient) -> None:
    for _ in range(1000):
        with contextlib.suppress(httpx2.ConnectError):
            if (await client.get("/readyz")).status_code == 200:
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the server did not become ready")


@pytest.fixture
async def live() -> AsyncIterator[tuple[Live, FakeModels]]:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.005))
    async with listening(models) as live:
        yield live, models
