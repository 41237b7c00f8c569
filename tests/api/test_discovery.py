"""What there is: strategies, models and health, the documentation and the page."""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from penstock.accounts.principal import Scope
from penstock.api.principal import Needs
from penstock.decoding.parameters.filters import FILTERS
from penstock.decoding.strategies import STRATEGIES
from tests.api.conftest import connected
from tests.fakes import FakeModels

STRATEGY_FIELDS = {"id", "label", "type", "description", "color", "parameters", "presets"}
PARAMETER_FIELDS = {
    "name", "label", "type", "minimum", "maximum", "offered_minimum", "offered_maximum", "step",
    "scale", "default", "neutral", "nullable", "group", "section", "unit", "description", "effect",
}  # fmt: skip
ROUTES = """\
DELETE /api/delete
DELETE /history
DELETE /history/{kept_id}
DELETE /keys/{key_id}
DELETE /models/{name:path}
DELETE /session
DELETE /users/{user_id}
DELETE /v1/files/{file_id}
DELETE /v1/responses/{response_id}
GET /
GET /adapters
GET /api/ps
GET /api/tags
GET /api/version
GET /app.css
GET /app.js
GET /audit
GET /docs
GET /docs/assets/docs.js
GET /docs/assets/redoc/redoc.standalone.js
GET /docs/assets/redoc/redoc.standalone.js.LICENSE.txt
GET /docs/assets/swagger-ui/swagger-ui-bundle.js
GET /docs/assets/swagger-ui/swagger-ui-bundle.js.LICENSE.txt
GET /docs/assets/swagger-ui/swagger-ui.css
GET /evaluations
GET /evaluations/tasks
GET /evaluations/{evaluation_id}
GET /evaluations/{evaluation_id}/against/{before_id}
GET /evaluations/{evaluation_id}/events
GET /evaluations/{evaluation_id}/report
GET /health
GET /history
GET /history/export
GET /history/search
GET /history/{kept_id}
GET /icon.svg
GET /index.html
GET /jobs
GET /jobs/{job_id}
GET /jobs/{job_id}/events
GET /keys
GET /limits
GET /livez
GET /metrics
GET /models
GET /models/{name:path}
GET /openapi.json
GET /readyz
GET /receipts/{receipt}
GET /redoc
GET /session
GET /strategies
GET /tokenizer_info
GET /training/runs
GET /training/runs/{run_id}
GET /training/runs/{run_id}/artefacts/{name:path}
GET /training/runs/{run_id}/events
GET /usage
GET /users
GET /users/me
GET /users/{user_id}/limits
GET /v1/batches
GET /v1/batches/{batch_id}
GET /v1/capabilities
GET /v1/files
GET /v1/files/{file_id}
GET /v1/files/{file_id}/content
GET /v1/fine_tuning/jobs
GET /v1/fine_tuning/jobs/{job_id}
GET /v1/fine_tuning/jobs/{job_id}/checkpoints
GET /v1/fine_tuning/jobs/{job_id}/events
GET /v1/models
GET /v1/models/{name:path}
GET /v1/responses/{response_id}
GET /v1/responses/{response_id}/input_items
PATCH /users/{user_id}
POST /adapters/{name}/load
POST /adapters/{name}/unload
POST /api/chat
POST /api/copy
POST /api/create
POST /api/embed
POST /api/embeddings
POST /api/generate
POST /api/pull
POST /api/push
POST /api/show
POST /apply-template
POST /compare
POST /detokenize
POST /evaluations
POST /evaluations/{evaluation_id}/cancel
POST /generate
POST /generate-text
POST /generate-text/
POST /jobs
POST /jobs/{job_id}/cancel
POST /keys
POST /keys/{key_id}/limits
POST /lab/branch
POST /lab/detect-watermark
POST /lab/next-token
POST /lab/score
POST /lab/tokenize
POST /logout
POST /models/{name:path}/load
POST /models/{name:path}/pull
POST /models/{name:path}/unload
POST /register
POST /replay/{receipt}
POST /session
POST /token
POST /tokenize
POST /training/runs
POST /training/runs/{run_id}/cancel
POST /users
POST /users/me/password
POST /users/{user_id}/limits
POST /v1/batches
POST /v1/batches/{batch_id}/cancel
POST /v1/chat/completions
POST /v1/completions
POST /v1/embeddings
POST /v1/files
POST /v1/fine_tuning/jobs
POST /v1/fine_tuning/jobs/{job_id}/cancel
POST /v1/messages
POST /v1/messages/count_tokens
POST /v1/responses
"""


