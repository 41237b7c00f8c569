"""Every route there is, as nobody, as somebody with too little, and by other spellings of its path.

The public list is spelled out here once more: whoever adds to it has to say so twice.
"""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.settings import Settings
from tests.api.accounts.conftest import Server
from tests.api.real_server import EDGE
from tests.fakes import FakeModels

PUBLIC = {
    "GET /",
    "GET /index.html",
    "GET /app.js",
    "GET /app.css",
    "GET /icon.svg",
    "GET /docs",
    "GET /redoc",
    "GET /docs/assets/docs.js",
    "GET /docs/assets/redoc/redoc.standalone.js",
    "GET /docs/assets/redoc/redoc.standalone.js.LICENSE.txt",
    "GET /docs/assets/swagger-ui/swagger-ui-bundle.js",
    "GET /docs/assets/swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
    "GET /docs/assets/swagger-ui/swagger-ui.css",
    "GET /openapi.json",
    "GET /health",
    "GET /livez",
    "GET /readyz",
    "POST /token",
    "GET /session",
    "POST /session",
}
OWN_ACCOUNT = {
    "/users/me",
    "/users/me/password",
    "/keys",
    "/keys/{key_id}",
    "/keys/{key_id}/limits",
    "/session",
    "/logout",
    "/register",
}


def leaves(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, set[str], BaseRoute]]:
    """Every route, those that are mounted or included too: its path, its methods and itself."""
    for route in routes:
        inner = getattr(route, "original_router", None) or (
            route if isinstance(route, Mount) else None
        )
        if inner is not None:
            mounted = route.path if isinstance(route, Mount) else ""
            yield from leaves(list(inner.routes), prefix + mounted)
        else:
            yield prefix + route.path, set(route.methods or ()), route  # type: ignore[attr-defined]


def the_app() -> FastAPI:
    return create_app(build_services(Settings(auth="required"), FakeModels()), EDGE)


APP = the_app()
WALK = sorted(
    {(method, path) for path, methods, _ in leaves(list(APP.routes)) for method in methods}
)
DENIED = [(m, p) for m, p in WALK if f"{m.replace('HEAD', 'GET')} {p}" not in PUBLIC]


def filled(path: str) -> str:
    """A path with something in place of each of its parameters."""
    parts = [("x" if part.startswith("{") else part) for part in path.split("/")]
    return "/".join(parts)


def test_the_walk_sees_every_operation_that_is_described() -> None:
    described = {
        (method.upper(), path)
        for path, methods in APP.openapi()["paths"].items()
        for method in methods
    }
    walked = {(method, path.replace(":path}", "}")) for method, path in WALK}

    assert len(described) > 60
    assert described <= walked


def test_nothing_is_public_but_what_is_listed(shared_server: Server) -> None:
    answered = {
        f"{method} {path}"
        for method, path in WALK
        if method != "HEAD"
        and shared_server.client.request(method, filled(path)).status_code != 401
    }

    assert answered == PUBLIC


@pytest.mark.parametrize(("method", "path"), DENIED)
def test_nobody_gets_in(shared_server: Server, method: str, path: str) -> None:
    path = filled(path)
    spellings = [
        path,
        path + "/",
        "/" + path,
        path.replace("/", "//"),
        path.upper(),
        path.replace("/", "/%2e/"),
        "/docs/.." + path,
        "/docs/%2e%2e" + path,
        path + "%00",
        path + ";/docs",
        path + "?/docs",
    ]
    for spelling in spellings:
        for verb in (method, "OPTIONS"):
            answer = shared_server.client.request(verb, f"http://127.0.0.1{spelling}")
            assert answer.status_code == 401, (verb, spelling, answer.text)
            assert answer.headers["www-authenticate"] == 'Bearer realm="penstock"'


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/health", "/openapi.json", "/docs"], ids=lambda path: path or "/"
)
def test_other_methods_of_public_paths_are_not_public(shared_server: Server, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        assert shared_server.client.request(method, path).status_code == 401, method


def test_a_key_without_a_routes_scope_is_refused_by_it(shared_server: Server) -> None:
    """Whatever else is wrong with the request. A route that says no scope would answer."""
    key = shared_server.key("ada", "account")
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    found = {
        f"{method} {path}": shared_server.client.request(method, filled(path), headers=headers)
        for method, path in DENIED
        if method != "HEAD"
    }
    own = {name for name in found if name.partition(" ")[2] in OWN_ACCOUNT}

    assert {found[name].status_code for name in own} <= {200, 201, 204, 403, 404, 422}
    for name in found.keys() - own:
        assert found[name].status_code == 403, (name, found[name].text)
        assert "'generate'" in found[name].text or "scope" in found[name].text, name


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/models", {"error"}),
        ("/v1/chat/completions", {"error"}),
        ("/v1/messages", {"type", "error", "request_id"}),
        ("/api/tags", {"error"}),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_dialect(
    shared_server: Server, path: str, shape: set[str]
) -> None:
    refused = shared_server.client.get(path)
    body = refused.json()

    assert refused.status_code == 401
    assert set(body) == shape
    error = body["error"]
    if path == "/v1/messages":
        assert error["type"] == "authentication_error"
    elif path == "/api/tags":
        assert "no access token or key" in error
    else:
        assert (error["type"], error["code"]) == ("authentication_error", "not_signed_in")
