"""Evaluations over HTTP: by the model that serves, followed, stopped, reported and compared."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services, loading_options
from penstock.evaluation.evaluate import Plan, evaluate
from penstock.evaluation.evaluation import from_json
from penstock.evaluation.examples import Example, Examples
from penstock.evaluation.writing import Writing
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings
from tests.api.real_server import EDGE
from tests.evaluation.subjects import subject_from

ROWS: list[dict[str, Any]] = [
    {"text": "Once upon a time there was a little girl who had a red ball."},
    {"prompt": "One day, the dog", "references": ["ran to the park"]},
    {"prompt": "The sky is", "choices": ["blue", "a mathematical theorem"], "answer": "A"},
]
TASKS = ["perplexity", "rouge", "multiple_choice"]
ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def real() -> Iterator[TestClient]:
    """A client of a server with the built-in model."""
    settings = Settings(threads=1)
    source = LocalModels(settings.preload, loading_options(settings))
    with TestClient(
        create_app(build_services(settings, source), EDGE), base_url="http://127.0.0.1"
    ) as client:
        yield client


def started(client: TestClient, **fields: Any) -> dict[str, Any]:
    body = {"rows": ROWS, "tasks": TASKS, "max_new_tokens": 8} | fields
    response = client.post("/evaluations", json=body)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ended(client: TestClient, evaluation: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while evaluation["state"] not in ENDED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        evaluation = client.get(f"/evaluations/{evaluation['id']}").json()
    return evaluation


def test_the_server_finds_what_the_command_finds(real: TestClient) -> None:
    found = ended(real, started(real))

    rows = (
        Example(row=1, text=ROWS[0]["text"]),
        Example(row=2, prompt="One day, the dog", references=("ran to the park",)),
        Example(row=3, prompt="The sky is", references=("blue",), answer=0,
                choices=("blue", "a mathematical theorem")),
    )  # fmt: skip
    plan = Plan(tasks=tuple(TASKS), writing=Writing(max_new_tokens=8))
    here = evaluate(plan, subject_from("penstock-tiny"), Examples(name="", digest="", rows=rows))
    assert found["state"] == "succeeded" and found["error"] is None
    values = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert values == pytest.approx({f.name: f.value for f in here.figures}, rel=1e-6)
    assert found["progress"]["num_done"] == found["progress"]["num_total"]
    listed = real.get("/evaluations").json()["evaluations"]
    assert listed[0]["id"] == found["id"]


def test_a_report_comes_in_three_forms_and_two_are_compared(real: TestClient) -> None:
    first, second = (ended(real, started(real, seed=n)) for n in range(2))
    path = f"/evaluations/{second['id']}"

    one = from_json(real.get(f"{path}/report").json())
    page = real.get(f"{path}/report", params={"format": "html", "against": first["id"]})
    text = real.get(f"{path}/report", params={"format": "markdown", "against": first["id"]}).text
    changes = real.get(f"{path}/against/{first['id']}").json()

    assert one.model == "penstock-tiny" and len(one.figures) == 8
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h2>From penstock-tiny to penstock-tiny</h2>" in page.text and "<svg" in page.text
    assert text.startswith("# Evaluation\n\n| model | perplexity | BLEU | ROUGE-L | ms per token |")
    assert changes["changes"][0]["change"] == 0
    assert {change["verdict"] for change in changes["changes"]} == {"no difference shown"}


def test_its_events_end_with_its_figures(real: TestClient) -> None:
    evaluation = started(real)

    lines = real.get(f"/evaluations/{evaluation['id']}/events").text.split("\n\n")

    events = [
        json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")
    ]
    assert events[-1]["state"] == "succeeded" and events[-1]["figures"]
    assert all(event["event"] == "evaluation" for event in events)


def test_one_that_waits_or_runs_can_be_stopped(real: TestClient) -> None:
    many = [{"prompt": f"Row {n}", "references": ["x"]} for n in range(400)]
    running = started(real, rows=many, tasks=["rouge"], max_new_tokens=200)
    waiting = started(real)

    stopped = real.post(f"/evaluations/{waiting['id']}/cancel", json={}).json()
    real.post(f"/evaluations/{running['id']}/cancel", json={})

    assert stopped["state"] == "cancelled"
    end = ended(real, running)
    assert (end["state"], end["figures"]) == ("cancelled", None)
    refused = real.get(f"/evaluations/{running['id']}/report")
    assert refused.status_code == 400 and "it is cancelled" in refused.text
    assert ended(real, started(real))["state"] == "succeeded"


def test_rows_of_an_uploaded_file_are_used(real: TestClient) -> None:
    content = "\n".join(map(json.dumps, ROWS)).encode()
    file = real.post(
        "/v1/files", files={"file": ("rows.jsonl", content)}, data={"purpose": "batch"}
    ).json()

    found = ended(real, started(real, rows=None, file=file["id"]))

    assert (found["state"], found["data"]) == ("succeeded", "rows.jsonl")


def test_what_goes_wrong_later_is_told_with_its_reason(real: TestClient) -> None:
    found = ended(real, started(real, adapter="none"))

    assert found["state"] == "failed"
    assert found["error"]["code"] == "adapter_not_found"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"rows": None}, 400, "needs either rows or a file"),
    ({"file": "file-1"}, 400, "needs either rows or a file"),
    ({"rows": None, "file": "file-1"}, 404, "There is no file"),
    ({"rows": [{"prompt": ""}]}, 400, "line 1: it has no text"),
    ({"rows": [{"text": "x", "txet": "y"}]}, 422, "txet"),
    ({"rows": []}, 422, "rows"),
    ({"tasks": ["blue"]}, 400, "Use some of perplexity"),
    ({"limit": 0}, 422, "limit"),
    ({"strategy": "gready"}, 422, "gready"),
    ({"parameters": {"temperature": 9}}, 422, "temperature"),
    ({"parameters": {"prompt": "x"}}, 400, "parameters has prompt"),
    ({"model": "gone"}, 404, "There is no model"),
]


@pytest.mark.parametrize(("fields", "status", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_at_once(
    real: TestClient, fields: dict[str, Any], status: int, message: str
) -> None:
    response = real.post("/evaluations", json={"rows": ROWS, "tasks": TASKS} | fields)

    assert (response.status_code, message in response.text) == (status, True), response.text


def test_what_is_not_there_is_not_found(real: TestClient) -> None:
    for path in ("eval-1", "eval-1/report", "eval-1/events", "eval-1/against/eval-2"):
        assert real.get(f"/evaluations/{path}").json()["error"]["code"] == "evaluation_not_found"
    tasks = {task["id"]: task for task in real.get("/evaluations/tasks").json()["tasks"]}
    assert tasks["perplexity"]["by_default"] and not tasks["multiple_choice"]["by_default"]
