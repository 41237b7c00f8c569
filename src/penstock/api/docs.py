"""`/docs` and `/redoc` from files of the package: they work offline and ask no other server."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.api.files import answer_file, file_routes

ASSETS = Path(__file__).parent / "docs_assets"
# Both tools write style elements and Redoc searches in a worker it makes itself.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_routes() -> list[Route]:
    """The two pages and what they load."""
    return [
        _page("/docs", ASSETS / "docs.html"),
        _page("/redoc", ASSETS / "redoc.html"),
        *(r for r in file_routes(ASSETS, "/docs/assets") if not r.path.endswith(".html")),
    ]


def _page(path: str, file: Path) -> Route:
    async def answer(request: Request) -> Response:
        response = answer_file(request, file.read_bytes(), file.suffix)
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response

    return Route(path, answer, methods=["GET"], include_in_schema=False)
