"""`/jobs`: accepted once, done, followed, cancelled, and refused with reasons."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.jobs.asking import ended, events, started, wanted
from tests.fakes import FakeEngine, FakeModels

CHAT = {
    "kind": "generation",
    "payload": {
        "endpoint": "/v1/chat/completions",
        "body": {"model": "penstock-tiny", "messages": [{"role": "user", "content": "hello"}]},
    },
}


def test_a_job_has_the_answer_that_the_request_would_have_had(jobs_client: TestClient) -> None:
    job = started(jobs_client, wanted(max_new_tokens=5, seed=1))
    alone = jobs_client.post("/generate", json={"prompt": "a mill", "max_new_tokens": 5, "seed": 1})

    job = ended(jobs_client, job["id"])

    assert (job["state"], job["error"], job["attempts"]) == ("succeeded", None, 1)
    assert job["result"]["status"] == 200
    assert job["result"]["body"]["generated_text"] == alone.json()["generated_text"]
    assert job["finished_at"] >= job["created_at"]


def test_other_dialects_are_asked_too(jobs_client: TestClient) -> None:
    job = ended(jobs_client, started(jobs_client, CHAT)["id"])

    assert job["result"]["body"]["object"] == "chat.completion"


def test_what_the_server_refuses_only_when_it_knows_the_model_fails_with_its_words(
    jobs_client: TestClient,
) -> None:
    job = ended(jobs_client, started(jobs_client, wanted(model="no-such-model"))["id"])

    assert (job["state"], job["result"]["status"]) == ("failed", 404)
    assert "no-such-model" in job["error"]


def test_a_key_that_was_used_before_starts_nothing(jobs_client: TestClient) -> None:
    first = started(jobs_client, wanted(), **{"Idempotency-Key": "k"})
    again = started(jobs_client, wanted(), **{"Idempotency-Key": "k"})
    other = jobs_client.post(
        "/jobs", json=wanted("something else"), headers={"Idempotency-Key": "k"}
    )

    assert again["id"] == first["id"]
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert [job["id"] for job in jobs_client.get("/jobs").json()["data"]] == [first["id"]]


def test_events_have_numbers_and_go_on_after_the_last_that_came(jobs_client: TestClient) -> None:
    job = started(jobs_client, wanted())

    told = events(jobs_client, job["id"])
    rest = events(jobs_client, job["id"], **{"Last-Event-ID": "2"})

    assert [(e["id"], e["event"]) for e in told] == [
        ("1", "queued"),
        ("2", "running"),
        ("3", "succeeded"),
    ]
    assert told[-1]["job"] == ended(jobs_client, job["id"])
    assert rest == told[2:]
    assert events(jobs_client, job["id"], **{"Last-Event-ID": "3"}) == []


def test_a_running_job_is_cancelled_and_its_generation_with_it(tmp_path: Path) -> None:
    engine = FakeEngine(step_seconds=0.02)
    with connected(FakeModels(lambda: engine), Settings(data_dir=tmp_path)) as client:
        job = started(client, wanted(max_new_tokens=500))
        while not engine.running:
            pass
        asked = client.post(f"/jobs/{job['id']}/cancel").json()
        job = ended(client, job["id"])
        again = client.post(f"/jobs/{job['id']}/cancel").json()
        told = [event["event"] for event in events(client, job["id"])]
        while engine.running:
            pass

    assert asked["cancel_requested"]
    assert (job["state"], job["result"]) == ("cancelled", None)
    assert again == job
    assert told == ["queued", "running", "cancelling", "cancelled"]
    assert engine.num_steps < 500


def test_lists_come_in_pages_and_by_state_and_kind(jobs_client: TestClient) -> None:
    ids = [started(jobs_client, wanted(max_new_tokens=1))["id"] for _ in range(5)]
    for job_id in ids:
        ended(jobs_client, job_id)

    page = jobs_client.get("/jobs?limit=2").json()
    rest = jobs_client.get(f"/jobs?limit=9&after={page['data'][-1]['id']}").json()

    assert sorted(job["id"] for job in page["data"] + rest["data"]) == sorted(ids)
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert len(jobs_client.get("/jobs?state=succeeded&kind=generation").json()["data"]) == 5
    assert jobs_client.get("/jobs?state=failed").json()["data"] == []
    assert jobs_client.get("/jobs?kind=batch").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"kind": "dance", "payload": {}}, "kind"),
        ({"kind": "batch", "payload": {}}, "kind"),
        ({"kind": "generation"}, "payload"),
        ({"kind": "generation", "payload": {}}, "payload.endpoint"),
        (wanted(endpoint="/jobs"), "payload.endpoint"),
        (wanted(top_p=7), "payload.body.top_p"),
        (wanted(nonsense=1), "payload.body.nonsense"),
        (wanted(stream=True), "payload.body.stream"),
        (wanted() | {"webhook": {"url": "http://x.example/"}}, "webhook.secret"),
        (
            wanted() | {"webhook": {"url": "ftp://x.example/", "secret": "s" * 24}},
            "webhook.url",
        ),
        (
            wanted() | {"webhook": {"url": "http://x.example/", "secret": "whsec_" + "?" * 24}},
            "webhook.secret",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_at_once_by_name(
    jobs_client: TestClient, body: dict[str, Any], param: str
) -> None:
    response = jobs_client.post("/jobs", json=body)

    assert response.status_code == 422, response.text
    assert response.json()["error"]["param"] == param
    assert jobs_client.get("/jobs").json()["data"] == []


def test_more_unfinished_jobs_than_allowed_are_refused_and_not_kept(tmp_path: Path) -> None:
    engine = FakeEngine(step_seconds=0.05)
    limits = {"max_jobs": 2}
    with connected(
        FakeModels(lambda: engine), Settings(data_dir=tmp_path, limits=limits)
    ) as client:
        ids = [started(client, wanted(max_new_tokens=400))["id"] for _ in range(2)]
        refused = client.post("/jobs", json=wanted())
        listed = [job["id"] for job in client.get("/jobs").json()["data"]]
        for job_id in ids:
            client.post(f"/jobs/{job_id}/cancel")
            ended(client, job_id)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_jobs")
    assert refused.headers["retry-after"]
    assert sorted(listed) == sorted(ids)


def test_jobs_outlast_the_server(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.05))
    with connected(models, Settings(data_dir=tmp_path)) as client:
        job_id = started(client, wanted(max_new_tokens=100))["id"]
        while client.get(f"/jobs/{job_id}").json()["state"] != "running":
            pass
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        job = ended(client, job_id)
        told = [event["event"] for event in events(client, job_id)]

    assert job["state"] == "succeeded"
    assert told == ["queued", "running", "queued", "running", "succeeded"]


def test_jobs_that_ended_long_ago_are_gone(tmp_path: Path) -> None:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        job_id = started(client, wanted(max_new_tokens=1))["id"]
        ended(client, job_id)
    limits = {"days_jobs_kept": 1e-9}
    with connected(FakeModels(), Settings(data_dir=tmp_path, limits=limits)) as client:
        while client.get(f"/jobs/{job_id}").status_code != 404:
            pass
