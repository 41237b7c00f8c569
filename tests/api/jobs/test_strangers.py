"""Jobs, files, batches and kept answers against strangers: other owners, odd names, other pages."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, Header
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.api.owner import OwnerDep
from penstock.cli.logs import FORMAT, OneLineFormatter
from penstock.settings import Settings
from tests.api.jobs.asking import ended, events, started, wanted
from tests.api.real_server import EDGE
from tests.fakes import FakeModels
from tests.figures import record
from tests.storage.databases import KINDS, fresh_database

ANN, BEN = {"X-Test-Owner": "ann"}, {"X-Test-Owner": "ben"}
CANARY = "canary-7d1f-that-nobody-may-see"
ODD = """
.. ../.. ../../etc/passwd ..%2f..%2fetc%2fpasswd %2e%2e/%2e%2e ..\\..\\x ....//....//x %2e%2e%2f
..%5c.. ..%c0%af.. %252e%252e%252f /etc/passwd //etc/passwd %2fetc%2fpasswd C:\\x C:/x
\\\\host\\share CON NUL aux.txt a%00b %00 a%00.json a%0ab a%0d%0aX-Y:z %7f %1b[31m ~ ~root $HOME
${HOME} `id` $(id) ;id |id &id * %3F [a-z] {a,b} ' " <x> '%20OR%201=1-- ';DROP%20TABLE%20jobs;--
job_'%20UNION%20SELECT % _ job_% job%5f% %E2%80%AE %EF%BB%BF %C3%A9 %ff %f0%9f%98%80 penstock.db
files/penstock.db file- job_ batch_ 0 -1 1e9 null None sha256:../../x . ./x x/. x/.. %20 %09
incoming incoming/x ..;/x %2e%2e;/x @ @%40 :0 #x
"""
LINE = {
    "custom_id": "1",
    "method": "POST",
    "url": "/v1/completions",
    "body": {"model": "penstock-tiny", "prompt": "x", "max_tokens": 1},
}


def _named_owner(x_test_owner: Annotated[str, Header()] = "ann") -> str:
    return x_test_owner


@pytest.fixture
def shared_app(tmp_path: Path) -> FastAPI:
    """A server whose requests say whose they are."""
    app = create_app(build_services(Settings(data_dir=tmp_path / "data"), FakeModels()), EDGE)
    app.dependency_overrides[get_args(OwnerDep)[1].dependency] = _named_owner
    return app


@pytest.fixture
def strangers(shared_app: FastAPI) -> Iterator[TestClient]:
    with TestClient(shared_app, base_url="http://127.0.0.1") as client:
        yield client


def anns_things(client: TestClient) -> dict[str, str]:
    """A job, a file and a batch of Ann's, by the path that shows each."""
    job = started(client, wanted(max_new_tokens=1), **ANN)
    upload = {"file": ("in.jsonl", json.dumps(LINE).encode()), "purpose": (None, "batch")}
    file_id = client.post("/v1/files", files=upload, headers=ANN).json()["id"]
    asked = {
        "input_file_id": file_id,
        "endpoint": "/v1/completions",
        "completion_window": "24h",
    }
    batch_id = client.post("/v1/batches", json=asked, headers=ANN).json()["id"]
    return {"job": job["id"], "file": file_id, "batch": batch_id}


def test_what_is_one_owners_does_not_exist_for_another(strangers: TestClient) -> None:
    things = anns_things(strangers)
    job, file, batch = things["job"], things["file"], things["batch"]
    asked = [
        ("GET", f"/jobs/{job}"),
        ("GET", f"/jobs/{job}/events"),
        ("POST", f"/jobs/{job}/cancel"),
        ("GET", f"/v1/files/{file}"),
        ("GET", f"/v1/files/{file}/content"),
        ("DELETE", f"/v1/files/{file}"),
        ("GET", f"/v1/batches/{batch}"),
        ("POST", f"/v1/batches/{batch}/cancel"),
    ]
    statuses = [strangers.request(m, path, headers=BEN).status_code for m, path in asked]
    lists = [
        *("/jobs", "/jobs?kind=batch", f"/jobs?after={job}", "/jobs?state=succeeded"),
        *("/v1/files", f"/v1/files?after={file}", "/v1/batches", f"/v1/batches?after={batch}"),
    ]
    rows = [row for path in lists for row in strangers.get(path, headers=BEN).json()["data"]]
    stolen = strangers.post(
        "/v1/batches",
        json={
            "input_file_id": file,
            "endpoint": "/v1/completions",
            "completion_window": "24h",
        },
        headers=BEN,
    )

    record(
        "D14 other owners", "jobs, files, batches", {"asked": len(asked) + 9, "rows": len(lists)}
    )
    assert statuses == [404] * len(asked)
    assert rows == []
    assert stolen.status_code == 400
    assert strangers.get(f"/jobs/{job}", headers=ANN).status_code == 200


def test_a_key_of_one_owner_is_another_ones_to_use(strangers: TestClient) -> None:
    first = started(strangers, wanted(), **ANN, **{"Idempotency-Key": "k"})
    other = started(strangers, wanted("b"), **BEN, **{"Idempotency-Key": "k"})

    assert first["id"] != other["id"]


NAMES = [
    *ODD.split(),
    *("x" * 64, "x" * 1000, "x" * 7000, "0" * 64, "sha256:" + "0" * 64),
]
PLACES = ("/jobs/{}", "/v1/files/{}/content", "/v1/batches/{}")


async def answered(app: FastAPI, path: str, query: bytes = b"") -> tuple[int, bytes]:
    """What a path is answered that no client has tidied up before."""
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return told[0]["status"], b"".join(message.get("body", b"") for message in told)


@pytest.mark.parametrize("kind", KINDS)
async def test_odd_names_are_not_found_and_lead_nowhere(kind: str, tmp_path: Path) -> None:
    with fresh_database(kind, tmp_path) as url:
        settings = Settings(data_dir=tmp_path, database_url=url)
        app = create_app(build_services(settings, FakeModels()), EDGE)
        async with app.router.lifespan_context(app):
            answers = {
                path: await answered(app, path)
                for path in (place.format(name) for place in PLACES for name in NAMES)
            }
            lists = [
                await answered(app, path, b"after=%00&limit=1")
                for path in ("/jobs", "/v1/files", "/v1/batches")
            ]

    odd = {path: status for path, (status, _) in answers.items() if status not in (400, 404)}
    record(
        "D8 odd names",
        f"jobs, files, batches on {kind}",
        {"paths": len(answers), "found": len(odd)},
    )
    assert odd == {}
    assert [status for status, _ in lists] == [200] * 3
    assert not any(b"root:" in body or b"SQLite format" in body for _, body in answers.values())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_another_page_cannot_cancel_a_job(
    strangers: TestClient, headers: dict[str, str], status: int
) -> None:
    job = started(strangers, wanted(), **ANN)

    response = strangers.post(f"/jobs/{job['id']}/cancel", headers=ANN | headers)

    assert response.status_code == status
    assert not strangers.get(f"/jobs/{job['id']}", headers=ANN).json()["cancel_requested"]


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_form_of_another_page_starts_no_job(strangers: TestClient, media: str) -> None:
    body = json.dumps(wanted())

    response = strangers.post("/jobs", content=body, headers={"Content-Type": media} | ANN)
    preflight = strangers.options(
        "/jobs",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )

    assert response.status_code == 415
    assert strangers.get("/jobs", headers=ANN).json()["data"] == []
    assert "access-control-allow-origin" not in preflight.headers
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


def with_canary(**changes: Any) -> dict[str, Any]:
    webhook = {"url": "http://127.0.0.1/", "secret": CANARY} | changes
    return wanted(f"tell {CANARY}") | {"webhook": webhook}


def test_secrets_and_prompts_stay_out_of_logs_and_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="penstock")
    settings = Settings(data_dir=tmp_path, private_webhooks=True)
    with TestClient(create_app(build_services(settings, FakeModels()), EDGE)) as client:
        client.headers["host"] = "127.0.0.1"
        headers = {"Authorization": f"Bearer {CANARY}", "Idempotency-Key": CANARY}
        job = started(client, with_canary(), **headers)
        job = ended(client, job["id"])
        shown = json.dumps([client.get("/jobs").json(), events(client, job["id"])])
        refused = client.post("/jobs", json=with_canary(url="ftp://x/", secret=f"whsec_{CANARY}?"))

    lines = [OneLineFormatter(FORMAT).format(entry) for entry in caplog.records]
    record("D11 secrets in logs", "jobs", {"lines": len(lines)})
    assert len(lines) > 3
    assert [line for line in lines if CANARY in line] == []
    assert '"secret"' not in shown and "webhook" not in shown
    assert CANARY not in refused.text


def test_nothing_from_outside_begins_a_line_in_the_log(
    strangers: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="penstock")
    forged = "%0d%0a2026-01-01T00:00:00.000Z INFO penstock forged%1b[31m%C2%85%E2%80%A8"
    for path in (f"/jobs/{forged}", f"/jobs/x?after={forged}", f"/v1/files/{forged}", f"/{forged}"):
        strangers.get(path, headers=ANN | {"X-Request-ID": "a\tb"})
    strangers.post(
        "/jobs", json=wanted(model="m\r\nforged \x1b[31m"), headers=ANN | {"Idempotency-Key": "\tk"}
    )

    lines = [OneLineFormatter(FORMAT).format(entry) for entry in caplog.records]
    record("D15 forged log lines", "jobs, files", {"lines": len(lines)})
    assert len(lines) >= 5
    assert all("\n" not in line and "\r" not in line and "\x1b" not in line for line in lines)