def leaves(routes: Iterable[Any]) -> Iterator[Any]:
    """The routes themselves, also where FastAPI keeps a router's together."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else leaves(inner.routes)


def test_these_routes_and_no_others_are_served(client: TestClient) -> None:
    found = {
        f"{method} {route.path}"
        for route in leaves(client.app.routes)  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }

    assert sorted(found) == ROUTES.splitlines()


def test_no_route_waits_for_a_thread(client: TestClient) -> None:
    """A plain function would be handed to a pool: a thread for each client that waits."""
    routes = leaves(client.app.routes)  # type: ignore[attr-defined]
    calls = [c for r in routes if isinstance(r, APIRoute) for c in _calls(r.dependant)]

    assert len(calls) > 200
    assert [call for call in calls if not _is_awaited(call)] == []
    assert _is_awaited(Needs(Scope.GENERATE))  # which is put before routes when they are included


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def _is_awaited(call: Any) -> bool:
    call = call.__call__ if isinstance(call, Needs) else call
    return inspect.iscoroutinefunction(call)


def test_every_strategy_says_all_that_its_controls_need(client: TestClient) -> None:
    answer = client.get("/strategies").json()

    assert answer["default"] == "sampling"
    assert [s["id"] for s in answer["strategies"]] == list(STRATEGIES)
    for strategy in answer["strategies"]:
        assert strategy.keys() == STRATEGY_FIELDS
        assert re.fullmatch("#[0-9A-F]{6}", strategy["color"])
        for parameter in strategy["parameters"]:
            assert parameter.keys() == PARAMETER_FIELDS
            assert parameter["nullable"] == (parameter["default"] is None)


def test_every_preset_is_accepted_and_changes_what_it_names(client: TestClient) -> None:
    for strategy in client.get("/strategies").json()["strategies"]:
        ids = [preset["id"] for preset in strategy["presets"]]
        defaults = {p["name"]: p["default"] for p in strategy["parameters"]}
        assert 2 <= len(ids) <= 4 and len(set(ids)) == len(ids)
        for preset in strategy["presets"]:
            assert preset.keys() == {"id", "label", "description", "values"}
            assert preset["description"].endswith(".") and "." not in preset["description"][:-1]
            assert all(value != defaults[name] for name, value in preset["values"].items())
            body = {"prompt": "x", "strategy": strategy["id"], "max_new_tokens": 2}

            response = client.post("/generate", json={**body, **preset["values"]})

            assert response.status_code == 200, response.text
            assert response.json()["unused_parameters"] == []


def test_every_offered_value_is_accepted(client: TestClient) -> None:
    for strategy in client.get("/strategies").json()["strategies"]:
        for bound in ("default", "offered_minimum", "offered_maximum"):
            fields = {p["name"]: p[bound] for p in strategy["parameters"] if p[bound] is not None}
            fields["min_new_tokens"] = 0
            fields["max_new_tokens"] = min(fields["max_new_tokens"], 20)
            fields["num_beams"] = 8
            body = {"prompt": "x", "strategy": strategy["id"], **fields}

            response = client.post("/generate", json=body)

            assert response.status_code == 200, response.text
            used = {p["name"] for p in strategy["parameters"]}
            if fields.get("temperature") == 0:  # nothing is drawn, so there is nothing to filter
                used -= {p.name for p in FILTERS} - {"temperature"}
            in_vain = set(response.json()["unused_parameters"])
            assert in_vain == fields.keys() - used - {"num_return_sequences", "seed"}


def test_models_tell_their_state_and_why(client: TestClient) -> None:
    before = {m["id"]: (m["state"], m["error"]) for m in client.get("/models").json()["models"]}
    client.post("/generate", json={"prompt": "x", "model": "other"})
    client.post("/generate", json={"prompt": "x", "model": "broken"})
    after = {m["id"]: (m["state"], m["error"]) for m in client.get("/models").json()["models"]}

    assert before == {
        "penstock-tiny": ("loaded", None),
        "other": ("available", None),
        "elsewhere": ("available", None),
        "gated": ("available", None),
        "broken": ("available", None),
    }
    assert after == before | {
        "other": ("loaded", None),
        "broken": ("failed", "The weights are a pickle. Convert them."),
    }


def test_a_model_is_described_in_full(client: TestClient) -> None:
    answer = client.get("/models").json()

    assert answer["default"] == "penstock-tiny"
    assert answer["models"][0] == {
        "id": "penstock-tiny",
        "label": "Penstock-Tiny",
        "family": "gpt2",
        "description": "A fake.",
        "num_parameters": 1000,
        "context_length": 512,
        "draft": None,
        "lineage": None,
        "dtype": "float32",
        "state": "loaded",
        "error": None,
        "hub_id": None,
        "aliases": [],
        "builtin": True,
        "disk_bytes": None,
        "memory_bytes": 4000,
        "licence": None,
        "local": True,
        "download": None,
    }
    assert client.get("/models/penstock-tiny").json() == answer["models"][0]
    assert client.get("/models/nobody/knows").status_code == 404


def test_health_answers_while_the_model_loads_and_a_request_waits_for_it() -> None:
    models = FakeModels()
    models.may_load.clear()
    with connected(models) as client:
        assert client.get("/livez").json() == {"status": "alive"}
        assert client.get("/health").json() == {
            "status": "healthy",
            "models_loaded": 0,
            "available_models": [],
            "texts_under_way": 0,
            "tokens_waiting": 0,
        }
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "loading"})
        assert client.get("/models").json()["models"][0]["state"] == "loading"
        assert client.get("/").status_code == 200
        models.may_load.set()
        assert client.post("/generate", json={"prompt": "x"}).status_code == 200
        assert client.get("/readyz").json() == {"status": "ready"}
        assert client.get("/health").json()["available_models"] == ["penstock-tiny"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    page = client.get(path)

    links = re.findall(r'(?:src|href|url)="([^"]+)"', page.text)
    assert page.status_code == 200 and links
    assert not re.search(r"https?:|//", page.text.replace("</", ""))
    for link in links:
        if not link.startswith("data:"):
            assert client.get(f"/{link}").status_code == 200, link
    assert "'unsafe-eval'" not in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]


def test_the_page_is_revalidated_and_not_sent_twice(client: TestClient) -> None:
    first = client.get("/")
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


def test_the_description_has_every_field_with_its_range_and_words(client: TestClient) -> None:
    schemas: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]
    fields = schemas["GenerateBody"]["properties"]

    top_p = next(s for s in fields["top_p"]["anyOf"] if s["type"] == "number")
    assert (top_p["minimum"], top_p["maximum"]) == (0, 1)
    assert all(field.get("description") for field in fields.values())
    assert schemas["GenerateBody"]["additionalProperties"] is False
    assert {
        "GenerateAnswer",
        "CompareAnswer",
        "GenerateTextAnswer",
        "ErrorAnswer",
    } <= schemas.keys()
    assert "HTTPValidationError" not in schemas
