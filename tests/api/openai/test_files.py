"""`/v1/files` with OpenAI's own client, and what it refuses."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.openai.conftest import Check
from tests.fakes import FakeModels

LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {}}\n'


def content() -> bytes:
    """A content that no other test uploads."""
    return LINE + uuid.uuid4().hex.encode()


def test_a_file_is_uploaded_told_of_fetched_and_deleted(
    client: openai.OpenAI, check: Check
) -> None:
    sent = content()

    file = client.files.create(file=("läs mig.jsonl", sent), purpose="batch")
    again = client.files.retrieve(file.id)
    fetched = client.files.content(file.id).read()
    deleted = client.files.delete(file.id)

    check(file, "OpenAIFile")
    assert again == file
    assert (file.filename, file.bytes, file.purpose) == ("läs mig.jsonl", len(sent), "batch")
    assert file.expires_at is None
    assert fetched == sent
    check(deleted, "DeleteFileResponse")
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="There is no file"):
            gone(file.id)


def test_a_file_may_say_when_it_expires(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=("a.jsonl", content()),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )

    assert file.expires_at is not None
    assert file.expires_at - file.created_at in (3600, 3601)


def test_pages_hold_every_file_once_in_either_order(client: openai.OpenAI, check: Check) -> None:
    made = [client.files.create(file=("a", content()), purpose="batch").id for _ in range(5)]

    newest_first = [f.id for f in client.files.list(limit=2) if f.id in made]
    oldest_first = [f.id for f in client.files.list(limit=3, order="asc") if f.id in made]
    page = client.files.list(limit=2, after=made[2])

    check(page, "ListFilesResponse")
    assert newest_first == made[::-1]
    assert oldest_first == made
    assert [file.id for file in page.data] == [made[1], made[0]]
    assert list(client.files.list(purpose="fine-tune")) == []


def test_a_content_sent_twice_outlives_one_of_its_files(client: openai.OpenAI) -> None:
    sent = content()
    first, second = (client.files.create(file=("a", sent), purpose="batch").id for _ in range(2))

    client.files.delete(first)

    assert client.files.content(second).read() == sent


def upload(client: TestClient, **changes: Any) -> httpx2.Response:
    form: dict[str, Any] = {"purpose": "batch"} | changes.pop("data", {})
    files = changes.pop("files", {"file": ("a.jsonl", LINE)})
    return client.post("/v1/files", data=form, files=files, **changes)


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"data": {"purpose": "assistants"}}, 400, "purpose"),
        ({"files": {"file": (None, "text")}}, 400, "file"),
        ({"files": {"other": ("a", b"x")}}, 400, "other"),
        ({"data": {"wrong": "x"}}, 400, "wrong"),
        ({"data": {"purpose": ["batch", "batch"]}}, 400, "purpose"),
        ({"files": {"file": ("a\u202eb", b"x")}}, 400, "file"),
        ({"files": {"file": ("a" * 256, b"x")}}, 400, "file"),
        ({"data": {"expires_after[anchor]": "created_at"}}, 400, "expires_after[seconds]"),
        ({"data": {"expires_after[seconds]": "3600"}}, 400, "expires_after[anchor]"),
        (
            {"data": {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}},
            400,
            "expires_after[seconds]",
        ),
        ({"headers": {"origin": "http://elsewhere"}}, 403, None),
        ({"headers": {"sec-fetch-site": "cross-site"}}, 403, None),
        ({"headers": {"content-type": "application/json"}}, 415, None),
        ({"headers": {"content-type": "multipart/form-data"}}, 400, None),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    changes: dict[str, Any], status: int, param: str | None, tmp_path: Path
) -> None:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        answer = upload(client, **changes)

        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["param"] == param
        assert client.get("/v1/files").json()["data"] == []
        assert [p for p in (tmp_path / "files").rglob("*") if p.is_file()] == []


def test_the_limit_of_uploads_is_that_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, limits={"max_upload_bytes": 5000, "max_body_bytes": 2000}
    )
    with connected(FakeModels(), settings) as client:
        whole = upload(client, files={"file": ("a", b"x" * 5000)})
        over = upload(client, files={"file": ("a", b"x" * 5001)})

    assert whole.json()["bytes"] == 5000
    assert (over.status_code, over.json()["error"]["param"]) == (400, "file")


def test_a_body_far_over_the_limit_is_refused_at_the_edge(tmp_path: Path) -> None:
    with connected(FakeModels(), Settings(data_dir=tmp_path)) as client:
        answer = upload(client, files={"file": ("a", b"x" * 21 * 2**20)})

    assert answer.status_code == 413


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\x", "a/b", "CON"])
def test_no_name_from_a_request_reaches_the_disk(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with connected(FakeModels(), Settings(data_dir=data)) as client:
        file = upload(client, files={"file": (name, LINE)}).json()
        for asked in (name, "..%2f..%2fetc%2fpasswd", "file-" + "0" * 32, "%00", "a" * 5000):
            assert client.get(f"/v1/files/{asked}/content").status_code in (400, 404)

    assert file["filename"] == name
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    allowed = {"penstock.db", "penstock.db-wal", "penstock.db-shm", "secret_key"}
    assert all(p.is_relative_to(data) for p in written)
    kept = [p.name for p in written if p.name not in allowed]
    assert [(len(n), int(n, 16) > 0) for n in kept] == [(64, True)]


def test_questions_out_of_range_are_refused_by_name(shared_client: TestClient) -> None:
    for query, param in (("limit=0", "limit"), ("limit=10001", "limit"), ("order=up", "order")):
        answer = shared_client.get(f"/v1/files?{query}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert json.loads(shared_client.get("/v1/files?after=file-none").text)["data"] == []
