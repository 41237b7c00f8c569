"""What the application lets in, and what every request passes through on its way."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from penstock.api.door import Door
from penstock.api.gate import Gate
from penstock.api.limit_headers import RATE_LIMIT_HEADERS
from penstock.api.middleware import (
    BodyLimit,
    Callers,
    CrashNet,
    KnownHosts,
    RequestIds,
    SecurityHeaders,
)
from penstock.api.openai.uploading import FORM_BYTES, UPLOAD_PATH
from penstock.api.routing import generating_routes
from penstock.api.services import Services
from penstock.api.telemetry.counting import CountsRequests
from penstock.api.telemetry.tracing import Traced

ALLOWED_HEADERS = [
    "Authorization",
    "Cache-Control",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-API-Key",
    "X-Request-ID",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the application lets in."""

    allowed_hosts: tuple[str, ...] | None  # none: any
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks
    max_body_bytes: int = 2 * 2**20
    max_upload_bytes: int = 20 * 2**20


def add_middleware(
    app: FastAPI, edge: Edge, services: Services, public: frozenset[tuple[str, str]]
) -> None:
    """The last one added is the first to see a request."""
    records = services.records
    app.add_middleware(Door, admission=services.admission, routes=generating_routes())
    app.add_middleware(Callers, limiter=records.limiter, keeps_history=records.keeps_history)
    app.add_middleware(Gate, accounts=services.accounts, public=public)
    app.add_middleware(CrashNet)
    uploads = {UPLOAD_PATH: edge.max_upload_bytes + FORM_BYTES}
    app.add_middleware(BodyLimit, max_bytes=edge.max_body_bytes, larger=uploads)
    if edge.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(edge.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=ALLOWED_HEADERS,
            expose_headers=[
                "X-Request-ID",
                "Retry-After",
                "X-Penstock-Cache",
                *RATE_LIMIT_HEADERS,
            ],
        )
    if edge.allowed_hosts is not None:
        app.add_middleware(KnownHosts, names=edge.allowed_hosts)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(CountsRequests, metrics=services.metrics)
    if services.telemetry is not None:
        app.add_middleware(Traced, telemetry=services.telemetry)
    app.add_middleware(RequestIds)
    if edge.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(edge.trusted_proxies))
