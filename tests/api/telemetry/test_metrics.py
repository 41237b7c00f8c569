"""What /metrics tells: figures that grow by what was done, and labels nobody can multiply."""

import json
import re
from pathlib import Path

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import connected
from tests.fakes import FakeEngine, FakeModels

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "penstock.json"
ASKED = {"prompt": "there was a miller", "max_new_tokens": 5}

Labels = frozenset[tuple[str, str]]


def scraped(client: TestClient) -> dict[tuple[str, Labels], float]:
    """Every sample by its name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(client: TestClient, name: str, **labels: str) -> float:
    return scraped(client).get((name, frozenset(labels.items())), 0.0)


def test_a_text_is_counted_with_its_tokens_and_its_times(client: TestClient) -> None:
    model = client.get("/models").json()["default"]
    for _ in range(3):
        assert client.post("/generate", json=ASKED).status_code == 200

    assert value(client, "penstock_generations_total", model=model, outcome="completed") == 3
    assert value(client, "penstock_completion_tokens_total", model=model) == 15
    assert value(client, "penstock_prompt_tokens_total", model=model) == 12
    for name in ("generation", "first_token", "queue", "token_gap"):
        assert value(client, f"penstock_{name}_seconds_count", model=model) == 3
    assert value(client, "penstock_texts_under_way") == 0


def test_a_failed_text_is_counted_as_such() -> None:
    with connected(FakeModels(lambda: FakeEngine(fail_on="there was"))) as client:
        assert client.post("/generate", json=ASKED).status_code == 500

        model = client.get("/models").json()["default"]
        assert value(client, "penstock_generations_total", model=model, outcome="failed") == 1
        assert value(client, "penstock_generations_total", model=model, outcome="completed") == 0


def test_routes_are_labels_as_they_are_declared_whatever_clients_send(client: TestClient) -> None:
    client.get("/models/penstock-tiny")
    client.get("/models/nobody-has-this")
    for number in range(30):
        client.get(f"/no-such-page-{number}")
        client.request(f"ODD{number}", "/livez")

    http = [
        dict(ls) for name, ls in scraped(client) if name == "penstock_http_request_seconds_count"
    ]

    routes = {labels["route"] for labels in http}
    assert {"/models/{name:path}", "unmatched"} <= routes
    assert not any("no-such-page" in route or "nobody" in route for route in routes)
    assert {labels["method"] for labels in http} <= {"GET", "OTHER"}


def test_prompts_and_texts_are_no_part_of_it(client: TestClient) -> None:
    canary = "canary8431"
    client.post("/generate", json={**ASKED, "prompt": canary}, headers={"x-request-id": canary})

    assert canary not in client.get("/metrics").text


def test_the_dashboard_shows_only_what_there_is(client: TestClient) -> None:
    """Each metric that the shipped dashboard asks for is one that the server tells."""
    client.post("/generate", json=ASKED)
    told = {name for name, _ in scraped(client)}
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]

    named = {name for expression in asked for name in re.findall(r"penstock_\w+", expression)}

    assert len(asked) > 10
    assert named <= told | {f"{name}_total" for name in told}
