"""Loading, unloading, fetching and removing models over HTTP, and who may do so."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import Live, connected
from tests.api.reading import DONE, events_of
from tests.fakes import FakeEngine, FakeModels

CHANGES = [
    ("POST", "/models/other/load"),
    ("POST", "/models/other/unload"),
    ("POST", "/models/elsewhere/pull"),
    ("DELETE", "/models/elsewhere"),
]


def states(client: TestClient) -> dict[str, str]:
    return {m["id"]: m["state"] for m in client.get("/models").json()["models"]}


def error_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_several_models_are_loaded_and_unloaded_by_any_of_their_names(client: TestClient) -> None:
    loaded = client.post("/models/second/load").json()
    again = client.post("/models/other/load", json={"keep_alive": "10m"}).json()
    both = states(client)
    unloaded = client.post("/models/second/unload").json()

    assert (loaded["id"], loaded["state"], loaded["dtype"]) == ("other", "loaded", "float32")
    assert again == loaded
    assert (both["penstock-tiny"], both["other"]) == ("loaded", "loaded")
    assert (unloaded["state"], unloaded["error"]) == ("available", None)
    assert client.post("/generate", json={"prompt": "x", "model": "other"}).status_code == 200


def test_unloading_what_is_not_loaded_is_no_error(client: TestClient) -> None:
    assert client.post("/models/other/unload").json()["state"] == "available"


def test_a_server_stays_ready_when_its_own_model_is_unloaded_on_purpose(
    client: TestClient,
) -> None:
    client.post("/models/penstock-tiny/unload")

    assert client.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("nobody", 404, "model_not_found"),
        ("somebody/elsewhere", 404, "model_unavailable"),
        ("broken", 400, "unsupported_model"),
        ("..%2f..%2fetc%2fpasswd", 404, "model_not_found"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    client: TestClient, name: str, status: int, code: str
) -> None:
    assert error_of(client.post(f"/models/{name}/load")) == (status, code)


async def test_a_busy_model_is_unloaded_only_by_force_and_its_requests_are_told(
    live: tuple[Live, FakeModels],
) -> None:
    http = live[0].http
    asked = {"prompt": "x", "max_new_tokens": 400, "model": "other"}
    writing = asyncio.create_task(http.post("/generate", json=asked))
    while not (client := live[0].services.lifecycle).status("other").model:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)

    refused = await http.post("/models/other/unload")
    forced = await http.post("/models/other/unload", json={"force": True})

    assert error_of(refused) == (409, "model_busy")
    assert forced.json()["state"] == "available"
    assert client.status("other").model is None
    assert error_of(await writing) == (503, "server_is_shutting_down")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (2.5, 2.5),
        ("90", 90.0),
        ("500ms", 0.5),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        (-1, float("inf")),
        ("-5m", float("inf")),
    ],
)
def test_a_request_can_say_how_long_its_model_stays(
    client: TestClient, value: object, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle = client.app.state.services.lifecycle  # type: ignore[attr-defined]
    heard: list[float | None] = []
    load = lifecycle.running

    async def listen(name: str, *, keep_alive_seconds: float | None = None) -> Any:
        if keep_alive_seconds is not None:
            heard.append(keep_alive_seconds)
        return await load(name, keep_alive_seconds=keep_alive_seconds)

    monkeypatch.setattr(lifecycle, "running", listen)
    asked = {"prompt": "x", "max_new_tokens": 1, "keep_alive": value}
    named = {"model": "penstock-tiny", "keep_alive": value}
    turn = [{"role": "user", "content": "x"}]

    for path, body in [
        ("/generate", asked),
        ("/compare", asked | {"columns": [{}]}),
        ("/lab/next-token", {"prompt": "x", "keep_alive": value}),
        ("/v1/completions", named | {"prompt": "x", "max_tokens": 1}),
        ("/v1/chat/completions", named | {"messages": turn, "max_tokens": 1}),
        ("/v1/responses", named | {"input": "x", "max_output_tokens": 1}),
        ("/v1/messages", named | {"messages": turn, "max_tokens": 1}),
        ("/v1/embeddings", named | {"input": "x"}),
        ("/models/other/load", {"keep_alive": value}),
    ]:
        answer = client.post(path, json=body)
        assert answer.status_code == 200, (path, answer.text)

    assert heard == [seconds] * 9


@pytest.mark.parametrize("value", ["", "soon", "5d", "1 m", True, [], "9" * 20])
def test_a_keep_alive_that_is_no_duration_is_refused_by_name(
    client: TestClient, value: object
) -> None:
    for path in ("/generate", "/models/other/load"):
        refused = client.post(path, json={"prompt": "x", "keep_alive": value})

        assert refused.status_code == 422
        assert refused.json()["error"]["param"] in ("keep_alive", "prompt")


def test_a_download_tells_how_far_it_is_and_ends_with_the_model(client: TestClient) -> None:
    answer = client.post("/models/somebody/elsewhere/pull")

    events = events_of(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events[-1] == DONE
    assert events[-3] == {
        "event": "progress",
        "file": "model.safetensors",
        "num_bytes": 1000,
        "total_bytes": 1000,
        "bytes_per_second": 50,
        "seconds_left": 0.0,
    }
    assert events[-2]["event"] == "done"
    assert (events[-2]["model"]["id"], events[-2]["model"]["local"]) == ("elsewhere", True)


def test_pulling_what_is_here_is_done_at_once(client: TestClient) -> None:
    events = events_of(client.post("/models/other/pull").text)

    assert [event["event"] for event in events[:-1]] == ["done"]


def test_what_keeps_a_download_from_starting_is_the_answers_status(client: TestClient) -> None:
    answer = client.post("/models/gated/pull")

    assert error_of(answer) == (403, "model_gated")
    assert states(client)["gated"] == "failed"


async def test_a_client_that_leaves_stops_its_download(live: tuple[Live, FakeModels]) -> None:
    server, models = live
    models.may_fetch.clear()

    async with server.http.stream("POST", "/models/elsewhere/pull") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        during = (await server.http.get("/models/elsewhere")).json()

    assert during["state"] == "downloading"
    assert during["download"]["total_bytes"] == 1000
    async with asyncio.timeout(10):
        while not models.num_stopped:
            await asyncio.sleep(0.01)
    assert (await server.http.get("/models/elsewhere")).json()["state"] == "available"


def test_what_was_fetched_is_removed_and_nothing_else(
    client: TestClient, models: FakeModels
) -> None:
    client.post("/models/elsewhere/pull")
    client.post("/models/elsewhere/load")
    busy = client.delete("/models/elsewhere")
    client.post("/models/elsewhere/unload")
    removed = client.delete("/models/somebody/elsewhere").json()

    assert error_of(busy) == (409, "model_busy")
    assert removed["removed_bytes"] == 1000
    assert (removed["model"]["local"], removed["model"]["state"]) == (False, "available")
    assert models.fetched == set()
    assert error_of(client.delete("/models/other")) == (403, "not_allowed")


@pytest.fixture
def closed() -> Iterator[TestClient]:
    """A server that others can reach, where nobody may change models unless a setting says so."""
    with connected(FakeModels(), Settings(auth="off", allowed_hosts=("pen.example",))) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_nobody_changes_the_models_of_a_server_that_others_can_reach(
    closed: TestClient, method: str, path: str
) -> None:
    before = states(closed)

    assert error_of(closed.request(method, path)) == (403, "not_allowed")
    assert states(closed) == before


def test_nor_says_how_long_they_stay(closed: TestClient) -> None:
    refused = closed.post("/generate", json={"prompt": "x", "keep_alive": 0})

    assert error_of(refused) == (403, "not_allowed")
    assert refused.json()["error"]["param"] == "keep_alive"


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_no_foreign_page_changes_models(
    shared_client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    refused = shared_client.request(method, path, headers=headers)

    assert error_of(refused) == (403, "not_allowed")
    assert states(shared_client)["other"] == "available"


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers", [{"x-forwarded-for": "203.0.113.9"}, {"forwarded": "for=203.0.113.9"}]
)
def test_nor_does_whoever_asks_through_a_proxy_without_an_account(
    shared_client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    refused = shared_client.request(method, path, headers=headers)

    assert error_of(refused) == (401, "not_signed_in")
    assert states(shared_client)["other"] == "available"


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://127.0.0.1"}, {"sec-fetch-site": "same-origin"}]
)
def test_the_servers_own_page_may(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/models/other/load", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        (Settings(model_changes="off"), {}, 403),
        (Settings(model_changes="on", auth="off", allowed_hosts=("pen.example",)), {}, 200),
        (Settings(model_changes="on", auth="off"), {"x-forwarded-for": "203.0.113.9"}, 200),
        (Settings(model_changes="on"), {"origin": "http://evil.example"}, 403),
        (Settings(host="0.0.0.0", auth="off"), {}, 403),
        (Settings(cors_origins=("http://page.example",)), {"origin": "http://page.example"}, 200),
    ],
)
def test_a_setting_decides_who_may(
    settings: Settings, headers: dict[str, str], status: int
) -> None:
    with connected(FakeModels(FakeEngine), settings) as client:
        assert client.post("/models/other/load", headers=headers).status_code == status
