"""`/v1/batches` with OpenAI's own client: every request of a file is answered once."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.api.openai.batching import (
    ended,
    line,
    prompt,
    started,
    uploaded,
    written,
)
from tests.api.openai.conftest import Check
from tests.fakes import FakeEngine, FakeModels

TINY = "penstock-tiny"
CHAT = {"model": TINY, "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/completions": prompt("Once upon a time", logprobs=1),
    "/v1/chat/completions": CHAT | {"max_completion_tokens": 4},
    "/v1/embeddings": {"model": TINY, "input": "Once upon a time"},
    "/v1/responses": {"model": TINY, "input": "Hello", "temperature": 0, "max_output_tokens": 4},
}
CHANGING = {"id", "created", "created_at", "completed_at", "receipts"}
NESTED = {"output"}  # has ids inside


@contextlib.contextmanager
def client_of(
    models: FakeModels, folder: Path, **limits: Any
) -> Iterator[tuple[openai.OpenAI, TestClient]]:
    """OpenAI's client of an application in this process."""
    with connected(models, Settings(data_dir=folder, limits=limits, cache_mib=0)) as http:
        yield (
            openai.OpenAI(
                base_url="http://127.0.0.1/v1", api_key="none", http_client=http, max_retries=0
            ),
            http,
        )


@pytest.mark.parametrize("endpoint", BODIES)
def test_each_line_gets_what_the_route_answers(
    client: openai.OpenAI, check: Check, endpoint: str
) -> None:
    body = BODIES[endpoint]
    direct = client.post(endpoint.removeprefix("/v1"), body=body, cast_to=object)

    new = started(client, [line("one", body, endpoint), line("zwei ü", body, endpoint)], endpoint)
    batch = ended(client, new)
    lines = written(client, batch.output_file_id)

    check(new, "Batch")
    check(batch, "Batch")
    assert new.status == "validating"
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 2, "completed": 2, "failed": 0}
    assert (batch.endpoint, batch.completion_window, batch.error_file_id) == (endpoint, "24h", None)
    assert batch.expires_at == batch.created_at + 24 * 3600
    assert batch.in_progress_at is not None
    assert batch.completed_at is not None
    assert [entry["custom_id"] for entry in lines] == ["one", "zwei ü"]
    assert len({entry["id"] for entry in lines}) == 2
    for entry in lines:
        assert entry["error"] is None
        assert entry["response"]["status_code"] == 200
        assert entry["response"]["request_id"]
        assert settled(entry["response"]["body"]) == settled(direct)
    output = client.files.retrieve(str(batch.output_file_id))
    assert output.purpose == "batch_output"


def settled(answer: Any) -> dict[str, Any]:
    """What is the same each time a request is answered."""
    return {name: value for name, value in answer.items() if name not in CHANGING | NESTED}


def test_a_line_that_is_refused_is_in_the_error_file_with_the_reason(
    client: openai.OpenAI,
) -> None:
    lines = [
        line("good", prompt("Once")),
        line("bad", prompt("Once", temperature=9)),
        line("unknown", prompt("Once", model="nothing")),
    ]

    batch = ended(client, started(client, lines))
    refused = {
        entry["custom_id"]: entry["response"] for entry in written(client, batch.error_file_id)
    }

    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 3, "completed": 1, "failed": 2}
    assert refused["bad"]["status_code"] == 400
    assert refused["bad"]["body"]["error"]["param"] == "temperature"
    assert refused["unknown"]["status_code"] == 404
    assert [entry["custom_id"] for entry in written(client, batch.output_file_id)] == ["good"]


