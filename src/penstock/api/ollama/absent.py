"""The routes of Ollama's API that make or publish models: not here, in so many words."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.errors import error_response
from penstock.api.ollama.routing import FAILURES, OllamaRoute

INSTEAD = {
    ("POST", "/push"): "Nothing is published from here.",
    ("POST", "/create"): "Put the model's folder into the `models` folder of the data directory.",
    ("POST", "/copy"): "A model has one name here, and the aliases of its catalog entry.",
}

router = APIRouter(prefix="/api", route_class=OllamaRoute, tags=["ollama"], responses=FAILURES)


async def say_not_here(request: Request) -> Response:
    """Says that there is no such thing here, and what to do instead."""
    path = request.url.path
    hint = INSTEAD[request.method, path.removeprefix(router.prefix)]
    return error_response(400, {"error": f"{path} is not here. {hint}"})


for method, path in INSTEAD:
    router.add_api_route(path, say_not_here, methods=[method], summary="Not here", name=path)
