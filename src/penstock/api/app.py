"""Puts the application together: routes, errors and what every request passes through.

Builds no services; it is given them, so that a test gives its own.
"""

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
from penstock.api.playground import adapters, compare, discovery, generate, lifecycle, texts
from penstock.api.receipts import replay
from penstock.api.services import Services

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
    services.lifecycle.preload(services.preload)
    try:
        yield
    finally:
        await services.lifecycle.close()


def _add_middleware(app: FastAPI, edge: Edge) -> None:
    """The last one added is the first to see a request."""
    app.add_middleware(CrashNet)
    app.add_middleware(Callers)
    app.add_middleware(BodyLimit, max_bytes=edge.max_body_bytes)
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