BAD_LINES: dict[str, tuple[list[Any], list[tuple[int | None, str, str | None]]]] = {
    "nothing": ([b" ", b""], [(None, "empty_file", None)]),
    "no JSON": (
        [line("a", {}), b"{", b"", b"\xff"],
        [(2, "invalid_json_line", None), (4, "invalid_json_line", None)],
    ),
    "no object": ([b"[]"], [(1, "invalid_json_line", None)]),
    "twice": (
        [line("a", {}), line("b", {}), line("a", {})],
        [(3, "duplicate_custom_id", "custom_id")],
    ),
    "no custom_id": (
        [{"method": "POST", "url": "/v1/completions", "body": {}}],
        [(1, "missing_required_parameter", "custom_id")],
    ),
    "custom_id": (
        [
            line("", {}),
            line("x" * 513, {}),
            line("\0", {}),
            b'{"custom_id": "\\ud800", "method": "POST", "url": "/v1/completions", "body": {}}',
        ],
        [(n, "invalid_custom_id", "custom_id") for n in (1, 2, 3, 4)],
    ),
    "method": ([line("a", {}, method="GET")], [(1, "invalid_method", "method")]),
    "url": ([line("a", {}, "/v1/embeddings")], [(1, "mismatched_endpoint", "url")]),
    "body": ([line("a", [])], [(1, "invalid_body", "body")]),
    "stream": ([line("a", {"stream": True})], [(1, "invalid_body", "body.stream")]),
    "field": ([line("a", {}, other=1)], [(1, "unknown_parameter", None)]),
    "long": ([line("a", {"prompt": "x" * 3 * 2**20}), line("b", {})], [(1, "line_too_long", None)]),
}


@pytest.mark.parametrize("what", BAD_LINES)
def test_a_file_that_cannot_be_used_fails_with_the_lines_and_reasons(
    client: openai.OpenAI, check: Check, what: str
) -> None:
    lines, problems = BAD_LINES[what]

    batch = ended(client, started(client, lines))

    check(batch, "Batch")
    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(e.line, e.code, e.param) for e in batch.errors.data] == problems
    assert batch.output_file_id is None


def test_metadata_comes_back_and_pages_hold_every_batch_once(
    client: openai.OpenAI, check: Check
) -> None:
    file_id = uploaded(client, [line("a", prompt("Once"))])
    made = [
        client.batches.create(
            input_file_id=file_id,
            endpoint="/v1/completions",
            completion_window="24h",
            metadata={"number": str(number)},
        )
        for number in range(3)
    ]

    listed = [batch for batch in client.batches.list(limit=2) if batch.id in {b.id for b in made}]

    check(client.batches.list(limit=1), "ListBatchesResponse")
    assert [batch.metadata for batch in listed] == [{"number": n} for n in "210"]
    for batch in made:
        assert ended(client, batch).status == "completed"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-none"}, "input_file_id"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a" * 65: "x"}}, None),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None),
        ({"other": 1}, "other"),
    ],
)
def test_a_batch_that_cannot_be_started_is_refused_by_name(
    client: openai.OpenAI, changes: dict[str, Any], param: str | None
) -> None:
    file_id = uploaded(client, [line("a", prompt("Once"))])
    body = {"input_file_id": file_id, "endpoint": "/v1/completions", "completion_window": "24h"}

    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/batches", body=body | changes, cast_to=object)

    assert param is None or refused.value.param == param


def test_an_output_file_or_one_that_expires_too_soon_is_no_input(client: openai.OpenAI) -> None:
    batch = ended(client, started(client, [line("a", prompt("Once"))]))
    soon = client.files.create(
        file=("a", b"{}"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )

    for file_id in (str(batch.output_file_id), soon.id):
        with pytest.raises(openai.BadRequestError, match="Upload it") as refused:
            client.batches.create(
                input_file_id=file_id, endpoint="/v1/completions", completion_window="24h"
            )
        assert refused.value.param == "input_file_id"


def test_an_idempotency_key_that_was_used_starts_nothing(client: openai.OpenAI) -> None:
    file_id = uploaded(client, [line("a", prompt("Once"))])
    ids = {
        client.batches.create(
            input_file_id=file_id,
            endpoint="/v1/completions",
            completion_window="24h",
            extra_headers={"Idempotency-Key": file_id},
        ).id
        for _ in range(3)
    }

    assert len(ids) == 1


def test_a_batch_that_nobody_has_is_not_found(client: openai.OpenAI) -> None:
    for ask in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError, match="There is no batch"):
            ask("batch_none")


