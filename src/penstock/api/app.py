"""Puts the application together: routes, errors and what every request passes through.

Builds no services; it is given them, so that a test gives its own.
"""

from fastapi import FastAPI

from penstock import __version__
from penstock.api.edge import Edge, add_middleware
from penstock.api.errors import install_error_handlers
from penstock.api.evaluations.running import EvaluationFiles, Evaluations
from penstock.api.inside import asker_of
from penstock.api.jobs.kinds import KINDS
from penstock.api.lifespan import lifespan
from penstock.api.openai.response_store import ResponseStore
from penstock.api.routing import add_routes
from penstock.api.services import Services
from penstock.jobs.batches.asking import Asker
from penstock.jobs.executor import Executor

DESCRIPTION = (
    "Generate text, compare models and decoding strategies. Every error is an object "
    '`{"error": {"message", "type", "param", "code"}}`; closing the connection cancels a request.'
)


def create_app(services: Services, edge: Edge) -> FastAPI:
    """The application. Loading models starts with its lifespan."""
    app = FastAPI(
        title="Penstock",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.responses = ResponseStore()
    lasting = services.lasting
    app.state.evaluations = Evaluations(lasting.jobs, EvaluationFiles(lasting.runs.data_dir))
    app.state.executor = _executor(app, services)
    app.state.dispatch = services.make_dispatch(app.state.executor)
    install_error_handlers(app)
    public = add_routes(app, services.accounts.policy)
    add_middleware(app, edge, services, public)
    return app


def _executor(app: FastAPI, services: Services) -> Executor:
    """Does the jobs, by asking this application as its clients do."""
    lasting = services.lasting
    asker = Asker(asker_of(app), num_places=lasting.batch_lines)
    handlers = {name: kind.handler(services, asker) for name, kind in KINDS.items()}
    return Executor(
        lasting.storage,
        lasting.queue,
        handlers,
        max_jobs=lasting.jobs_at_once,
        own_places={name: kind.own_place for name, kind in KINDS.items() if kind.own_place},
    )
