"""Every route there is, and what each needs. A route is public only where `public.py` names it."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from penstock.accounts.policy import Policy
from penstock.accounts.principal import Scope
from penstock.api import capabilities
from penstock.api.accounts import keys, page, tokens, users
from penstock.api.anthropic import ANTHROPIC
from penstock.api.docs import docs_routes
from penstock.api.door import GENERATING
from penstock.api.evaluations import routes as evaluations
from penstock.api.files import file_routes
from penstock.api.history import routes as history
from penstock.api.jobs import routes as jobs
from penstock.api.lab import branch, next_token, score, watermark
from penstock.api.ollama import OLLAMA
from penstock.api.openai import FILES, OPENAI
from penstock.api.playground import (
    adapters,
    compare,
    discovery,
    generate,
    health,
    lifecycle,
    texts,
)
from penstock.api.principal import Needs
from penstock.api.public import public_routes
from penstock.api.receipts import replay
from penstock.api.telemetry import routes as telemetry
from penstock.api.training import routes as training
from penstock.api.usage import routes as usage

WEB_FOLDER = Path(__file__).parent.parent / "web"
MODULES: Mapping[Scope, tuple[ModuleType, ...]] = {
    Scope.GENERATE: (
        generate,
        compare,
        texts,
        discovery,
        lifecycle,  # and permission to change models
        adapters,
        next_token,
        score,
        branch,
        watermark,
        replay,
        evaluations,
        jobs,
        history,
        usage,
        training,  # and permission to change models
        *OPENAI,
        *ANTHROPIC,
        *OLLAMA,
        capabilities,
    ),
    Scope.METRICS: (telemetry,),
    Scope.FILES: FILES,
}


def add_routes(app: FastAPI, policy: Policy) -> frozenset[tuple[str, str]]:
    """Give the application its routes; the methods and paths of those that are public."""
    for router in (tokens.public, page.public, users.public, health.router):
        app.include_router(router)
    for router in (
        tokens.router,
        page.router,
        users.own,
        users.administration,
        keys.router,
        usage.own,
        usage.administration,
    ):
        app.include_router(router)  # each says itself what is needed
    for scope, modules in MODULES.items():
        for module in modules:
            app.include_router(module.router, dependencies=[Depends(Needs(scope))])
    pages = [*docs_routes(), *file_routes(WEB_FOLDER)]
    app.routes.extend(pages)
    return public_routes(policy, pages)


def generating_routes() -> Mapping[str, APIRoute]:
    """The routes of which each request needs a place, by path."""
    routes = (r for modules in MODULES.values() for m in modules for r in m.router.routes)
    return {r.path: r for r in routes if isinstance(r, APIRoute) and r.path in GENERATING}