def test_a_page_of_another_origin_cancels_nothing(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.batches.cancel("batch_none", extra_headers={"origin": "http://elsewhere"})


def test_a_cancelled_batch_keeps_its_answers_and_names_the_rest(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.01))
    with client_of(models, tmp_path, batch_lines=1) as (client, _):
        engine = models.kits["penstock-tiny"].engine
        lines = [line(str(n), prompt("Once", max_tokens=20)) for n in range(30)]
        batch = started(client, lines)
        while (
            client.batches.retrieve(batch.id).request_counts or batch.request_counts
        ).completed < 2:  # type: ignore[union-attr]
            time.sleep(0.01)
        with pytest.raises(openai.ConflictError, match="under way"):
            client.files.delete(batch.input_file_id)

        cancelling = client.batches.cancel(batch.id)
        batch = ended(client, batch)
        answered = written(client, batch.output_file_id)
        unanswered = written(client, batch.error_file_id)

        assert cancelling.status == "cancelling"
        assert batch.status == "cancelled"
        assert {entry["error"]["code"] for entry in unanswered} == {"batch_cancelled"}
        ids = [entry["custom_id"] for entry in (*answered, *unanswered)]
        assert sorted(ids, key=int) == [str(n) for n in range(30)]
        assert batch.request_counts is not None
        assert batch.request_counts.completed == len(answered) >= 2
        assert len(unanswered) > 1
        with pytest.raises(openai.BadRequestError, match="is cancelled and cannot"):
            client.batches.cancel(batch.id)
        client.files.delete(batch.input_file_id)
        deadline = time.monotonic() + 10
        while engine.has_work:
            assert time.monotonic() < deadline


def test_batches_take_only_their_places_and_wait_while_the_server_is_full(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.002))
    with client_of(models, tmp_path, batch_lines=2, max_in_flight=3) as (client, http):
        admission = http.app.state.services.admission  # type: ignore[attr-defined]
        ticket = admission.enter(3)
        lines = [line(str(n), prompt("Once", max_tokens=10)) for n in range(6)]
        batches = [started(client, lines) for _ in range(2)]
        time.sleep(0.3)
        counts = client.batches.retrieve(batches[0].id).request_counts
        ticket.release()
        most = 0
        while any(client.batches.retrieve(b.id).status != "completed" for b in batches):
            most = max(most, admission.num_in_flight)
            client.completions.create(model=TINY, prompt="me too", max_tokens=1)
        done = [ended(client, batch) for batch in batches]

    assert counts is not None
    assert counts.completed == counts.failed == 0
    assert most <= 2
    for batch in done:
        assert batch.request_counts is not None
        assert batch.request_counts.to_dict() == {"total": 6, "completed": 6, "failed": 0}


def test_a_line_that_always_fails_inside_the_server_is_told_so_and_the_others_answered(
    tmp_path: Path,
) -> None:
    with client_of(FakeModels(), tmp_path, batch_lines=1) as (client, _):
        lines = [line("a", prompt("Once")), line("b", prompt("EXPLODE")), line("c", prompt("Once"))]
        batch = ended(client, started(client, lines))
        (failed,) = written(client, batch.error_file_id)
        answered = written(client, batch.output_file_id)

    assert failed["custom_id"] == "b"
    assert failed["response"]["status_code"] == 500
    assert failed["response"]["body"]["error"]["code"] == "engine_failed"
    assert [entry["custom_id"] for entry in answered] == ["a", "c"]


def test_a_server_that_stops_in_the_middle_goes_on_when_it_is_back(tmp_path: Path) -> None:
    models = FakeModels(lambda: FakeEngine(step_seconds=0.01))
    lines = [line(str(n), prompt("Once", max_tokens=10)) for n in range(12)]
    with client_of(models, tmp_path, batch_lines=2) as (client, _):
        batch = started(client, lines)
        while (
            not (counts := client.batches.retrieve(batch.id).request_counts) or not counts.completed
        ):
            time.sleep(0.01)

    with client_of(FakeModels(), tmp_path) as (client, _):
        batch = ended(client, batch)
        answered = written(client, batch.output_file_id)

    assert batch.status == "completed"
    assert [entry["custom_id"] for entry in answered] == [str(n) for n in range(12)]


def test_more_batches_than_one_may_have_are_refused(tmp_path: Path) -> None:
    models = FakeModels()
    with client_of(models, tmp_path, max_jobs=1) as (client, _):
        engine = models.kits["penstock-tiny"].engine
        engine.may_step.clear()
        batch = started(client, [line("a", prompt("Once"))])
        with pytest.raises(openai.RateLimitError, match="1 batches are unfinished") as refused:
            started(client, [line("a", prompt("Once"))])
        engine.may_step.set()
        ended(client, batch)
        ended(client, started(client, [line("a", prompt("Once"))]))

    assert refused.value.response.headers["retry-after"] == "60"
