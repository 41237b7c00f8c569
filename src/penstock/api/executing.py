"""A process that does jobs and serves nobody: the application without a port, until a signal."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI

from penstock.api.app import create_app
from penstock.api.building import Choose, build_services, loading_options, with_dispatch
from penstock.api.server import SIGNALS, edge_of
from penstock.api.services import Services
from penstock.serving.launching import ProcessLauncher
from penstock.serving.local_models import LocalModels
from penstock.serving.spawn import WorkerChild
from penstock.settings import Settings


def run_executor(
    settings: Settings,
    choose: Choose,
    *,
    worker: WorkerChild | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Do jobs until told to stop. `announce` hears the executor's name once it looks for jobs."""
    source = LocalModels(settings.preload, loading_options(settings), hf_token=settings.hub_token)
    services = build_services(settings, source, ProcessLauncher(source, ready=worker))
    execute(settings, with_dispatch(settings, services, choose), announce=announce)


def execute(
    settings: Settings, services: Services, *, announce: Callable[[str], None] | None = None
) -> None:
    """Do jobs with these services."""
    app = create_app(services, edge_of(settings))
    asyncio.run(_execute(app, announce))


async def _execute(app: FastAPI, announce: Callable[[str], None] | None) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, told.set)
    async with app.router.lifespan_context(app):
        if announce is not None:
            announce(app.state.executor.name)
        await told.wait()
