"""Puts the application together: routes, errors and what every request passes through.

Builds no services; it is given them, so that a test gives its own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from penstock import __version__
from penstock.api import capabilities
from penstock.api.anthropic import ANTHROPIC
from penstock.api.docs import docs_routes
from penstock.api.errors import install_error_handlers
from penstock.api.files import file_routes
from penstock.api.inside import asker_of
from penstock.api.lab import branch, next_token, score, watermark
from penstock.api.middleware import (
    BodyLimit,
    Callers,
    CrashNet,
    KnownHosts,
    RequestIds,
    SecurityHeaders,
)
from penstock.api.ollama import OLLAMA
from penstock.api.openai import OPENAI
from penstock.api.openai.response_store import ResponseStore
from penstock.api.openai.uploading import FORM_BYTES, UPLOAD_PATH
from penstock.api.playground import adapters, compare, discovery, generate, lifecycle, texts
from penstock.api.receipts import replay
from penstock.api.services import Lasting, Services
from penstock.errors import StorageUnavailable
from penstock.jobs.batches.asking import Asker
from penstock.jobs.batches.batch import KIND
from penstock.jobs.batches.handler import BatchHandler
from penstock.jobs.executor import Executor
from penstock.storage.files import FileStore

logger = logging.getLogger(__name__)

TIDY_SECONDS = 3600
WEB_FOLDER = Path(__file__).parent.parent / "web"
DESCRIPTION = (
    "Generate text, compare models and decoding strategies. Every error is an object "
    '`{"error": {"message", "type", "param", "code"}}`; closing the connection cancels a request.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the application lets in."""

    allowed_hosts: tuple[str, ...] | None  # none: any
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: int = 2 * 2**20
    max_upload_bytes: int = 20 * 2**20


def create_app(services: Services, edge: Edge) -> FastAPI:
    """The application. Loading models starts with its lifespan."""
    app = FastAPI(
        title="Penstock",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.responses = ResponseStore()
    app.state.executor = _executor(app, services.lasting)
    install_error_handlers(app)
    for module in (
        generate,
        compare,
        texts,
        discovery,
        lifecycle,
        adapters,
        next_token,
        score,
        branch,
        watermark,
        replay,
        *OPENAI,
        *ANTHROPIC,
        *OLLAMA,
        capabilities,
    ):
        app.include_router(module.router)
    app.routes.extend([*docs_routes(), *file_routes(WEB_FOLDER)])
    _add_middleware(app, edge)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    executor: Executor = app.state.executor
    services.lifecycle.preload(services.preload)
    await services.lasting.storage.open()
    executor.start()
    tidying = asyncio.create_task(_tidy_hourly(services.lasting.files))
    try:
        yield
    finally:
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)
        await executor.stop()
        await services.lifecycle.close()
        await services.lasting.storage.close()


async def _tidy_hourly(files: FileStore) -> None:
    while True:
        try:
            await files.tidy()
        except StorageUnavailable as error:
            logger.warning("Files whose time is over stay for now. %s", error)
        await asyncio.sleep(TIDY_SECONDS)


def _executor(app: FastAPI, lasting: Lasting) -> Executor:
    """Does the batches, by asking this application as its clients do."""
    batches = BatchHandler(
        storage=lasting.storage,
        queue=lasting.queue,
        files=lasting.files,
        batches=lasting.batches,
        asker=Asker(asker_of(app), num_places=lasting.batch_lines),
        max_line_bytes=lasting.max_line_bytes,
    )
    return Executor(lasting.storage, lasting.queue, {KIND: batches})


def _add_middleware(app: FastAPI, edge: Edge) -> None:
    """The last one added is the first to see a request."""
    app.add_middleware(CrashNet)
    app.add_middleware(Callers)
    uploads = {UPLOAD_PATH: edge.max_upload_bytes + FORM_BYTES}
    app.add_middleware(BodyLimit, max_bytes=edge.max_body_bytes, larger=uploads)
    if edge.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(edge.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if edge.allowed_hosts is not None:
        app.add_middleware(KnownHosts, names=edge.allowed_hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)
