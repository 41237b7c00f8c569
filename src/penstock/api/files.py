"""Files of the package as routes: the page and the documentation's scripts. Nothing else is served.

Each file is a route of its own, so no path from a request ever reaches the disk.
"""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MEDIA_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}


def file_routes(folder: Path, prefix: str = "") -> list[Route]:
    """A route for each file below `folder`; `index.html` also answers for its folder."""
    routes: list[Route] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in MEDIA_TYPES and p.is_file()):
        name = f"{prefix}/{path.relative_to(folder).as_posix()}"
        routes.append(_route(name, path))
        if path.name == "index.html":
            routes.append(_route(name.removesuffix("index.html"), path))
    return routes


def answer_file(request: Request, content: bytes, suffix: str) -> Response:
    """The content, or 304 when the client has it. It may be kept, but must be checked each time."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=MEDIA_TYPES[suffix])


def _route(name: str, path: Path) -> Route:
    async def answer(request: Request) -> Response:
        return answer_file(request, path.read_bytes(), path.suffix)

    return Route(name, answer, methods=["GET"], include_in_schema=False)
